//! `merge`: the results of shards as one.
//!
//! A result is a set of stripes, and the whole is their union: it does not matter in which order
//! results are named, nor how often. A stripe that two results have has to be the same in both; where it is
//! not, the same plans ran and did different things.

use super::args::Merge;
use super::case::Case;
use super::console::{Console, Look, check_writable, grouped};
use super::result::{self, Asked, Kept};
use super::{Program, Stop, junit};
use crate::any::plan_name;
use crate::report::{Finding, REPLAY};
use crate::sweep::bucket::Bucket;
use crate::sweep::rows::Rows;
use crate::sweep::stripes::Shard;
use crate::sweep::tally::Tally;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub(super) fn merge(program: &Program, console: &mut Console, args: &Merge) -> Result<(), Stop> {
    let files = console.json_file().into_iter().chain(args.junit.as_deref());
    for file in files {
        check_writable(file)?;
    }
    let results = args
        .directories
        .iter()
        .map(|directory| Kept::read(directory));
    let results = results.collect::<Result<Vec<_>, _>>()?;
    let first = alike(&results)?;
    let seeds = first.rows.stripes().seeds();
    first.insist(&Asked::new(program, seeds, first.asked.scenarios()))?;
    let names = first.asked.scenarios();
    let scenarios = names.map(|name| program.find(name).cloned());
    let scenarios = scenarios.collect::<Result<Vec<_>, _>>()?;
    let (rows, clashes) = unite(first, &results);
    let account = result::account(program, &scenarios, &rows);
    let mut cases = clashes_told(program, &rows, &clashes);
    let contradictions = cases.len();
    for tally in &account.tallies {
        let buckets = tally.buckets.iter();
        cases.extend(buckets.map(|bucket| told(program, args, &tally.scenario, bucket)));
    }
    for case in &cases {
        case.print(console);
    }
    if !cases.is_empty() {
        console.line("");
    }
    account.print(console);
    let violated = !cases.is_empty() || account.is_wanting();
    print_sum(console, &results, &rows, violated);
    let text = result::text(
        &account,
        &rows,
        common_shard(&results),
        &cases[..contradictions],
    );
    console.document(&text);
    if let Some(path) = &args.junit {
        console.file(path, &junit::render(&account, &cases, None));
    }
    // What contradicts itself is no result that anything could go on from.
    if let Some(out) = args.out.as_deref().filter(|_| contradictions == 0) {
        console.wrote(result::write(out, &text).and_then(|()| copy_plans(out, &cases)));
    }
    match (violated, rows.is_complete()) {
        (true, _) => Err(Stop::Violated),
        (false, true) => Ok(()),
        (false, false) => Err(Stop::Incomplete),
    }
}

/// The first result, when all the others are of the same seeds, scenarios and build.
fn alike(results: &[Kept]) -> Result<&Kept, Stop> {
    let Some((first, others)) = results.split_first() else {
        return Err(Stop::Unusable("there is nothing to merge".to_owned()));
    };
    for other in others {
        if let Some(problem) = other.asked.difference(&first.asked) {
            let (file, as_in) = (other.file.display(), first.file.display());
            let problem = format!("{file}: {problem}, as in {as_in}");
            return Err(Stop::Unusable(problem));
        }
    }
    Ok(first)
}

/// A stripe of which results differ: what it did, and the files that say so.
struct Clash<'a> {
    stripe: u64,
    versions: Vec<(&'a Tally, Vec<&'a Path>)>,
}

fn unite<'a>(first: &Kept, results: &'a [Kept]) -> (Rows, Vec<Clash<'a>>) {
    let mut found: BTreeMap<(usize, u64), Clash<'a>> = BTreeMap::new();
    for kept in results {
        for (scenario, stripe, tally) in kept.rows.complete() {
            let versions = Vec::new();
            let clash = found.entry((scenario, stripe));
            let versions = &mut clash.or_insert(Clash { stripe, versions }).versions;
            match versions.iter_mut().find(|(other, _)| *other == tally) {
                Some((_, files)) => files.push(&kept.file),
                None => versions.push((tally, vec![&kept.file])),
            }
        }
    }
    let mut rows = Rows::new(first.rows.stripes().clone(), first.asked.scenarios());
    let mut clashes = Vec::new();
    for ((scenario, stripe), mut clash) in found {
        match &clash.versions[..] {
            [(tally, _)] => rows.insert(scenario, stripe, (*tally).clone()),
            _ => {
                clash
                    .versions
                    .sort_by_key(|(tally, _)| tally.digests.value());
                clashes.push(clash);
            }
        }
    }
    for kept in results {
        for (scenario, stripe, found) in kept.rows.unfinished() {
            rows.tell(scenario, stripe, &found);
        }
    }
    (rows, clashes)
}

