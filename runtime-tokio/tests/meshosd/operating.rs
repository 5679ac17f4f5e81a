//! What the guide for operators says is so: its commands work, its list of keys is complete, its
//! defaults are the real ones, and what nodes and stores refuse is in it.

use super::common::{terminate, wait_for};
use super::guide::{Node, blocks, shell, text};
use meshos_core::action::StopReason;
use meshos_core::config::Retention;
use meshos_core::id::StoreId;
use meshos_runtime_tokio::config::{
    ChainTable, ClassText, ClusterTable, ConfigFile, Consistency, NodeEntry, NodeTable,
    PayloadText, RecordingTable, StoreTable,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Stdio;

const GUIDE: &str = "docs/OPERATING.md";

#[test]
fn every_command_of_the_guide_works() {
    let directory = tempfile::tempdir().unwrap();
    let held = [7101, 7102, 7103].map(|port| (port, TcpListener::bind("127.0.0.1:0").unwrap()));
    let free = held.map(|(port, held)| (format!(":{port}"), held.local_addr().unwrap().port()));
    let mut nodes: Vec<Node> = Vec::new();
    for line in blocks(GUIDE, "Start", "sh").concat().lines() {
        assert!(line.starts_with("meshosd "), "{line}");
        let mut line = line.to_owned();
        for (written, port) in &free {
            line = line.replace(written, &format!(":{port}"));
        }
        let mut command = shell(&line, directory.path());
        if line.starts_with("meshosd run ") {
            let child = command.stderr(Stdio::null()).spawn().unwrap();
            nodes.push(Node(child));
            continue;
        }
        if line.starts_with("meshosd status ") {
            wait_for("all nodes to be well", || {
                let output = shell(&line, directory.path()).output().unwrap();
                output.status.success().then_some(())
            });
        }
        if line.starts_with("meshosd chain verify ") {
            for mut node in nodes.drain(..) {
                terminate(&node.0);
                let status = wait_for("the node to stop", || node.0.try_wait().unwrap());
                assert!(status.success(), "{status}");
            }
        }
        let output = command.output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {complaint}");
    }
    assert!(nodes.is_empty(), "the guide verifies a store at last");
}

#[test]
fn what_the_guide_installs_is_this_program() {
    let install = blocks(GUIDE, "Install", "text").concat();
    assert_eq!(install, "cargo install --locked --path runtime-tokio\n");
    let manifest = text("runtime-tokio/Cargo.toml");
    assert!(manifest.contains("name = \"meshosd\""), "{manifest}");
}

/// A file in which every key is set, so that one that is added has to be named here.
fn whole_file() -> ConfigFile {
    let id = StoreId::new(1).into();
    let chain = ChainTable {
        name: "orders".to_owned(),
        consistency: Consistency::Quorum,
        factor: Some(1),
        members: Some(vec![1]),
        leader_pinned: Some(1),
        class: ClassText::Foreground,
        retention: Retention {
            entries_max: Some(1),
            bytes_max: Some(1),
            age_max_ms: Some(1),
        },
    };
    ConfigFile {
        node: NodeTable {
            id: 1,
            listen: Some("a:1".to_owned()),
            control: "socket".into(),
            hand_over_ms: 10_000,
        },
        store: StoreTable {
            path: "store".into(),
            id,
        },
        recording: RecordingTable {
            path: Some("recording".into()),
            payload: PayloadText::Full,
            ..RecordingTable::default()
        },
        cluster: ClusterTable {
            deployment: id,
            nodes: vec![NodeEntry {
                id: 1,
                store: id,
                address: "a:1".to_owned(),
            }],
        },
        chains: vec![chain],
        timing: Default::default(),
        limits: Default::default(),
    }
}

/// Every key under `value` with what it is set to.
fn flatten(key: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(table) => {
            for (name, value) in table {
                let dot = if key.is_empty() { "" } else { "." };
                flatten(&format!("{key}{dot}{name}"), value, into);
            }
        }
        Value::Array(tables) if tables.iter().any(Value::is_object) => {
            tables.iter().for_each(|table| flatten(key, table, into));
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            into.insert(key.to_owned(), value.clone());
        }
    }
}

fn keys(value: &impl serde::Serialize) -> BTreeMap<String, Value> {
    let mut keys = BTreeMap::new();
    flatten("", &serde_json::to_value(value).unwrap(), &mut keys);
    keys
}

