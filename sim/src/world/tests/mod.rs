mod budgets;
mod busy;
mod connections;
mod determinism;
mod disks;
mod hooks;
mod numbers;
mod processes;
mod recovery;
mod words;

use super::{Setup, View, World};
use crate::fault::{Fault, Keep, Unsynced};
use crate::hook::{Hook, Schedule};
use crate::node::NodeIndex;
use crate::time::Instant;
use crate::violation::Violation;
use crate::weather::Weather;
use busy::{Busy, Habits, Report};

const A: NodeIndex = NodeIndex(0);
const B: NodeIndex = NodeIndex(1);

/// Keeps everything that is put out, with its time.
#[derive(Clone, Debug, Default)]
struct Log {
    reports: Vec<(Instant, NodeIndex, Report)>,
    refused: u32,
    crashes: Vec<Instant>,
}

impl Hook<Busy> for Log {
    fn on_output(
        &mut self,
        view: View<'_, Busy>,
        node: NodeIndex,
        output: &Report,
        _: &mut Schedule<Busy>,
    ) -> Result<(), Violation> {
        self.reports.push((view.at(), node, output.clone()));
        Ok(())
    }

    fn on_refused(
        &mut self,
        _: View<'_, Busy>,
        _: NodeIndex,
        _: &u64,
        _: &mut Schedule<Busy>,
    ) -> Result<(), Violation> {
        self.refused += 1;
        Ok(())
    }

    fn on_crash(
        &mut self,
        view: View<'_, Busy>,
        _: NodeIndex,
        _: &Busy,
        _: &mut Schedule<Busy>,
    ) -> Result<(), Violation> {
        self.crashes.push(view.at());
        Ok(())
    }
}

impl Log {
    fn of(&self, node: NodeIndex) -> Vec<Report> {
        let own = self.reports.iter().filter(|(_, of, _)| *of == node);
        own.map(|(_, _, report)| report.clone()).collect()
    }
}

fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn quiet_world(nodes: usize) -> World<Busy> {
    world(7, vec![Habits::default(); nodes])
}

fn world(seed: u64, habits: Vec<Habits>) -> World<Busy> {
    World::new(Setup::new(seed, habits))
}

fn ticking() -> Vec<Habits> {
    vec![Habits {
        ticks: true,
        ..Habits::default()
    }]
}

fn talking(nodes: usize) -> Vec<Habits> {
    let habits = Habits {
        talks: true,
        ..Habits::default()
    };
    vec![habits; nodes]
}

fn run(world: &mut World<Busy>, until: Instant) -> Log {
    let mut log = Log::default();
    if let Err(violation) = world.run_until(until, &mut log) {
        panic!("{violation}");
    }
    log
}

const CRASH: Fault = Fault::Crash {
    node: A,
    unsynced: Unsynced::Lost,
};
const RESTART: Fault = Fault::Restart { node: A };

/// Every fault there is, many of them drawn, over `seconds`.
fn storm(world: &mut World<Busy>, seconds: u64) {
    let nodes = world.nodes();
    let draw = crate::draw::Draws::new(99);
    for number in 0..seconds * 10 {
        let bits = draw.bits(crate::draw::Site::Flip, 0, number);
        let node = NodeIndex(bits as u16 % nodes);
        let to = NodeIndex((bits >> 16) as u16 % nodes);
        let ms = (bits >> 40) % 2_000;
        let fault = match (bits >> 32) % 29 {
            kind @ 0..=7 => of_a_process(kind, node, ms),
            kind @ 8..=15 => of_a_link(kind, (node, to), ms),
            kind @ 16..=22 => of_a_clock(kind, node, (ms, bits)),
            kind @ 23..=27 => of_a_disk(kind, node, ms),
            _ => Fault::Recover {
                nodes: Vec::new(),
                keep: Vec::new(),
            },
        };
        world.schedule_fault(self::ms(number * 100 + ms / 20), fault);
        world.schedule_op(self::ms(number * 100 + ms / 10), to, number + 1);
    }
}

fn of_a_process(kind: u64, node: NodeIndex, ms: u64) -> Fault {
    let unsynced = Unsynced::Drawn;
    match kind {
        0 => Fault::Crash { node, unsynced },
        1 => Fault::CrashAtPersist {
            node,
            op: ms % 50,
            unsynced,
            restart_after_ms: Some(ms),
        },
        2 | 3 => Fault::Restart { node },
        4 => Fault::Pause { node },
        5 | 6 => Fault::Resume { node },
        _ => Fault::Wipe { node },
    }
}

fn of_a_link(kind: u64, (from, to): (NodeIndex, NodeIndex), ms: u64) -> Fault {
    match kind {
        8 => Fault::Partition {
            groups: vec![vec![from]],
        },
        9 => Fault::Cut { from, to },
        10 => Fault::Mend { from, to },
        11 => Fault::Clog { from, to },
        12 => Fault::Unclog { from, to },
        13 => Fault::Filter {
            message: 2,
            from: Some(from),
            to: None,
        },
        14 => Fault::Heal {},
        _ => Fault::Weather {
            from: Some(from),
            to: None,
            weather: (ms > 500).then_some(Weather {
                loss_ppm: 50_000,
                duplicate_ppm: 50_000,
                reorder_ppm: 50_000,
                bytes_per_ms: 50,
                ..Weather::latency_us(ms, ms * 3)
            }),
        },
    }
}

fn of_a_clock(kind: u64, node: NodeIndex, (ms, bits): (u64, u64)) -> Fault {
    let by = ms as i64 - 1_000;
    match kind {
        16 => Fault::ClockOffset { node, ms: by },
        17 => Fault::ClockStep { node, ms: by },
        18 => Fault::ClockJump { node, ms },
        19 => Fault::ClockRate {
            node,
            ppm: bits as i32 % 500_000,
        },
        20 => Fault::ClockStop { node },
        21 => Fault::ClockStart { node },
        _ => Fault::LateWake {
            node,
            by_ms: ms / 10,
        },
    }
}

fn of_a_disk(kind: u64, node: NodeIndex, ms: u64) -> Fault {
    match kind {
        23 => Fault::DiskLatency {
            node,
            us_min: 10,
            us_max: ms * 100,
        },
        24 => Fault::DiskFull {
            node,
            on: ms > 1_500,
        },
        25 => Fault::DiskSyncError { node },
        26 => Fault::Flip { node, bits: 3 },
        _ => Fault::DiskRoom {
            node,
            bytes: (ms > 500).then_some(ms % 64),
            at_sync: ms.is_multiple_of(2),
        },
    }
}

fn booted(run: u64, store: u64, bytes: usize) -> Report {
    Report::Booted { run, store, bytes }
}
