//! `trace`: everything that happened in one run, or what is asked for of it.

use super::args::{Format, Trace, Which};
use super::console::{Console, write_file};
use super::present::finding_json;
use super::single::{Ended, Source, attempt, attempt_file, source, watcher};
use super::{Program, Stop};
use crate::explain::diagram::Diagram;
use crate::explain::filter::Filter;
use crate::explain::page::page;
use crate::explain::perfetto::perfetto;
use crate::time::Instant;
use crate::trace::Line;
use crate::watch::Watch;
use serde_json::json;

pub(super) fn trace(program: &Program, console: &mut Console, args: &Trace) -> Result<(), Stop> {
    let filter = filter(&args.which)?;
    let (scenario, title, mut outcome) = run(program, args)?;
    outcome.trace = chosen(&filter, outcome.trace, outcome.nodes)?;
    let Ended { finding, trace, .. } = &outcome;
    let diagram = || Diagram::new(&title, outcome.nodes, finding.as_ref(), trace);
    if args.format == Some(Format::Perfetto) {
        console.json(&perfetto(&diagram()));
        return outcome.judge(console);
    }
    let prints = !console.wants_json();
    if !prints {
        console.json(&json!({
            "format": 1,
            "command": "trace",
            "scenario": scenario,
            "digest": outcome.digest.map(|digest| format!("{digest:016x}")),
            "violation": outcome.finding.as_ref().map(finding_json),
            "lines": outcome.trace,
            "html": args.html.as_ref().map(|file| file.display().to_string()),
        }));
    }
    if let Some(file) = &args.html {
        let page = page(&diagram()).map_err(|error| format!("{}: {error}", file.display()))?;
        write_file(file, &page)?;
        console.line(format!("{}: {} lines", file.display(), trace.len()));
    } else if prints {
        for line in &outcome.trace {
            console.line(line);
        }
    }
    outcome.judge(console)
}

/// Runs what is named, and says of which scenario it is and what to call it.
fn run(program: &Program, args: &Trace) -> Result<(String, String, Ended), Stop> {
    let (patience, watch) = (args.patience.stuck_after.0, watcher(args.asked, usize::MAX));
    match source(program, &args.what, args.seed)? {
        Source::Seed(scenario, seed) => {
            let name = scenario.name().to_owned();
            let run = move |watch: &Watch| scenario.run_seed(seed, watch);
            let title = format!("{name}, seed {seed}");
            Ok((name, title, attempt(patience, watch, run)))
        }
        Source::File(scenario, file, text) => {
            let name = scenario.name().to_owned();
            let title = format!("{name}, {}", file.display());
            let run = move |watch: &Watch| {
                let ran = scenario.run_text(&file, &text, watch);
                ran.map(|(report, _)| report)
            };
            Ok((name, title, attempt_file(patience, watch, run)?))
        }
    }
}

/// What is asked for, if it can be meant.
fn filter(which: &Which) -> Result<Filter, Stop> {
    let (from, until) = (
        which.from.map(|from| from.0),
        which.until.map(|until| until.0),
    );
    if let (Some(from), Some(until)) = (from, until)
        && from > until
    {
        let problem = format!("--from {from} is later than --until {until}");
        return Err(Stop::Unusable(problem));
    }
    Ok(Filter {
        nodes: which.nodes.iter().map(|node| node.0).collect(),
        kinds: which.kinds.clone(),
        text: which.text.clone(),
        from,
        until,
        last: which.last,
    })
}

/// The lines of a run of so many nodes that are asked for; there have to be some.
fn chosen(filter: &Filter, lines: Vec<Line>, nodes: u16) -> Result<Vec<Line>, Stop> {
    let stranger = filter.nodes.iter().find(|node| node.0 >= nodes);
    if let Some(stranger) = stranger.filter(|_| nodes > 0) {
        let last = nodes - 1;
        let problem = format!("--node {stranger}: the plan has {nodes} nodes, n0 to n{last}");
        return Err(Stop::Unusable(problem));
    }
    let (all, end) = (
        lines.len(),
        lines.last().map_or(Instant::ZERO, |line| line.at),
    );
    let chosen = filter.of(lines);
    if chosen.is_empty() && all > 0 {
        let problem = format!("no line matches; the trace has {all}, until {end}");
        return Err(Stop::Unusable(problem));
    }
    Ok(chosen)
}
