//! Reading and writing plans.

use super::*;
use crate::fault::{Fault, Unsynced, Weather};
use crate::plan::{Expect, Nothing};
use crate::storm::Family;
use crate::time::Instant;
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

/// What the sample says when one part of it is replaced.
fn mistake(from: &str, to: &str) -> String {
    let text = sample().to_text();
    assert!(text.contains(from), "{text}");
    parse(&text.replacen(from, to, 1)).expect_err("a mistake")
}

#[test]
fn mistakes_name_file_key_found_and_expected() {
    let cases = [
        (
            "seed = 7",
            "sede = 7",
            "some.toml:3: sede: found unknown field `sede`, expected one of",
        ),
        (
            "seed = 7",
            "seed = \"7\"",
            "some.toml:3: seed: found string \"7\", expected u64",
        ),
        ("seed = 7", "", "some.toml: missing field `seed`"),
        (
            "format = 1",
            "format = 2",
            "some.toml:1: format: found 2, expected 1",
        ),
        (
            "format = 1",
            "",
            "some.toml: format: found nothing, expected 1",
        ),
        (
            "\"sample\"",
            "5",
            "some.toml:2: scenario: found integer, expected a string",
        ),
        (
            "bytes = 9",
            "bites = 9",
            "ops[0].op.append.bites: found unknown field `bites`",
        ),
        (
            "bytes = 9",
            "bytes = -1",
            "ops[0].op.append.bytes: found integer `-1`, expected u32",
        ),
        (
            "op = \"read\"",
            "op = \"write\"",
            "ops[1].op: found unknown variant `write`",
        ),
        (
            "at_ms = 20",
            "at = 20",
            "ops[0].at: found unknown field `at`, expected one of `at_ns`",
        ),
        (
            "at_ms = 20",
            "at_ms = 20, at_us = 2",
            "found several, expected one of at_ms, at_us",
        ),
        ("at_ms = 20,", "", "ops[0]: missing field `at_ms`"),
        (
            "kind = \"heal\"",
            "kind = \"health\"",
            "found unknown variant `health`, expected one of",
        ),
        (
            "node = 1, unsynced",
            "node = 1, sync = 1, unsynced",
            "found unknown field `sync`",
        ),
        (
            "node = 1, unsynced",
            "node = 3, unsynced",
            "faults[0]: found 3, expected a node below 3",
        ),
        (
            "at_ms = 90",
            "at_ms = 90000",
            "faults[1]: found 90.000000s, expected a time of the safe",
        ),
        (
            "node = 2, op",
            "node = 7, op",
            "ops[1].node: found 7, expected a node below 3",
        ),
        (
            "core = [0, 2]",
            "core = [0, 9]",
            "core[1]: found 9, expected a node below 3",
        ),
        (
            "nodes = 3",
            "nodes = 0",
            "some.toml:4: nodes: found 0, expected at least 1",
        ),
        (
            "retention = 5",
            "retention = true",
            "cfg.retention: found boolean `true`, expected u32",
        ),
        (
            "[expect]",
            "[expected]",
            "expected: found unknown field `expected`",
        ),
        (
            "violates = ",
            "violated = ",
            "expect.violated: found unknown field `violated`",
        ),
        ("seed = 7", "seed = = 7", "some.toml:3"),
    ];
    for (from, to, expected) in cases {
        let found = mistake(from, to);
        assert!(
            found.contains(expected),
            "{from} -> {to}\n found {found}\nwanted {expected}"
        );
        assert!(found.starts_with("some.toml:"), "{found}");
    }
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
