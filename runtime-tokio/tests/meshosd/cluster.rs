//! Three real nodes lose their leader again and again while clients append.
//!
//! No acknowledged append may be missing, none may be there twice, every store has to be intact,
//! and every run of every node has to come out the same when its recording is replayed.

use super::common::{Cluster, meshosd, run, wait_for};
use meshos_core::replay::replay_all;
use meshos_runtime_tokio::directory::read_files;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Clients that append at the same time.
const CLIENTS: usize = 16;

/// Longest time without a leader, of what takes about one second; the rest is for the machine.
const FAILOVER_MAX: Duration = Duration::from_secs(20);

/// One acknowledged append.
struct Acked {
    seq: u64,
    payload: String,
}

fn acked(cluster: &Cluster) -> Vec<Acked> {
    let text = fs::read_to_string(cluster.path("acked")).unwrap_or_default();
    let lines = text.lines().map(|line| {
        let value: Value = serde_json::from_str(line).unwrap();
        Acked {
            seq: value["seq"].as_u64().unwrap(),
            payload: value["payload"].as_str().unwrap().to_owned(),
        }
    });
    lines.collect()
}

fn acked_count(cluster: &Cluster) -> usize {
    let text = fs::read(cluster.path("acked")).unwrap_or_default();
    text.iter().filter(|byte| **byte == b'\n').count()
}

/// Runs `count` appends through `kills` deaths of the leader and checks everything afterwards.
fn torment(payload: &str, count: usize, kills: usize) {
    let mut cluster = Cluster::new(payload);
    cluster.start_all();
    wait_for("a leader", || cluster.leader());
    let mut clients = meshosd(["chain", "append", "--chain", "orders", "--patience", "120"])
        .args(["--count", &count.to_string()])
        .args(["--clients", &CLIENTS.to_string()])
        .arg("--acked")
        .arg(cluster.path("acked"))
        .args(cluster.endpoints())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut runs: BTreeMap<u64, usize> = (1..=3).map(|id| (id, 1)).collect();
    for kill in 1..=kills {
        // Spread over the whole run, and never after its end.
        let due = count * kill / (kills + 1);
        wait_for("appends to go on", || {
            (acked_count(&cluster) >= due).then_some(())
        });
        let leader = wait_for("a leader", || cluster.leader());
        cluster.kill(leader);
        let killed = Instant::now();
        // What it had answered when it died may still be noted.
        let next = acked_count(&cluster) + CLIENTS + 1;
        wait_for("the next acknowledgements", || {
            (acked_count(&cluster) >= next.min(count)).then_some(())
        });
        let took = killed.elapsed();
        assert!(took < FAILOVER_MAX, "no acknowledgement for {took:?}");
        cluster.start(leader);
        *runs.get_mut(&leader).unwrap() += 1;
    }
    assert!(
        clients.wait().unwrap().success(),
        "every append ends acknowledged"
    );
    wait_for("all nodes", || {
        (1..=3).all(|id| cluster.status(id).is_some()).then_some(())
    });

    let acked = acked(&cluster);
    assert_eq!(acked.len(), count);
    for id in 1..=3 {
        check_log(&cluster.read(id), &acked);
    }
    for id in 1..=3 {
        assert!(
            cluster.stop(id).success(),
            "SIGTERM ends a node with status 0"
        );
    }
    let stores = (1..=3).map(|id| cluster.store(id));
    let verify = ["chain".into(), "verify".into()];
    run(verify.into_iter().chain(stores));
    let version = run(["--version"]);
    for id in 1..=3 {
        let reports = replay_all(&read_files(&cluster.recording(id)).unwrap());
        assert_eq!(
            reports.len(),
            runs[&id],
            "every run of node {id} is recorded"
        );
        for report in &reports {
            assert!(report.is_identical(), "{report}");
            assert!(report.steps > 0, "{report}");
            assert_eq!(report.build, version.trim());
        }
        assert!(
            reports.last().unwrap().has_end,
            "the last run stopped in order"
        );
    }
    let all: usize = runs.values().sum();
    assert_eq!(all, 3 + kills);
}

/// Every acknowledged append stands at its position, and no payload stands there twice.
fn check_log(log: &[(u64, String)], acked: &[Acked]) {
    let by_seq: BTreeMap<u64, &str> = log.iter().map(|(seq, text)| (*seq, &**text)).collect();
    for Acked { seq, payload } in acked {
        let found = by_seq.get(seq).copied();
        assert_eq!(found, Some(&**payload), "what was acknowledged at {seq}");
    }
    let payloads: BTreeSet<&str> = log.iter().map(|(_, text)| &**text).collect();
    assert_eq!(payloads.len(), log.len(), "nothing was appended twice");
    assert_eq!(log.len(), acked.len(), "nothing else was appended");
}

#[test]
fn acknowledged_appends_survive_five_deaths_of_the_leader() {
    torment("full", 10_000, 5);
    torment("digest", 10_000, 5);
}
