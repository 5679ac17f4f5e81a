//! Replays what `meshosd` recorded: the same events, fed to the core of this build.

use meshos_core::chain::record::Unreadable;
use meshos_core::chain::recording::{file_name, parse_name, runs};
use meshos_core::chain::recover::Files;
use meshos_core::id::Incarnation;
use meshos_core::replay::{Report, Verdict, replay};
use meshos_sim::cli::{Recordings, Replayed};
use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// The recordings of MeshOS nodes.
#[derive(Copy, Clone, Debug, Default)]
pub struct NodeRecordings;

impl Recordings for NodeRecordings {
    fn replay(&self, directory: &Path) -> Result<Replayed, String> {
        let files = read(directory)?;
        let (mut steps, mut states) = (0, 0);
        let mut notes = Vec::new();
        for run in runs(&files) {
            // A node that stops by an assertion is a way to differ, too.
            let report = match catch_unwind(AssertUnwindSafe(|| replay(&run))) {
                Ok(report) => report,
                Err(panic) => {
                    let (run, why) = (run.incarnation, said(&*panic));
                    let difference = format!("run {run}: the node stopped: {why}");
                    return Ok(Replayed::Diverged { steps, difference });
                }
            };
            steps += report.steps;
            states += report.states;
            match &report.verdict {
                Verdict::Identical => notes.push(note(&report)),
                Verdict::Differs(_) => {
                    let difference = format!("{report}\nrecorded by build {}", report.build);
                    let steps = steps.saturating_sub(1);
                    return Ok(Replayed::Diverged { steps, difference });
                }
                Verdict::Unreadable(damage) => {
                    let mut error = format!("{}: {damage}", directory.display());
                    if !report.build.is_empty() {
                        error += &format!(" (recorded by build {})", report.build);
                        // What is whole and means nothing here means something to who wrote it.
                        if matches!(damage.fault, Unreadable::Body { .. }) {
                            error += "; replay it with the meshos-dst of that commit";
                        }
                    }
                    return Err(error);
                }
            }
        }
        if steps + states == 0 {
            let last = files.keys().next_back().expect("there are files");
            return Err(format!(
                "{}: nothing to compare, expected an image of a node and at least one step",
                directory.join(&**last).display()
            ));
        }
        Ok(Replayed::Identical { steps, notes })
    }
}

fn note(report: &Report) -> String {
    let mut note = report.to_string();
    if report.first > 1 {
        note += &format!(", from step {}", report.first);
    }
    if let Some(torn) = &report.torn {
        note += &format!(", torn at {torn}");
    }
    note
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}

/// The files of a recording; whatever else is in the directory is left alone.
fn read(directory: &Path) -> Result<Files, String> {
    let failed = |error| format!("{}: {error}", directory.display());
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Some(name) = entry.file_name().to_str()
            && parse_name(name).is_some()
        {
            let bytes = fs::read(entry.path()).map_err(failed)?;
            files.insert(name.into(), bytes.into());
        }
    }
    if files.is_empty() {
        let example = file_name(Incarnation::new(1), 1);
        let directory = directory.display();
        return Err(format!(
            "{directory}: found neither a plan (*.toml) nor a recording (files such as {example})"
        ));
    }
    Ok(files)
}
