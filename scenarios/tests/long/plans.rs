//! Plans that cannot be meant are refused, whatever stands in them, and the others run.

use meshos_scenarios::cfg::Plan;
use meshos_scenarios::cfg::{ChainCfg, ClientCfg, FaultKind, NodeCfg, Target, TargetedFault};
use meshos_scenarios::model::{Ask, Op};
use meshos_scenarios::scenes;
use meshos_sim::machine::NodeIndex;
use meshos_sim::plan::assert_refuses_or_runs;
use meshos_sim::time::Instant;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// A plan with a line of everything that can be wrong.
fn rich() -> Plan {
    let mut plan = scenes::blank(7, 3);
    plan.cfg.idle_chains = 2;
    plan.cfg.salt = 1;
    plan.cfg.limits.entry_bytes_max = 2_000;
    plan.cfg.limits.message_bytes_max = 40_000;
    plan.cfg.timing.heartbeat_ms = 400;
    plan.cfg.nodes.push(NodeCfg {
        node: NodeIndex(2),
        timing: BTreeMap::from([("heartbeat_ms".to_owned(), 450)]),
        limits: BTreeMap::from([
            ("lag_max".to_owned(), 33),
            ("clients_max".to_owned(), 1_024),
        ]),
    });
    plan.cfg.chains.push(ChainCfg {
        name: "second".to_owned(),
        members: (0..3).map(NodeIndex).collect(),
        pinned: Some(NodeIndex(1)),
        ..ChainCfg::default()
    });
    plan.cfg.clients.push(ClientCfg::default());
    plan.cfg.targeted.push(TargetedFault {
        at_ms: 5_000,
        chain: 1,
        at: Target::Leader,
        kind: FaultKind::Crash,
        for_ms: 301,
    });
    let asks = [
        Ask::Append {
            client: None,
            number: 0,
            tag: 5,
            bytes: 77,
            local: false,
        },
        Ask::Transfer {
            to: Some(NodeIndex(2)),
        },
    ];
    for (ticket, ask) in (41..).zip(asks) {
        let op = Op {
            chain: 1,
            ticket,
            ask,
        };
        plan.op(Instant::from_millis(4_000), 0, op);
    }
    plan
}

/// What the command line says of a plan, and its exit status.
fn replayed(text: &str, name: &str) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a place for files");
    let file = directory.path().join(name);
    fs::write(&file, text).expect("writable");
    let output = Command::new(env!("CARGO_BIN_EXE_meshos-dst"))
        .arg("replay")
        .arg(&file)
        .output()
        .expect("it starts");
    let said = String::from_utf8(output.stderr).expect("text");
    (output.status.code(), said)
}

