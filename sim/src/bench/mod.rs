//! Fixed workloads, each beside a yardstick that does the same work without the engine.
//!
//! A figure without a yardstick says more about the computer than about the code, so ratios are
//! what counts. Rounds of both are interleaved, processor time is counted where the system tells
//! it, and medians are taken, so that a noisy neighbour moves neither side alone.

pub mod w1;
mod yardstick;

use core::hint::black_box;
use core::time::Duration;

/// What one execution of a workload did.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Events, or steps.
    pub events: u64,
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    /// Runs from a seed.
    pub seeds: u64,
}

/// Something to measure.
pub struct Workload {
    /// Its name.
    pub name: String,
    /// Executes it once.
    pub run: Box<dyn FnMut() -> Work>,
    /// Executes the same work in the simplest way there is.
    pub yardstick: Option<Box<dyn FnMut() -> Work>>,
}

impl core::fmt::Debug for Workload {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Workload")
            .field("name", &self.name)
            .field("yardstick", &self.yardstick.is_some())
            .finish_non_exhaustive()
    }
}

/// Medians over the rounds of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Name of the workload.
    pub name: String,
    /// Events per second of processor time.
    pub events_per_second: u64,
    /// Simulated seconds per second.
    pub simulated_seconds_per_second: u64,
    /// Seeds per second.
    pub seeds_per_second: u64,
    /// Events per second of the yardstick.
    pub yardstick_per_second: Option<u64>,
    /// Thousandths of the yardstick's speed: the median of the rounds' ratios.
    pub ratio_milli: Option<u64>,
}

/// Speeds of one side in one round.
#[derive(Copy, Clone)]
struct Speed {
    events: u64,
    simulated_ms: u64,
    seeds: u64,
}

/// Measures a workload in interleaved rounds, each at least `round` long per side.
pub fn measure(workload: &mut Workload, rounds: usize, round: Duration) -> Figure {
    let mut own = Vec::new();
    let mut other = Vec::new();
    let mut ratios = Vec::new();
    for _ in 0..rounds.max(1) {
        let speed = speed(&mut workload.run, round);
        own.push(speed);
        if let Some(yardstick) = &mut workload.yardstick {
            let beside = self::speed(yardstick, round);
            ratios.push(speed.events.saturating_mul(1_000) / beside.events.max(1));
            other.push(beside);
        }
    }
    let of = |speeds: &[Speed], field: fn(&Speed) -> u64| median(speeds.iter().map(field));
    Figure {
        name: workload.name.clone(),
        events_per_second: of(&own, |speed| speed.events).unwrap_or(0),
        simulated_seconds_per_second: of(&own, |speed| speed.simulated_ms / 1_000).unwrap_or(0),
        seeds_per_second: of(&own, |speed| speed.seeds).unwrap_or(0),
        yardstick_per_second: of(&other, |speed| speed.events),
        ratio_milli: median(ratios.into_iter()),
    }
}

fn median(values: impl Iterator<Item = u64>) -> Option<u64> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

fn speed(run: &mut dyn FnMut() -> Work, round: Duration) -> Speed {
    let watch = Watch::start();
    let mut sum = Work::default();
    loop {
        let work = black_box(run());
        sum.events += work.events;
        sum.simulated_ms += work.simulated_ms;
        sum.seeds += work.seeds;
        let elapsed = watch.elapsed();
        if elapsed >= round {
            let nanos = elapsed.as_nanos().max(1);
            let per = |count: u64| (u128::from(count) * 1_000_000_000 / nanos) as u64;
            return Speed {
                events: per(sum.events),
                simulated_ms: per(sum.simulated_ms),
                seeds: per(sum.seeds),
            };
        }
    }
}

/// Processor time of this thread where the system tells it, else the time that passed.
#[allow(
    clippy::disallowed_types,
    reason = "a measurement needs the real clock"
)]
struct Watch {
    started: std::time::Instant,
    cpu_ns: Option<u64>,
}

#[allow(
    clippy::disallowed_types,
    reason = "a measurement needs the real clock"
)]
#[allow(
    clippy::disallowed_methods,
    reason = "a measurement needs the real clock"
)]
impl Watch {
    fn start() -> Self {
        Self {
            started: std::time::Instant::now(),
            cpu_ns: cpu_ns(),
        }
    }

    fn elapsed(&self) -> Duration {
        match (self.cpu_ns, cpu_ns()) {
            (Some(start), Some(end)) => Duration::from_nanos(end - start),
            _ => self.started.elapsed(),
        }
    }
}

/// Nanoseconds that this thread has been running.
#[allow(
    clippy::disallowed_methods,
    reason = "a measurement needs the real clock"
)]
fn cpu_ns() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let number = text.split_whitespace().next()?.parse().ok()?;
    // A kernel that does not count says zero.
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests;
