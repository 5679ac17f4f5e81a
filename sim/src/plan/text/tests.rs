//! Reading and writing plans.

mod mistakes;

use super::*;
use crate::fault::{Fault, Unsynced};
use crate::node::NodeIndex;
use crate::plan::{Expect, Nothing};
use crate::storm::Family;
use crate::time::Instant;
use crate::weather::Weather;
use serde::Deserialize;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Op {
    Read,
    Append { bytes: u32, level: Level },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Local,
    Committed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cfg {
    retention: u32,
    voters: Vec<u16>,
}

fn sample() -> Plan<Op, Cfg> {
    let cfg = Cfg {
        retention: 5,
        voters: vec![0, 2],
    };
    let mut plan = Plan::new("sample", 7, 3, cfg);
    plan.op(
        Instant::from_millis(20),
        1,
        Op::Append {
            bytes: 9,
            level: Level::Committed,
        },
    );
    plan.op(Instant::from_micros(20_500), 2, Op::Read);
    let node = NodeIndex(1);
    plan.fault(
        Instant::from_nanos(7),
        Fault::Crash {
            node,
            unsynced: Unsynced::Torn,
        },
    );
    plan.fault(Instant::from_millis(90), Fault::Heal {});
    plan.core = vec![NodeIndex(0), NodeIndex(2)];
    plan.expect = Expect {
        violates: Some("leader-again".to_owned()),
        digest: Some("00ff".to_owned()),
        build: None,
    };
    plan
}

fn parse(text: &str) -> Result<Plan<Op, Cfg>, String> {
    Plan::parse(Path::new("some.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn a_plan_reads_as_it_was_written() {
    let text = sample().to_text();
    assert_eq!(parse(&text), Ok(sample()), "{text}");
    let line =
        "  { at_ms = 20, node = 1, op = { append = { bytes = 9, level = \"committed\" } } },";
    assert!(text.lines().any(|found| found == line), "{text}");
    let line = "  { at_ns = 7, kind = \"crash\", node = 1, unsynced = \"torn\" },";
    assert!(text.lines().any(|found| found == line), "{text}");
}

#[test]
fn every_generated_fault_survives_the_file() {
    let families = [
        Family::NETWORK,
        Family::PROCESS,
        Family::CLOCK,
        Family::DISK,
        &[Family::Wipe, Family::Flip],
    ];
    for seed in 0..100 {
        let mut plan: Plan<Op, Nothing> = Plan::new("any", seed, 4, Nothing {});
        plan.storm(&families.concat());
        plan.fault(
            Instant::ZERO,
            Fault::Filter {
                message: 3,
                from: None,
                to: Some(NodeIndex(2)),
            },
        );
        plan.weather = Weather::latency_us(5, 6);
        assert_eq!(Plan::parse(Path::new("any"), &plan.to_text()), Ok(plan));
    }
}

#[test]
fn hand_written_tables_read_as_well() {
    let text = "format = 1\nscenario = \"sample\"\nseed = 1\nnodes = 2\nsafety_ms = 50\n\
        liveness_ms = 0\n[cfg]\nretention = 1\nvoters = []\n\
        [[ops]]\nat_ms = 3\nnode = 1\nop = \"read\"\n\
        [[faults]]\nat_us = 8\nkind = \"partition\"\ngroups = [[0], [1]]\n";
    let plan = parse(text).expect("a plan");
    assert_eq!(plan.ops.len(), 1);
    assert_eq!(plan.faults[0].at, Instant::from_micros(8));
}

#[test]
fn no_text_makes_the_parser_panic() {
    let text = sample().to_text();
    for end in 0..text.len() {
        let _ = parse(&text[..end]);
    }
    for (index, _) in text.char_indices() {
        let mut bytes = text.clone().into_bytes();
        bytes[index] = b'=';
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }
}
