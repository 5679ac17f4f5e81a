//! Seeds in flight, on disk before they run.
//!
//! A sweep that is killed, or whose machine takes the process down, leaves no result. It does
//! leave this file: one line per worker with the scenario and the seed that it was about to run.
//! The next sweep in the same directory finds the file, sees that its owner is gone, and names
//! those seeds. The page cache survives the process, so nothing is synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Length of a worker's line; a longer scenario name is cut.
const LINE: usize = 96;
const PREFIX: &str = "in-flight-";
const DRAFT: &str = "starting-";

/// The file of this process; removed when the sweep ends in order.
#[derive(Debug)]
pub(crate) struct Flight {
    path: PathBuf,
}

/// One worker's line in the file.
#[derive(Debug)]
pub(crate) struct Slot {
    file: File,
    offset: u64,
}

/// A seed that an earlier sweep was running when it died.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lost {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
}

impl Flight {
    /// Opens the file of this process in `directory` with a line for each of `workers`.
    pub(crate) fn open(directory: &Path, workers: usize) -> io::Result<(Self, Vec<Slot>)> {
        let id = std::process::id();
        // Two sweeps of one process, as in a test, have different files.
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = directory.join(format!("{PREFIX}{id}-{number}"));
        let draft = directory.join(format!("{DRAFT}{id}-{number}"));
        let head = format!("{:<width$}\n", owner(id), width = LINE - 1);
        let text = head + &blank().repeat(workers);
        write_in(directory, &draft, text.as_bytes())?;
        // Without its first line it would look like the file of a sweep that is gone.
        fs::rename(&draft, &path)?;
        let slot = |index: usize| {
            let file = OpenOptions::new().write(true).open(&path)?;
            Ok(Slot {
                file,
                offset: ((index + 1) * LINE) as u64,
            })
        };
        let slots = (0..workers).map(slot).collect::<io::Result<Vec<_>>>()?;
        Ok((Self { path }, slots))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // A file that cannot be removed names seeds that were not lost, which does no harm.
        let _ = fs::remove_file(&self.path);
        // The directory stays if it holds a plan.
        let _ = self.path.parent().map(fs::remove_dir);
    }
}

impl Slot {
    /// Names the seed that runs next.
    pub(crate) fn enter(&mut self, scenario: &str, seed: u64) -> io::Result<()> {
        let mut line = format!("{seed} {scenario}").replace('\n', " ");
        while line.len() > LINE - 1 {
            line.pop();
        }
        self.put(&format!("{line:<width$}\n", width = LINE - 1))
    }

    /// Says that nothing runs.
    pub(crate) fn leave(&mut self) -> io::Result<()> {
        self.put(&blank())
    }

    fn put(&mut self, line: &str) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.offset))?;
        self.file.write_all(line.as_bytes())
    }
}

/// Names the seeds of dead sweeps in `directory` and removes their files.
pub(crate) fn collect_lost(directory: &Path) -> io::Result<Vec<Lost>> {
    let mut lost = Vec::new();
    let files = match fs::read_dir(directory) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(lost),
        Err(error) => return Err(error),
    };
    for file in files {
        let path = file?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let id = rest.split('-').next().and_then(|id| id.parse().ok());
        // Another sweep may have ended, or have found the file first.
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read?,
        };
        let mut lines = text.lines();
        if id.is_some_and(|id| lines.next().map(str::trim_end) == Some(owner(id).as_str())) {
            continue;
        }
        lost.extend(lines.filter_map(parse));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    lost.sort_unstable();
    lost.dedup();
    Ok(lost)
}

/// Writes a file and the directory that it is in.
pub(crate) fn write_in(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A sweep that ends removes the directory when it is empty, at any moment.
    const ATTEMPTS: u32 = 100;
    let mut attempt = 1;
    loop {
        match fs::create_dir_all(directory).and_then(|()| fs::write(path, bytes)) {
            Err(error)
                if attempt < ATTEMPTS
                    && matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists
                    ) =>
            {
                attempt += 1;
            }
            written => return written,
        }
    }
}

fn parse(line: &str) -> Option<Lost> {
    let (seed, scenario) = line.trim_end().split_once(' ')?;
    Some(Lost {
        scenario: scenario.to_owned(),
        seed: seed.parse().ok()?,
    })
}

fn blank() -> String {
    format!("{:<width$}\n", "-", width = LINE - 1)
}

/// Identifies a running process beyond its number, which containers and restarts reuse; "gone"
/// when there is none.
fn owner(id: u32) -> String {
    let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else {
        // Without /proc only the own process is known to be alive.
        let alive = id == std::process::id();
        return if alive {
            format!("process {id}")
        } else {
            "gone".to_owned()
        };
    };
    // The command in parentheses may contain anything; what follows is separated by blanks.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let started = after.split_whitespace().nth(19).unwrap_or("unknown");
    format!("process {id} started {started}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("flight-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_dead_sweep_names_its_seeds_once() {
        let directory = directory("dead");
        let (flight, mut slots) = Flight::open(&directory, 3).expect("writable");
        slots[0].enter("leader crash", 17).expect("writable");
        slots[2]
            .enter(&"long ".repeat(50), u64::MAX)
            .expect("writable");
        assert_eq!(
            collect_lost(&directory).expect("readable"),
            [],
            "its owner is alive"
        );
        // The process that wrote the file is gone: the same lines under another owner.
        let text = fs::read_to_string(&flight.path).expect("readable");
        let dead = text
            .replacen("started", "perished", 1)
            .replacen("process", "processed", 1);
        fs::write(directory.join("in-flight-1-0"), dead).expect("writable");
        let lost = collect_lost(&directory).expect("readable");
        assert_eq!(lost.len(), 2);
        assert_eq!(
            lost[0],
            Lost {
                scenario: "leader crash".to_owned(),
                seed: 17
            }
        );
        assert_eq!(lost[1].seed, u64::MAX);
        assert_eq!(collect_lost(&directory).expect("readable"), []);
        drop(flight);
        assert!(!directory.exists(), "nothing was left in it");
    }

    #[test]
    fn a_seed_that_ended_is_not_named() {
        let directory = directory("ended");
        let (flight, mut slots) = Flight::open(&directory, 1).expect("writable");
        slots[0].enter("swarm", 3).expect("writable");
        slots[0].leave().expect("writable");
        let text = fs::read_to_string(&flight.path).expect("readable");
        fs::write(directory.join("in-flight-1-0"), text).expect("writable");
        assert_eq!(collect_lost(&directory).expect("readable"), []);
        fs::remove_dir_all(&directory).expect("removable");
    }

    #[test]
    fn sweeps_in_one_directory_leave_each_other_alone() {
        let directory = directory("shared");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for seed in 0..200 {
                        assert_eq!(collect_lost(&directory).expect("readable"), []);
                        let (_flight, mut slots) = Flight::open(&directory, 1).expect("writable");
                        slots[0].enter("swarm", seed).expect("writable");
                    }
                });
            }
        });
        assert!(!directory.exists(), "nothing was left in it");
    }
}
