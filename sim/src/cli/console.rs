//! Where text goes and what it looks like.

use super::args::Color;
use crate::sweep::flight::write_in;
use serde_json::Value;
use std::fmt::Display;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// The two standard streams of a command: tables for people, and at most one JSON document.
///
/// A reader that closed the pipe has seen enough: the exit status still tells the result. What
/// cannot be written for another reason, such as a full disk, is a failure of the command.
pub(super) struct Console {
    tables: Box<dyn Write>,
    /// Why the first write that failed did.
    failed: Option<String>,
    json: Option<PathBuf>,
    color: bool,
}

/// The few looks that tables use.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    Good,
    Bad,
    Warning,
    Dim,
    Strong,
}

impl Look {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[1;31m",
            Self::Warning => "\x1b[33m",
            Self::Dim => "\x1b[2m",
            Self::Strong => "\x1b[1m",
        }
    }
}

impl Console {
    pub(super) fn new(json: Option<PathBuf>, color: Color) -> Self {
        let (tables, terminal): (Box<dyn Write>, bool) = match json {
            None => (Box::new(io::stdout()), io::stdout().is_terminal()),
            Some(_) => (Box::new(io::stderr()), io::stderr().is_terminal()),
        };
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
                terminal && !refused && !dumb
            }
        };
        Self {
            tables,
            failed: None,
            json,
            color,
        }
    }

    /// `text` in the given look, or plain where colour is off.
    pub(super) fn paint(&self, look: Look, text: impl Display) -> String {
        match self.color && look != Look::Plain {
            true => format!("{}{text}\x1b[0m", look.code()),
            false => text.to_string(),
        }
    }

    /// Prints a line for people.
    pub(super) fn line(&mut self, text: impl Display) {
        let written = writeln!(self.tables, "{text}");
        self.keep(written);
    }

    fn keep(&mut self, written: io::Result<()>) {
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            let problem = format!("the result cannot be written: {error}");
            self.failed.get_or_insert(problem);
        }
    }

    /// Writes what waits in buffers, and says whether everything could be written.
    pub(super) fn finish(mut self) -> Result<(), String> {
        let flushed = self.tables.flush();
        self.keep(flushed);
        self.failed.map_or(Ok(()), Err)
    }

    /// Prints a line in one look.
    pub(super) fn painted(&mut self, look: Look, text: impl Display) {
        let text = self.paint(look, text);
        self.line(text);
    }

    /// Prints rows under a head; all columns but the first and the last are right-aligned.
    pub(super) fn table(&mut self, head: &[&str], rows: &[Vec<(Look, String)>]) {
        let head: Vec<_> = head
            .iter()
            .map(|name| (Look::Dim, (*name).to_owned()))
            .collect();
        let all = || std::iter::once(&head).chain(rows);
        let columns = head.len();
        let width = |column: usize| all().map(|row| row[column].1.chars().count()).max();
        let widths: Vec<usize> = (0..columns)
            .map(|column| width(column).unwrap_or(0))
            .collect();
        let mut lines = Vec::new();
        for row in all() {
            let mut line = String::new();
            for (column, (look, text)) in row.iter().enumerate() {
                let pad = " ".repeat(widths[column] - text.chars().count());
                let text = self.paint(*look, text);
                line += &match column {
                    0 => format!("{text}{pad}"),
                    last if last + 1 == columns => format!("  {text}"),
                    _ => format!("  {pad}{text}"),
                };
            }
            lines.push(line.trim_end().to_owned());
        }
        lines.iter().for_each(|line| self.line(line));
    }

    /// True when somebody wants JSON.
    pub(super) const fn wants_json(&self) -> bool {
        self.json.is_some()
    }

    /// The file of the document, if it goes to one.
    pub(super) fn json_file(&self) -> Option<&Path> {
        self.json.as_deref().filter(|file| *file != Path::new("-"))
    }

    /// Writes the document where `--json` says, if it says so.
    pub(super) fn json(&mut self, document: &Value) {
        self.document(&format!("{document:#}\n"));
    }

    /// Writes the text of a document where `--json` says, if it says so.
    pub(super) fn document(&mut self, text: &str) {
        match self.json.take() {
            None => {}
            Some(file) if file != Path::new("-") => self.file(&file, text),
            Some(_) => {
                let mut stdout = io::stdout();
                let written = stdout.write_all(text.as_bytes());
                self.keep(written.and_then(|()| stdout.flush()));
            }
        }
    }

    /// Writes a result into a file.
    pub(super) fn file(&mut self, path: &Path, text: &str) {
        self.wrote(write_file(path, text));
    }

    /// Takes in whether a result could be written.
    pub(super) fn wrote(&mut self, written: Result<(), String>) {
        if let Err(problem) = written {
            self.failed.get_or_insert(problem);
        }
    }
}

/// Says before long work whether its result can go into a file, and leaves the file as it is.
pub(super) fn check_writable(path: &Path) -> Result<(), String> {
    let kind = fs::metadata(path).map(|metadata| metadata.file_type());
    if let Ok(kind) = &kind
        && !kind.is_file()
        && !kind.is_dir()
    {
        // Whoever reads a pipe would see its end when this closes it.
        return Ok(());
    }
    let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
    let mut open = fs::OpenOptions::new();
    let opened = parent.and_then(|()| open.append(true).create(true).open(path));
    let left = opened.and_then(|_| match kind {
        Ok(_) => Ok(()),
        Err(_) => fs::remove_file(path),
    });
    left.map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes a file and the directories above it.
pub(super) fn write_file(path: &Path, text: &str) -> Result<(), String> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let written = match parent {
        Some(parent) => write_in(parent, path, text.as_bytes()),
        None => fs::write(path, text),
    };
    written.map_err(|error| format!("{}: {error}", path.display()))
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `count` per second of `elapsed`.
pub(super) const fn per_second(count: u64, elapsed: std::time::Duration) -> u64 {
    let nanos = elapsed.as_nanos();
    if nanos == 0 {
        return 0;
    }
    (count as u128 * 1_000_000_000 / nanos) as u64
}

/// A span of time in seconds with `digits` decimals.
pub(super) fn seconds(span: std::time::Duration, digits: u32) -> String {
    let scale = 10u128.pow(digits);
    let number = span.as_nanos() * scale / 1_000_000_000;
    match digits {
        0 => format!("{number} s"),
        _ => format!(
            "{}.{:0w$} s",
            number / scale,
            number % scale,
            w = digits as usize
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn numbers_for_people() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(per_second(50, Duration::from_millis(500)), 100);
        assert_eq!(seconds(Duration::from_millis(61_049), 1), "61.0 s");
        assert_eq!(seconds(Duration::from_millis(61_049), 3), "61.049 s");
    }
}