/// The part that all results are of; the whole when they are of different ones.
fn common_shard(results: &[Kept]) -> Shard {
    let shards = results.iter().map(|kept| Some(kept.shard));
    let common = shards.reduce(|one, other| one.filter(|one| Some(*one) == other));
    common.flatten().unwrap_or(Shard::WHOLE)
}

fn clashes_told(program: &Program, rows: &Rows, clashes: &[Clash<'_>]) -> Vec<Case> {
    let told = |clash: &Clash<'_>| {
        let seeds = rows.stripes().part(clash.stripe..clash.stripe + 1);
        let versions = clash.versions.iter().map(|(tally, files)| {
            let files: Vec<_> = files
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            format!("{:016x} in {}", tally.digests.value(), files.join(", "))
        });
        let versions: Vec<_> = versions.collect();
        let message = format!("seeds {seeds} ran with digest {}", versions.join("; and "));
        let bucket = Bucket {
            seed: seeds.nth(0),
            finding: Finding::new(REPLAY, message),
            count: 1,
        };
        let scenario = &clash.versions[0].0.scenario;
        let plan = Err("see `plan`".to_owned());
        Case::told(program, scenario, &bucket, plan)
    };
    clashes.iter().map(told).collect()
}

/// A violation whose plan is beside one of the results.
fn told(program: &Program, args: &Merge, scenario: &str, bucket: &Bucket) -> Case {
    let name = plan_name(scenario, bucket.seed, &bucket.finding.property);
    let files = args
        .directories
        .iter()
        .map(|directory| directory.join(&name));
    let plan = files.into_iter().find(|file| file.is_file());
    let plan = plan.ok_or_else(|| "no result has it beside it".to_owned());
    Case::told(program, scenario, bucket, plan)
}

fn print_sum(console: &mut Console, results: &[Kept], rows: &Rows, violated: bool) {
    let mut lacking: BTreeMap<Vec<String>, Vec<&str>> = BTreeMap::new();
    for (index, scenario) in results[0].asked.scenarios().enumerate() {
        let missing = result::missing(rows, index);
        lacking.entry(missing).or_default().push(scenario);
    }
    lacking.remove(&Vec::new());
    for (seeds, scenarios) in &lacking {
        let more = match seeds.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more ranges"),
        };
        let seeds = seeds[..seeds.len().min(SHOWN)].join(", ");
        let text = format!("missing: seeds {seeds}{more} of {}", scenarios.join(", "));
        console.painted(Look::Warning, text);
    }
    let runs = rows.complete().map(|(_, _, tally)| tally.seeds).sum();
    let (results, runs) = (grouped(results.len() as u64), grouped(runs));
    let seeds = rows.stripes().seeds();
    console.line(format!("{runs} runs (seeds {seeds}) of {results} results"));
    let (look, text) = match (violated, rows.is_complete()) {
        (true, _) => (Look::Bad, "violated"),
        (false, true) => (Look::Good, "all held"),
        (false, false) => (Look::Warning, "incomplete: stripes are missing"),
    };
    console.painted(look, text);
}

/// How many ranges of missing seeds are shown; the document has all of them.
const SHOWN: usize = 8;

/// Puts the plans of violations beside the result.
fn copy_plans(out: &Path, cases: &[Case]) -> Result<(), String> {
    let plans = cases.iter().filter_map(|case| case.plan.as_ref().ok());
    for plan in plans {
        let copy = plan.file_name().map(|name| out.join(name));
        let copy = copy.filter(|copy| copy != plan);
        let copied = copy.map_or(Ok(0), |copy| fs::copy(plan, copy));
        copied.map_err(|error| format!("{}: {error}", plan.display()))?;
    }
    Ok(())
}
