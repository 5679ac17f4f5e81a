//! `bench`: fixed workloads against their yardsticks.
//!
//! Workload and yardstick take turns, so that a machine that becomes slower does so for both, and
//! the median round counts. Where the system tells it, processor time is measured instead of time
//! that passed: a neighbour on the same core is not part of the result.

use super::args::Bench;
use super::console::{Console, Look, grouped, per_second, seconds};
use super::{Program, Stop, interrupt};
use crate::bench::workload::{Measure, Workload};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Medians of a workload.
struct Figures {
    measure: Measure,
    steps_rate: u64,
    yardstick_rate: Option<u64>,
    ratio_permille: Option<u64>,
    elapsed: Duration,
}

pub(super) fn bench(program: &Program, console: &mut Console, args: &Bench) -> Result<(), Stop> {
    let wanted = |workload: &&Workload| {
        args.filters.is_empty() || args.filters.iter().any(|part| workload.name.contains(part))
    };
    let workloads: Vec<_> = program.workloads.iter().filter(wanted).collect();
    if workloads.is_empty() {
        let all: Vec<_> = program
            .workloads
            .iter()
            .map(|workload| workload.name)
            .collect();
        let problem = format!("no workload matches; there are: {}", all.join(", "));
        return Err(Stop::Unusable(problem));
    }
    let stop = interrupt::flag();
    let mut rows = Vec::new();
    let mut documents = Vec::new();
    for workload in workloads {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let figures = measure(workload, usize::from(args.rounds));
        rows.push(row(workload, &figures));
        documents.push(document(workload, &figures));
    }
    let head = [
        "workload",
        "steps/s",
        "simulated/s",
        "seeds/s",
        "ratio",
        "yardstick",
    ];
    console.table(&head, &rows);
    let measured = if processor_time().is_some() {
        "processor time"
    } else {
        "time that passed"
    };
    console.painted(
        Look::Dim,
        format!("medians of {} rounds, {measured}", args.rounds),
    );
    console.json(&json!({
        "format": 1,
        "command": "bench",
        "build": program.build,
        "rounds": args.rounds,
        "clock": measured,
        "workloads": documents,
    }));
    match stop.load(Ordering::Relaxed) {
        true => Err(Stop::Incomplete),
        false => Ok(()),
    }
}

fn measure(workload: &Workload, rounds: usize) -> Figures {
    // One round that does not count fills caches and faults memory in.
    let measure = (workload.work)();
    let mut own = Vec::new();
    let mut other = Vec::new();
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let (done, elapsed) = timed(&*workload.work);
        let rate = per_second(done.steps, elapsed);
        own.push((rate, elapsed));
        if let Some(yardstick) = &workload.yardstick {
            let (done, elapsed) = timed(&*yardstick.work);
            let yard = per_second(done.steps, elapsed);
            other.push(yard);
            // A ratio within one round compares what the machine could do at that moment.
            ratios.push(rate.saturating_mul(1000) / yard.max(1));
        }
    }
    let (steps_rate, elapsed) = median(own).unwrap_or_default();
    Figures {
        measure,
        steps_rate,
        yardstick_rate: median(other),
        ratio_permille: median(ratios),
        elapsed,
    }
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

fn timed(work: &dyn Fn() -> Measure) -> (Measure, Duration) {
    let (processor, passed) = (processor_time(), Instant::now());
    let measure = std::hint::black_box(work());
    let passed = passed.elapsed();
    let used = processor_time()
        .zip(processor)
        .map(|(end, start)| end.saturating_sub(start));
    // A kernel that does not account for processor time reports none at all.
    (
        measure,
        used.filter(|used| !used.is_zero()).unwrap_or(passed),
    )
}

/// Processor time of the current thread, where the system tells it.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos: u64 = text.split_whitespace().next()?.parse().ok()?;
    (nanos > 0).then_some(Duration::from_nanos(nanos))
}

fn row(workload: &Workload, figures: &Figures) -> Vec<(Look, String)> {
    let yardstick = workload.yardstick.as_ref();
    let floor = yardstick.map_or(0, |yardstick| yardstick.floor_permille);
    let ratio = figures.ratio_permille.map(|ratio| {
        let look = if ratio < floor { Look::Bad } else { Look::Good };
        (look, format!("{}.{:03}", ratio / 1000, ratio % 1000))
    });
    let beside = yardstick
        .zip(figures.yardstick_rate)
        .map(|(yardstick, rate)| {
            let floor = format!("{}.{:03}", floor / 1000, floor % 1000);
            format!(
                "{}: {} steps/s, at least {floor}",
                yardstick.name,
                grouped(rate)
            )
        });
    let simulated = per_second(
        figures.measure.simulated.as_millis() as u64,
        figures.elapsed,
    );
    vec![
        (Look::Strong, workload.name.to_owned()),
        (Look::Plain, grouped(figures.steps_rate)),
        (Look::Plain, seconds(Duration::from_millis(simulated), 0)),
        (
            Look::Plain,
            grouped(per_second(figures.measure.seeds, figures.elapsed)),
        ),
        ratio.unwrap_or((Look::Dim, "-".to_owned())),
        (
            Look::Dim,
            beside.unwrap_or_else(|| workload.about.to_owned()),
        ),
    ]
}

fn document(workload: &Workload, figures: &Figures) -> serde_json::Value {
    let yardstick = workload.yardstick.as_ref();
    let simulated = figures.measure.simulated.as_millis() as u64;
    json!({
        "workload": workload.name,
        "about": workload.about,
        "steps": figures.measure.steps,
        "steps_per_s": figures.steps_rate,
        "simulated_ms_per_s": per_second(simulated, figures.elapsed),
        "seeds_per_s": per_second(figures.measure.seeds, figures.elapsed),
        "yardstick": yardstick.map(|yardstick| yardstick.name),
        "yardstick_steps_per_s": figures.yardstick_rate,
        "ratio_permille": figures.ratio_permille,
        "ratio_permille_min": yardstick.map(|yardstick| yardstick.floor_permille),
    })
}