/// What stands in the plan, what is put in its place, the key that is named and what is said of it.
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    ("nodes = 3", "nodes = 0", "nodes", "found 0, expected 1 to"),
    (
        "nodes = 3",
        "nodes = 17",
        "nodes",
        "found 17 members, expected 1 or 3 to 16",
    ),
    (
        "nodes = 3",
        "nodes = 2",
        "cfg.chains[1].members[2]",
        "2, expected a node below 2",
    ),
    (
        "idle_chains = 2",
        "idle_chains = 4294967295",
        "cfg.idle_chains",
        "expected 0 to 10000",
    ),
    (
        "\"main\"",
        "\"\"",
        "cfg.chains[0].name",
        "found \"\", expected a name",
    ),
    (
        "\"main\"",
        "\"idle-1\"",
        "cfg.chains[0].name",
        "found \"idle-1\", expected a name that",
    ),
    (
        "\"second\"",
        "\"main\"",
        "cfg.chains[1].name",
        "found \"main\", expected a name that",
    ),
    (
        "heartbeat_ms = 450",
        "heartbeat_ms = 5",
        "cfg.nodes[0].timing.heartbeat_ms",
        "found 5, expected 100 to 300000",
    ),
    (
        "heartbeat_ms = 450",
        "heart_ms = 450",
        "cfg.nodes[0].timing",
        "unknown field",
    ),
    (
        "lag_max = 33",
        "lag_max = 0",
        "cfg.nodes[0].limits.lag_max",
        "found 0, expected 1 to",
    ),
    (
        "clients_max = 1024",
        "clients_max = 1000",
        "cfg.nodes[0].limits.clients_max",
        "found 1024, expected 1000, as on every node",
    ),
    (
        "[0, 1, 2]",
        "[0, 1, 1]",
        "cfg.chains[1].members",
        "lists node 2 twice",
    ),
    (
        "[0, 1, 2]",
        "[0, 2]",
        "cfg.chains[1].members",
        "2 members, expected 1 or 3 to 16",
    ),
    (
        "[0, 1, 2]",
        "[0]",
        "cfg.chains[1].pinned",
        "not among its members",
    ),
    (
        "pinned = 1",
        "pinned = 3",
        "cfg.chains[1].pinned",
        "3, expected a node below 3",
    ),
    (
        "heartbeat_ms = 400",
        "heartbeat_ms = 0",
        "cfg.timing.heartbeat_ms",
        "100 to 300000",
    ),
    (
        "message_bytes_max = 40000",
        "message_bytes_max = 1999",
        "cfg.limits.message_bytes_max",
        "is 1999, expected",
    ),
    (
        "chain = 0, sessions",
        "chain = 2, sessions",
        "cfg.clients[0].chain",
        "a chain below 2",
    ),
    (
        "sessions = 1",
        "sessions = 4294967295",
        "cfg.clients[0].sessions",
        "1 to 65535",
    ),
    (
        "bytes = [0, 200]",
        "bytes = [9, 8]",
        "cfg.clients[0].bytes",
        "found 9 and 8, expected",
    ),
    (
        "[0, 200]",
        "[0, 4294967295]",
        "cfg.clients[0].bytes",
        "both up to 67108865",
    ),
    (
        "interval_ms = 250",
        "interval_ms = 0",
        "cfg.clients[0].interval_ms",
        "found 0",
    ),
    (
        "patience_ms = 1500",
        "patience_ms = 0",
        "cfg.clients[0].patience_ms",
        "found 0",
    ),
    (
        "pause_ms = 400",
        "pause_ms = 0",
        "cfg.clients[0].pause_ms",
        "found 0, expected 1 to",
    ),
    (
        "pipeline = 4",
        "pipeline = 0",
        "cfg.clients[0].pipeline",
        "found 0, expected 1 to",
    ),
    (
        "reads_ppm = 200000",
        "reads_ppm = 1000001",
        "cfg.clients[0].reads_ppm",
        "0 to 1000000",
    ),
    (
        "start_ms = 3000",
        "start_ms = 9223372036854775807",
        "cfg.clients[0].start_ms",
        "expected 0 to",
    ),
    (
        "at_ms = 5000",
        "at_ms = 10000",
        "cfg.targeted[0].at_ms",
        "found 10000, expected a time of",
    ),
    (
        "chain = 1, kind",
        "chain = 9, kind",
        "cfg.targeted[0].chain",
        "9, expected a chain below 2",
    ),
    (
        "kind = \"crash\"",
        "kind = \"hug\"",
        "cfg.targeted[0].kind",
        "found unknown variant `hug`",
    ),
    (
        "for_ms = 301",
        "for_ms = 9223372036854775807",
        "cfg.targeted[0].for_ms",
        "expected 0 to",
    ),
    (
        "chain = 1, ticket = 41",
        "chain = 4, ticket = 41",
        "ops[0].op.chain",
        "a chain below 4",
    ),
    (
        "ticket = 42",
        "ticket = 41",
        "ops[1].op.ticket",
        "a ticket that no operation before it",
    ),
    (
        "ticket = 42",
        "ticket = 4294967296",
        "ops[1].op.ticket",
        "expected 0 to 4294967295",
    ),
    (
        "bytes = 77",
        "bytes = 4294967295",
        "ops[0].op.ask.bytes",
        "expected 0 to 67108865",
    ),
    (
        "to = 2",
        "to = 3",
        "ops[1].op.ask.to",
        "found 3, expected a node below 3",
    ),
    (
        "salt = 1",
        "salt = -1",
        "cfg.salt",
        "found integer `-1`, expected u32",
    ),
    (
        "salt = 1",
        "salz = 1",
        "cfg.salz",
        "found unknown field `salz`",
    ),
];

#[test]
fn a_plan_that_cannot_be_meant_is_refused_by_the_command_line() {
    let text = rich().to_text();
    assert_eq!(replayed(&text, "sound.toml").0, Some(0));
    for (from, to, key, problem) in MISTAKES {
        let broken = text.replacen(from, to, 1);
        assert_ne!(broken, text, "{from} is in {text}");
        let (status, said) = replayed(&broken, "broken.toml");
        let wanted = format!(": {key}: ");
        assert_eq!(status, Some(2), "{from} -> {to}: {said}");
        for part in ["broken.toml:", &wanted, problem] {
            assert!(said.contains(part), "{from} -> {to}: {part}\n{said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn every_scenario_refuses_or_runs_whatever_its_plans_say() {
    for scene in scenes::all() {
        assert_refuses_or_runs(&scene, 0..1, 150);
    }
}
