//! `replay`: plans judged by what they expect, recordings by what the code does now.

use super::args::Replay;
use super::console::{Console, Look};
use super::present::{TAIL, node_json, print_finding, print_nodes, print_trace};
use super::single::{Ended, attempt_file, load, watcher};
use super::{Program, Stop};
use crate::any::disappointment;
use crate::plan::Expect;
use crate::report::REPLAY;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Replays recordings, of which the engine knows nothing.
pub trait Recordings: Send + Sync {
    /// Feeds the recording in `directory` to the code and compares everything it orders.
    ///
    /// # Errors
    /// The directory is no recording, or nothing in it could be compared, in words that name the
    /// file and the problem.
    fn replay(&self, directory: &Path) -> Result<Replayed, String>;
}

/// How a recording compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// Every action is the same.
    Identical {
        /// Steps that were compared.
        steps: u64,
        /// Anything worth knowing, such as a torn end.
        notes: Vec<String>,
    },
    /// They differ.
    Diverged {
        /// Steps that were the same.
        steps: u64,
        /// The first difference.
        difference: String,
    },
}

pub(super) fn replay(program: &Program, console: &mut Console, args: &Replay) -> Result<(), Stop> {
    let mut documents = Vec::new();
    let (mut held, mut unusable) = (true, Vec::new());
    for path in args.paths.iter().flat_map(|path| plans_in(path)) {
        let replayed = match path.is_dir() {
            true if args.until.is_some() => {
                let problem = "expected plans: --until is about simulated time";
                Err(Stop::Unusable(format!("{}: {problem}", path.display())))
            }
            true => recording(program, console, &path),
            false => plan(program, console, args, &path),
        };
        match replayed {
            Ok((ok, document)) => {
                held &= ok;
                documents.push(document);
            }
            // The others are judged all the same.
            Err(Stop::Unusable(problem)) => {
                let path = path.display().to_string();
                let said = beside(&path, &problem);
                documents.push(json!({ "path": path, "ok": false, "problem": said }));
                unusable.push(problem);
            }
            Err(stop @ (Stop::Violated | Stop::Incomplete)) => return Err(stop),
        }
    }
    console.json(&json!({ "format": 1, "command": "replay", "replays": documents }));
    match unusable.is_empty() {
        false => Err(Stop::Unusable(unusable.join("\n"))),
        true if held => Ok(()),
        true => Err(Stop::Violated),
    }
}

/// A problem for a reader who is told the path beside it.
fn beside(path: &str, problem: &str) -> String {
    match problem
        .strip_prefix(path)
        .and_then(|rest| rest.strip_prefix(':'))
    {
        Some(rest) if rest.starts_with(' ') => rest.trim_start().to_owned(),
        Some(rest) => format!("line {rest}"),
        None => problem.to_owned(),
    }
}

/// The plans in a directory, by name; a path itself where there are none in it.
fn plans_in(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut plans: Vec<_> = entries.map(|entry| entry.path()).collect();
    plans.retain(|plan| {
        plan.extension()
            .is_some_and(|extension| extension == "toml")
    });
    plans.sort();
    if plans.is_empty() {
        plans.push(path.to_owned());
    }
    plans
}

fn recording(program: &Program, console: &mut Console, path: &Path) -> Result<(bool, Value), Stop> {
    let Some(recordings) = &program.recordings else {
        let problem = format!("{}: found no plan (*.toml)", path.display());
        return Err(Stop::Unusable(problem));
    };
    let replayed = recordings.replay(path)?;
    let path = path.display().to_string();
    Ok(match replayed {
        Replayed::Identical { steps, notes } => {
            let word = console.paint(Look::Good, "identical");
            console.line(format!("{word}  {path}: {steps} steps"));
            notes
                .iter()
                .for_each(|note| console.line(format!("  note     {note}")));
            let document = json!({
                "path": path, "kind": "recording", "ok": true, "steps": steps, "notes": notes,
            });
            (true, document)
        }
        Replayed::Diverged { steps, difference } => {
            let word = console.paint(Look::Bad, "diverged");
            console.line(format!("{word}  {path}: after {steps} equal steps"));
            difference
                .lines()
                .for_each(|line| console.line(format!("  {line}")));
            let document = json!({
                "path": path, "kind": "recording", "ok": false, "steps": steps,
                "difference": difference,
            });
            (false, document)
        }
    })
}

