//! How long clients wait when the leader's process, its machine or its cable is gone.

use super::common::{Cluster, Setup, wait_for};
use super::machines::{
    Load, append, append_through, cut, heal, judge, lose_large, next_acked, setup, shell,
};
use std::time::{Duration, Instant};

fn started(setup: Setup) -> Cluster {
    let mut cluster = Cluster::with(setup);
    cluster.start_all();
    wait_for("a leader", || cluster.leader());
    cluster
}

/// Lets everybody catch up before the next blow.
fn settle(cluster: &Cluster) -> u64 {
    std::thread::sleep(Duration::from_secs(2));
    wait_for("a leader", || cluster.leader())
}

#[test]
fn twenty_kills_of_the_leader_under_load() {
    let mut cluster = started(setup());
    let load = Load::start(&cluster, 8, 64);
    let mut took = Vec::new();
    for _ in 0..20 {
        let leader = settle(&cluster);
        cluster.kill(leader);
        took.push(next_acked(&cluster));
        cluster.start(leader);
    }
    drop(load);
    judge("killed leader, next acknowledgement", took, 0.5, 1.0);
}

#[test]
fn five_pauses_of_the_leader_under_load() {
    let cluster = started(setup());
    let load = Load::start(&cluster, 8, 64);
    let mut took = Vec::new();
    for _ in 0..5 {
        let leader = settle(&cluster);
        shell(&format!("kill -STOP {}", cluster.process(leader)));
        took.push(next_acked(&cluster));
        shell(&format!("kill -CONT {}", cluster.process(leader)));
    }
    drop(load);
    judge("paused leader, next acknowledgement", took, 4.0, 4.0);
}

#[test]
fn twenty_cuts_of_the_leaders_cable_under_load() {
    let cluster = started(setup());
    let load = Load::start(&cluster, 8, 64);
    let (mut took, mut healed) = (Vec::new(), Vec::new());
    for number in 0..20 {
        let leader = settle(&cluster);
        cut(leader);
        took.push(next_acked(&cluster));
        // Cuts of different lengths meet different pauses of those who dial.
        std::thread::sleep(Duration::from_millis(700 * (number % 8)));
        heal(leader);
        healed.push(append_through(&cluster, leader, "healed"));
    }
    drop(load);
    judge("cut leader, next acknowledgement", took, 4.0, 4.0);
    judge("healed, append through that node", healed, 1.0, 3.0);
}

#[test]
fn six_pinned_hand_overs_under_load() {
    let mut cluster = started(Setup {
        timing: "pin_ms = 2000".to_owned(),
        chain: "leader_pinned = 1".to_owned(),
        ..setup()
    });
    let load = Load::start(&cluster, 8, 4096);
    let leads = |cluster: &Cluster| {
        wait_for("the pinned node to lead", || {
            cluster.leader().filter(|leader| *leader == 1)
        });
    };
    leads(&cluster);
    let mut took = Vec::new();
    for _ in 0..6 {
        assert!(cluster.stop(1).success());
        std::thread::sleep(Duration::from_secs(3));
        cluster.start(1);
        let begun = Instant::now();
        leads(&cluster);
        took.push(begun.elapsed());
    }
    drop(load);
    judge("pinned node leads after its start", took, 12.0, 12.0);
}

#[test]
fn a_leader_whose_large_packets_are_lost_hands_over() {
    let cluster = started(setup());
    let leader = settle(&cluster);
    lose_large(leader);
    // One that reaches no node but the leader, which cannot pass it on.
    let payload = "x".repeat(100_000);
    let took = append(&cluster.endpoints(), &payload);
    judge(
        "large append past the leader's path",
        vec![took],
        20.0,
        20.0,
    );
    let now = wait_for("a leader", || cluster.leader());
    assert_ne!(now, leader);
}
