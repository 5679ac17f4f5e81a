//! `run`: a sweep and its result.

use super::account::Account;
use super::args::{RunArgs, SeedBase};
use super::case::{Case, case};
use super::console::{Console, Look, check_writable};
use super::progress::Meter;
use super::result::{self, Asked, Keeper, Kept};
use super::shard::ShardArg;
use super::shrink::jobs;
use super::sweep::Sweep;
use super::{Program, Stop, interrupt, junit, names};
use crate::any::AnyScenario;
use crate::shrink::Bounds;
use crate::sweep::rows::Rows;
use crate::sweep::seeds::{Choice, Seeds};
use crate::sweep::stripes::{Shard, Stripes};
use crate::sweep::tally::Tally;
use crate::sweep::{End, Options, Outcome, sweep};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

pub(super) fn run(program: &Program, console: &mut Console, args: &RunArgs) -> Result<(), Stop> {
    let Begun {
        scenarios,
        shard,
        rows,
    } = begin(program, args)?;
    let mut options = Options::new();
    options.shard = shard;
    options.jobs = args.jobs.map_or(options.jobs, usize::from);
    options.budget = args.budget.map(|span| span.0);
    options.fail_max = args.max_fail;
    options.directory = Some(args.directory().to_owned());
    options.stuck_after = args.patience.stuck_after.0;
    let files = console.json_file().into_iter().chain(args.junit.as_deref());
    for file in files {
        check_writable(file)?;
    }
    let text = |rows: &Rows| {
        let account = result::account(program, &scenarios, rows);
        result::text(&account, rows, shard, &[])
    };
    let keeper = args.kept().map(|kept| Keeper::new(kept, &text(&rows)));
    let mut keeper = keeper.transpose()?;
    let resumed = args.resume.as_ref().map(|_| rows.complete().count() as u64);
    let mut meter = Meter::new(!console.paint(Look::Good, "").is_empty());
    let outcome = sweep(
        &scenarios,
        &options,
        rows,
        &interrupt::flag(),
        &mut |progress, rows| {
            meter.show(progress);
            if let Some(keeper) = &mut keeper {
                keeper.refresh(|| text(rows));
            }
        },
    );
    drop(meter);
    let outcome = outcome.map_err(|error| format!("{}: {error}", args.directory().display()))?;
    if let Some(kept) = args.kept() {
        console.wrote(result::write(kept, &text(&outcome.rows)));
    }
    let tallies = outcome.rows.all();
    let cases = cases(program, &scenarios, &tallies, &outcome, args);
    let is_whole = outcome.end == End::Complete && options.shard.is_whole();
    let seeds = outcome.rows.stripes().seeds().count();
    let result = Sweep {
        account: Account::new(program, &scenarios, tallies, is_whole, seeds),
        options,
        outcome,
        cases,
        shrinks: !args.no_shrink,
        resumed,
    };
    result.print(console);
    console.json(&result.json());
    if let Some(path) = &args.junit {
        let Outcome { elapsed, took, .. } = &result.outcome;
        console.file(
            path,
            &junit::render(&result.account, &result.cases, Some((*elapsed, took))),
        );
    }
    result.judge()
}

/// A sweep that begins, or goes on.
struct Begun {
    scenarios: Vec<Arc<dyn AnyScenario>>,
    shard: Shard,
    rows: Rows,
}

/// What the words ask for; what they leave open is as in the result that is resumed.
fn begin(program: &Program, args: &RunArgs) -> Result<Begun, Stop> {
    let earlier = args.resume.as_deref().map(Kept::find);
    let earlier = earlier.transpose()?.flatten();
    let scenarios = match &earlier {
        Some(earlier) if args.filters.is_empty() => {
            let names = earlier.asked.scenarios();
            let found = names.map(|name| program.find(name).cloned());
            found.collect::<Result<_, _>>()?
        }
        _ => select(&program.scenarios, &args.filters)?,
    };
    let seeds = match (&earlier, &args.seeds, args.seed_base) {
        (Some(earlier), None, None) => earlier.rows.stripes().seeds().clone(),
        (_, seeds, base) => choose(seeds.as_ref().unwrap_or(&SEEDS), base)?,
    };
    let shard = match (&earlier, args.shard) {
        (Some(earlier), None) => earlier.shard,
        (_, shard) => shard.map_or(Ok(Shard::WHOLE), ShardArg::shard)?,
    };
    let names = || scenarios.iter().map(|scenario| scenario.name());
    let Some(earlier) = earlier else {
        let rows = Rows::new(Stripes::new(seeds), names());
        return Ok(Begun {
            scenarios,
            shard,
            rows,
        });
    };
    earlier.insist(&Asked::new(program, &seeds, names()))?;
    if earlier.shard != shard {
        let (file, found) = (earlier.file.display(), earlier.shard);
        let problem = format!("{file}: shard: found {found}, expected {shard}");
        return Err(Stop::Unusable(problem));
    }
    let rows = earlier.rows;
    Ok(Begun {
        scenarios,
        shard,
        rows,
    })
}

