//! A member that was away comes level over a slow cable.

use super::common::{Cluster, PATIENCE, wait_for};
use super::machines::{commit, judge, setup, slow_down};
use std::process::Stdio;
use std::time::{Duration, Instant};

const ENTRIES: u32 = 25;
const BYTES: u32 = 200_000;

fn level_over(kbit: u32) {
    let mut cluster = Cluster::with(setup());
    cluster.start_all();
    wait_for("a leader", || cluster.leader());
    let away = wait_for("a follower", || {
        let leader = cluster.leader()?;
        Some(leader % 3 + 1)
    });
    assert!(cluster.stop(away).success());
    let (count, bytes) = (ENTRIES.to_string(), BYTES.to_string());
    let status = super::common::meshosd(["chain", "append", "--chain", "orders"])
        .args(["--count", &count, "--payload-bytes", &bytes])
        .args(cluster.endpoints())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    slow_down(away, kbit);
    cluster.start(away);
    let begun = Instant::now();
    let carried = f64::from(ENTRIES * BYTES * 8) / f64::from(kbit * 1000);
    let goal = 3.0 * carried + 10.0;
    let deadline = begun + PATIENCE + Duration::from_secs_f64(goal);
    let leader = wait_for("a leader", || cluster.leader());
    let mut leaders = 0;
    loop {
        let (here, there) = (commit(&cluster, away), commit(&cluster, leader));
        if here.is_some() && here == there {
            break;
        }
        leaders += u32::from(cluster.leader() != Some(leader));
        assert!(
            Instant::now() < deadline,
            "{here:?} of {there:?} after a long wait"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(leaders, 0, "the leader leads all the time");
    let what =
        format!("{ENTRIES} entries of {BYTES} bytes at {kbit} kbit/s, carried in {carried} s");
    judge(&what, vec![begun.elapsed()], goal, goal);
}

#[test]
fn entries_arrive_at_400_kbit() {
    level_over(400);
}

#[test]
fn entries_arrive_at_1000_kbit() {
    level_over(1000);
}
