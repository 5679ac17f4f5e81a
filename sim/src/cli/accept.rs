//! `accept`: a failure becomes a regression.

use super::args::Accept;
use super::console::{Console, Look};
use super::single::{attempt_file, load};
use super::{Program, Stop};
use crate::any::plan_text;
use crate::plan::Expect;
use crate::watch::Watch;
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// The longest name that is made from a line.
const NAME_MAX: usize = 60;

pub(super) fn accept(program: &Program, console: &mut Console, args: &Accept) -> Result<(), Stop> {
    let (scenario, text) = load(program, &args.file)?;
    let broke = args.broke.trim();
    if broke.is_empty() || broke.contains('\n') {
        let problem = "--broke: expected one line that says what broke";
        return Err(Stop::Unusable(problem.to_owned()));
    }
    let plan = scenario.read_table(&args.file, &text)?;
    let name = args.name.clone().unwrap_or_else(|| name_from(broke));
    if name.is_empty() || name.contains(['/', '\\']) {
        let problem =
            format!("--name: found `{name}`, expected the name of a file without its end");
        return Err(Stop::Unusable(problem));
    }
    let directory = args
        .into
        .clone()
        .unwrap_or_else(|| program.regressions.clone());
    let kept = directory.join(format!("{name}.toml"));
    // What it found is over: a regression says that all holds, and is red until it does.
    let kept_text = format!("# {broke}\n{}", plan_text(plan.clone(), &Expect::default()));
    put_new(&directory, &kept, &kept_text)?;
    // The failure goes only when its plan is safe elsewhere.
    let moved = fs::remove_file(&args.file);
    moved.map_err(|error| format!("{}: {error}", args.file.display()))?;
    let run = move |watch: &Watch| Ok(scenario.run_table(&plan, watch).unwrap_or_default());
    let stuck_after = args.patience.stuck_after.0;
    let again: Result<_, Stop> = attempt_file(stuck_after, Watch::default(), run);
    let finding = again?.finding;
    let shown = kept.display();
    let word = console.paint(Look::Good, "moved");
    console.line(format!("{word}  {} to {shown}", args.file.display()));
    if let Some(finding) = &finding {
        let text = format!(
            "  red    until this is mended: {}: {}",
            finding.property, finding.message
        );
        console.painted(Look::Warning, text);
    }
    let again = format!("{} replay {shown}", program.called());
    console.line(format!("  again  {}", console.paint(Look::Strong, &again)));
    console.json(&json!({
        "format": 1,
        "command": "accept",
        "plan": kept.display().to_string(),
        "holds": finding.is_none(),
        "reproduce": again,
    }));
    Ok(())
}

/// A file name from the words of a line.
fn name_from(line: &str) -> String {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric());
    let mut name = String::new();
    for word in words.filter(|word| !word.is_empty()) {
        if name.len() + word.len() > NAME_MAX {
            break;
        }
        if !name.is_empty() {
            name.push('-');
        }
        name += &word.to_ascii_lowercase();
    }
    name
}

/// Writes a file that must not be there yet.
fn put_new(directory: &Path, path: &Path, text: &str) -> Result<(), String> {
    let created = fs::create_dir_all(directory)
        .and_then(|()| OpenOptions::new().write(true).create_new(true).open(path));
    let written = created.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        let is_taken = error.kind() == std::io::ErrorKind::AlreadyExists;
        let problem = match is_taken {
            true => "there is such a regression; see --name".to_owned(),
            false => error.to_string(),
        };
        format!("{}: {problem}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::{NAME_MAX, name_from};

    #[test]
    fn names_come_from_what_broke() {
        assert_eq!(name_from("A vote was forgotten."), "a-vote-was-forgotten");
        assert_eq!(name_from("…"), "");
        let long = name_from(&"a word and another one ".repeat(9));
        assert!(
            long.starts_with("a-word-and-") && long.len() <= NAME_MAX + 1,
            "{long}"
        );
    }
}