/// The seeds of a sweep that does not say which.
const SEEDS: Choice = Choice::Count(100);

/// The scenarios that the filters name, exactly or, where none has the name, by a part of it.
fn select(
    all: &[Arc<dyn AnyScenario>],
    filters: &[String],
) -> Result<Vec<Arc<dyn AnyScenario>>, Stop> {
    let mut wanted = BTreeSet::new();
    for filter in filters {
        let matching = |exact: bool| {
            let matches = |name: &str| {
                if exact {
                    name == filter
                } else {
                    name.contains(filter)
                }
            };
            (0..all.len())
                .filter(move |index| matches(all[*index].name()))
                .collect::<Vec<_>>()
        };
        let exact = matching(true);
        let found = if exact.is_empty() {
            matching(false)
        } else {
            exact
        };
        if found.is_empty() {
            let all = all.iter().map(|scenario| scenario.name());
            let problem = format!("no scenario matches `{filter}`");
            return Err(names::unknown(&problem, filter, all));
        }
        wanted.extend(found);
    }
    let chosen = all.iter().enumerate();
    let chosen = chosen.filter(|(index, _)| filters.is_empty() || wanted.contains(index));
    let chosen: Vec<_> = chosen.map(|(_, scenario)| Arc::clone(scenario)).collect();
    match chosen.is_empty() {
        true => Err(Stop::Unusable("this program has no scenario".to_owned())),
        false => Ok(chosen),
    }
}

fn choose(choice: &Choice, base: Option<SeedBase>) -> Result<Seeds, Stop> {
    let count = match (choice, base) {
        (Choice::Fixed(seeds), None) => return Ok(seeds.clone()),
        (Choice::Fixed(seeds), Some(_)) => {
            let problem = format!("--seed-base moves a count of seeds, but --seeds is {seeds}");
            return Err(Stop::Unusable(problem));
        }
        (Choice::Count(count), _) => *count,
    };
    let first = match base {
        None => 0,
        Some(SeedBase::At(first)) => first,
        Some(SeedBase::Commit) => commit_base()?,
        Some(SeedBase::Random) => {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let nanos = since.map_or(0, |since| since.as_nanos() as u64);
            base_from(nanos ^ u64::from(std::process::id()) << 32)
        }
    };
    let last = first
        .checked_add(count)
        .filter(|end| *end <= i64::MAX as u64);
    match last {
        Some(_) => Ok(Seeds::Range { first, count }),
        None => Err(Stop::Unusable(format!(
            "{count} seeds from {first} on exceed 63 bits"
        ))),
    }
}

/// Seeds that people read, type and keep in JSON stay below 48 bits.
fn base_from(word: u64) -> u64 {
    crate::swarm::Draw::new(word).below(1 << 48)
}

fn commit_base() -> Result<u64, Stop> {
    let named = std::env::var("MESHOS_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty());
    let commit = named.or_else(|| {
        let git = std::process::Command::new("git")
            .args(["rev-parse", "HEAD"])
            .output()
            .ok()?;
        git.status
            .success()
            .then(|| String::from_utf8_lossy(&git.stdout).into_owned())
    });
    let Some(commit) = commit else {
        let problem = "--seed-base commit needs a git work tree or MESHOS_COMMIT";
        return Err(Stop::Unusable(problem.to_owned()));
    };
    Ok(crate::swarm::Draw::new(0).of(commit.trim()).below(1 << 48))
}

/// The violations of a sweep, whose plans share the time for making them smaller: each gets its
/// part of what those before it left.
fn cases(
    program: &Program,
    scenarios: &[Arc<dyn AnyScenario>],
    tallies: &[Tally],
    outcome: &Outcome,
    args: &RunArgs,
) -> Vec<Case> {
    let tallies = scenarios.iter().zip(tallies);
    let buckets = tallies
        .flat_map(|(scenario, tally)| tally.buckets.iter().map(move |bucket| (scenario, bucket)));
    let buckets: Vec<_> = buckets.collect();
    let end = Instant::now().checked_add(args.shrink_for.0);
    let mut cases = Vec::new();
    for (index, (scenario, bucket)) in buckets.iter().enumerate() {
        let now = Instant::now();
        let left = end.map_or(args.shrink_for.0, |end| end.saturating_duration_since(now));
        let deadline = now.checked_add(left / (buckets.len() - index) as u32);
        let bounds = Bounds::new(jobs(args.jobs), deadline, interrupt::flag());
        let is_wanted = !args.no_shrink && outcome.end != End::Interrupted && !bounds.is_spent();
        let bounds = is_wanted.then_some(&bounds);
        cases.push(case(program, scenario, bucket, args, bounds));
    }
    cases
}
