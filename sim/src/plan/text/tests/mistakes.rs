//! Plans that cannot be meant are refused, by file, line and key.

use super::*;

/// What the sample says when one part of it is replaced.
fn mistake(from: &str, to: &str) -> String {
    let text = sample().to_text();
    assert!(text.contains(from), "{text}");
    parse(&text.replacen(from, to, 1)).expect_err("a mistake")
}

/// What stands in the sample, what is put in its place, and what is said of that.
const MISTAKES: &[(&str, &str, &str)] = &[
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
        "some.toml:4: nodes: found 0, expected 1 to 2048",
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

#[test]
fn mistakes_name_file_key_found_and_expected() {
    for (from, to, expected) in MISTAKES {
        let found = mistake(from, to);
        assert!(
            found.contains(expected),
            "{from} -> {to}\n found {found}\nwanted {expected}"
        );
        assert!(found.starts_with("some.toml:"), "{found}");
    }
}

/// A plan with every fault whose values have bounds.
fn rich() -> Plan<Op, Nothing> {
    let mut plan: Plan<Op, Nothing> = Plan::new("rich", 7, 3, Nothing {});
    let (node, to) = (NodeIndex(1), NodeIndex(2));
    plan.op(Instant::from_millis(19_999), 0, Op::Read);
    plan.weather.loss_ppm = 11;
    plan.clock_ppm = vec![-31, 0, 32];
    plan.absent = vec![NodeIndex(1)];
    let faults = [
        Fault::Weather {
            from: None,
            to: Some(to),
            weather: Some(Weather {
                duplicate_ppm: 12,
                reorder_ppm: 13,
                ..Weather::latency_us(14, 15)
            }),
        },
        Fault::ClockRate { node, ppm: 16 },
        Fault::ClockJump { node, ms: 17 },
        Fault::LateWake { node, by_ms: 18 },
        Fault::DiskLatency {
            node,
            us_min: 19,
            us_max: 20,
        },
        Fault::CrashAtPersist {
            node,
            op: 21,
            unsynced: Unsynced::Drawn,
            restart_after_ms: Some(22),
        },
        Fault::Flip { node, bits: 23 },
        Fault::FlipAt {
            node,
            file: "log".to_owned(),
            offset: 24,
            bit: 6,
        },
        Fault::Partition {
            groups: vec![vec![node], vec![to]],
        },
        Fault::Cut { from: node, to },
    ];
    for fault in faults {
        plan.fault(Instant::from_millis(25), fault);
    }
    plan
}

/// The same for values that their types allow.
const VALUES: &[(&str, &str, &str)] = &[
    (
        "nodes = 3",
        "nodes = 65535",
        "nodes: found 65535, expected 1 to 2048",
    ),
    (
        "safety_ms = 10000",
        "safety_ms = 9223372036854775807",
        "safety_ms: found 9223",
    ),
    (
        "liveness_ms = 10000",
        "liveness_ms = 9223372036854775807",
        "liveness_ms: found 9223",
    ),
    (
        "wall_ms = 1700000000000",
        "wall_ms = 9223372036854775807",
        "wall_ms: found 9223",
    ),
    (
        "origin_ms_max = 0",
        "origin_ms_max = 9223372036854775807",
        "origin_ms_max: found 9223",
    ),
    (
        "disk_us = [100, 2000]",
        "disk_us = [2000, 100]",
        "disk_us: found 2000 and 100, expected",
    ),
    (
        "at_ms = 19999",
        "at_ms = 20001",
        "ops[0]: found 20.001000s, expected a time up to",
    ),
    (
        "loss_ppm = 11",
        "loss_ppm = 1000001",
        "weather.loss_ppm: found 1000001, expected 0 to",
    ),
    (
        "absent = [1]",
        "absent = [3]",
        "absent[0]: found 3, expected a node below 3",
    ),
    (
        "clock_ppm = [-31, 0, 32]",
        "clock_ppm = [-31, 0]",
        "clock_ppm: found 2 rates, expected none or 3",
    ),
    (
        "[-31, 0, 32]",
        "[0, -1000000, 0]",
        "clock_ppm[1]: found -1000000, expected more than -1000000",
    ),
    (
        "duplicate_ppm = 12",
        "duplicate_ppm = 4294967295",
        "faults[0].weather.duplicate_ppm:",
    ),
    (
        "reorder_ppm = 13",
        "reorder_ppm = 1000001",
        "faults[0].weather.reorder_ppm: found 1000",
    ),
    (
        "latency_us_min = 14",
        "latency_us_min = 16",
        "faults[0].weather.latency_us_max: found 16",
    ),
    (
        ", ppm = 16",
        ", ppm = -1000000",
        "faults[1].ppm: found -1000000, expected more than",
    ),
    (
        ", ms = 17",
        ", ms = 9223372036854775807",
        "faults[2].ms: found 9223",
    ),
    (
        "by_ms = 18",
        "by_ms = 9223372036854775807",
        "faults[3].by_ms: found 9223",
    ),
    (
        "us_min = 19",
        "us_min = 21",
        "faults[4].us_max: found 21 and 20, expected the lower",
    ),
    (
        "us_max = 20",
        "us_max = 9223372036854775807",
        "faults[4].us_max: found 19 and 9223",
    ),
    (
        ", op = 21",
        ", op = 0",
        "faults[5].op: found 0, expected 1 to",
    ),
    (
        "restart_after_ms = 22",
        "restart_after_ms = 9223372036854775807",
        "faults[5].restart_after",
    ),
    (
        "bits = 23",
        "bits = 4294967295",
        "faults[6].bits: found 4294967295, expected 0 to",
    ),
    (
        ", bit = 6",
        ", bit = 8",
        "faults[7].bit: found 8, expected 0 to 7",
    ),
    (
        "[[1], [2]]",
        "[[1], [2, 1]]",
        "faults[8].groups: found node 1 twice, expected each",
    ),
    (
        "[[1], [2]]",
        "[[1], [3]]",
        "faults[8]: found 3, expected a node below 3",
    ),
    (
        "from = 1, to = 2",
        "from = 1, to = 3",
        "faults[9]: found 3, expected a node below 3",
    ),
];

#[test]
fn values_that_cannot_be_meant_are_refused() {
    let text = rich().to_text();
    let parse = |text: &str| Plan::<Op, Nothing>::parse(Path::new("some.toml"), text);
    assert_eq!(parse(&text), Ok(rich()));
    for (from, to, expected) in VALUES {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text, "{from} is in {text}");
        let found = parse(&broken).expect_err(to).to_string();
        assert!(
            found.contains(expected),
            "{from} -> {to}\n found {found}\nwanted {expected}"
        );
        let line = found
            .strip_prefix("some.toml:")
            .map(|rest| rest.split(':').next());
        assert!(
            line.is_some_and(|line| line.is_some_and(|line| line.parse::<u32>().is_ok())),
            "{found}"
        );
    }
}