/// The rows of the tables in one section, as cells.
fn rows(title: &str) -> Vec<Vec<String>> {
    let text = text(GUIDE);
    let (_, section) = text.split_once(&format!("\n## {title}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with("| "));
    let rows = lines.map(|line| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    });
    rows.collect()
}

#[test]
fn the_guide_names_every_key_and_its_default_and_no_other() {
    let mut said = BTreeMap::new();
    for row in rows("Config") {
        assert_eq!(row.len(), 4, "{row:?}");
        let Some(key) = row[0].strip_prefix('`') else {
            continue;
        };
        let (key, mark) = key.split_once('`').unwrap();
        assert!(["", " ="].contains(&mark), "{row:?}");
        assert!(
            said.insert(key.to_owned(), row[1].clone()).is_none(),
            "{key} twice"
        );
        assert!(!row[3].is_empty(), "{key} has a meaning");
    }
    let there = keys(&whole_file());
    let (named, real): (Vec<_>, Vec<_>) = (said.keys().collect(), there.keys().collect());
    assert_eq!(named, real);

    let least = "[node]\nid = 1\ncontrol = \"s\"\n[store]\npath = \"s\"\n\
        id = \"00000000000000000000000000000001\"\n[cluster]\n\
        deployment = \"00000000000000000000000000000001\"\nnodes = []\n[[chains]]\nname = \"a\"\n";
    let file: ConfigFile = toml::from_str(least).unwrap();
    let defaults = keys(&file);
    for (key, default) in &said {
        let real = defaults.get(key).filter(|real| !real.is_null());
        match real {
            Some(Value::Number(real)) if default != "required" => {
                assert_eq!(*default, real.to_string(), "{key}");
            }
            Some(Value::String(real)) if default != "required" => {
                assert_eq!(default, real, "{key}")
            }
            Some(_) => assert!(least.contains(key.rsplit('.').next().unwrap()), "{key}"),
            None => assert!(default.parse::<u64>().is_err(), "{key} has no default"),
        }
    }
}

/// What an error may say, up to the first thing that differs from case to case, from its source.
fn refusals(file: &str) -> Vec<String> {
    let source = text(file);
    let said = source.split("#[error(").skip(1);
    let said = said.filter_map(|rest| Some(rest.split_once('"')?.1.split_once(':')?.0.to_owned()));
    let words = said.filter(|word| word.chars().all(char::is_alphanumeric));
    words.collect()
}

#[test]
fn the_guide_says_what_to_do_about_everything_that_is_refused() {
    let told = rows("What is refused, and what to do");
    let named = |what: &str| {
        let mut rows = told.iter().filter(|row| row.len() >= 2);
        assert!(rows.any(|row| row[0].contains(what)), "{what}");
    };
    let refusals = refusals("core/src/hello/refusal.rs");
    assert!(refusals.len() > 8, "{refusals:?}");
    refusals.iter().for_each(|word| named(word));
    for fault in [
        StopReason::StoreBroken,
        StopReason::ReplicaLost,
        StopReason::StoreRegressed,
        StopReason::Contradicted,
        StopReason::NotMember,
    ] {
        let words: Vec<String> = fault.to_string().split(' ').map(str::to_owned).collect();
        named(&words[..4].join(" "));
    }
}

#[test]
fn what_the_guide_quotes_is_what_is_said() {
    let sources = [
        "boot.rs",
        "open.rs",
        "directory.rs",
        "recording.rs",
        "run_error.rs",
        "cli/session.rs",
        "cli/mod.rs",
        "cli/status.rs",
    ]
    .map(|file| text(&format!("runtime-tokio/src/{file}")));
    let core = ["hello/refusal.rs", "action.rs", "client.rs", "node/mod.rs"]
        .map(|file| text(&format!("core/src/{file}")));
    // A text that is long goes over several lines of its source.
    let said = sources.concat() + &core.concat();
    let said = said.replace("\\\n", " ");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for row in rows("What is refused, and what to do") {
        if row.len() < 2 || ["word", "text"].contains(&&*row[0]) || row[0].starts_with('-') {
            continue;
        }
        for part in row[0].split(" .. ") {
            let part = part.split(" (`").next().unwrap().trim_matches('`');
            assert!(said.contains(part), "{part}");
        }
    }
}