fn plan(
    program: &Program,
    console: &mut Console,
    args: &Replay,
    path: &Path,
) -> Result<(bool, Value), Stop> {
    let (scenario, text) = load(program, path)?;
    let expect = scenario.check_text(path, &text)?;
    let run = |trace_lines| {
        let mut watch = watcher(args.asked, trace_lines);
        watch.until = args.until.map(|until| until.0);
        watch.twice |= expect.violates.as_deref() == Some(REPLAY);
        let (scenario, file, text) = (Arc::clone(&scenario), path.to_owned(), text.clone());
        attempt_file(args.patience.stuck_after.0, watch, move |watch| {
            scenario
                .run_text(&file, &text, watch)
                .map(|(report, _)| report)
        })
    };
    // Lines of a trace cost many times what the steps cost that they tell of, so only a run that
    // found something is made again for them.
    let mut attempt = run(0)?;
    if attempt.finding.is_some() {
        attempt = run(TAIL)?;
    }
    // A run that is ended early shows neither that all holds nor that nothing would break.
    let is_cut =
        attempt.finding.is_none() && args.until.is_some_and(|until| until.0 == attempt.end);
    let surprise = match is_cut {
        true => None,
        false => disappointment(&expect, attempt.finding.as_ref()),
    };
    let digest = differing_digest(program, &expect, &attempt).filter(|_| args.until.is_none());
    let ok = surprise.is_none() && !(args.strict && digest.is_some());
    let word = match (ok, is_cut) {
        (_, true) => console.paint(Look::Plain, "not judged"),
        (true, false) => console.paint(Look::Good, "as expected"),
        (false, false) => console.paint(Look::Bad, "not as expected"),
    };
    let what = match (&surprise, &expect.violates) {
        _ if is_cut => format!("nothing broke until {}", attempt.end),
        (Some(surprise), _) => surprise.clone(),
        (None, Some(property)) => format!("violates {property}"),
        (None, None) => "all holds".to_owned(),
    };
    console.line(format!("{word}  {}: {what}", path.display()));
    if let Some(finding) = &attempt.finding {
        print_finding(console, finding);
        print_trace(console, &attempt.trace, finding);
    }
    print_nodes(console, attempt.end, &attempt.nodes_then);
    print_inert(console, &attempt);
    for reason in &attempt.not_checked {
        console.painted(Look::Warning, format!("  not checked: {reason}"));
    }
    if let Some(note) = &digest {
        console.painted(Look::Warning, format!("  {note}"));
    }
    let mut document = attempt.json();
    document["path"] = json!(path.display().to_string());
    document["kind"] = json!("plan");
    document["ok"] = json!(ok);
    document["expected"] = json!(expect.violates);
    document["digest_expected"] = json!(expect.digest);
    document["end_ns"] = json!(attempt.end.as_nanos());
    document["nodes"] = json!(attempt.nodes_then.iter().map(node_json).collect::<Vec<_>>());
    Ok((ok, document))
}

/// Names the faults that changed nothing: whoever wrote them meant something.
fn print_inert(console: &mut Console, attempt: &Ended) {
    for applied in attempt.inert.iter().take(INERT_LINES) {
        console.painted(Look::Warning, format!("  no effect  {applied}"));
    }
    let more = attempt.faults_inert.saturating_sub(INERT_LINES as u64);
    if more > 0 {
        let text = format!("  no effect  {more} more of {} faults", attempt.faults);
        console.painted(Look::Warning, text);
    }
}

/// Faults without effect that are named one by one.
const INERT_LINES: usize = 20;

/// Says how the digest of the run differs from that in the plan, if it has one.
fn differing_digest(program: &Program, expect: &Expect, attempt: &Ended) -> Option<String> {
    let expected = expect.digest.as_ref()?;
    let found = attempt.digest.map(|digest| format!("{digest:016x}"));
    if found.as_ref() == Some(expected) {
        return None;
    }
    let found = found.as_deref().unwrap_or("none");
    let build = expect.build.as_deref().unwrap_or("unknown");
    let own = &program.build;
    Some(format!(
        "digest {expected} (build {build}) expected, {found} (build {own}) found"
    ))
}
