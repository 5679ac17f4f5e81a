//! A full disk whose entries have expired frees itself.

use super::common::{Cluster, Setup, meshosd, wait_for};
use super::machines::{append_through, judge, setup, shell};
use std::process::Stdio;
use std::time::Duration;

#[test]
fn a_full_store_with_expired_entries_takes_appends_again() {
    let mut cluster = Cluster::with(Setup {
        chain: "retention = { age_max_ms = 5000 }".to_owned(),
        limits: |_| "segment_bytes_max = 1048576".to_owned(),
        ..setup()
    });
    for id in 1..=3 {
        let store = cluster.store(id);
        let store = store.display();
        shell(&format!(
            "mkdir {store} && mount -t tmpfs -o size=8m none {store}"
        ));
    }
    for id in 1..=3 {
        cluster.start_with(id, &["--format"]);
    }
    wait_for("a leader", || cluster.leader());
    let fill = meshosd(["chain", "append", "--chain", "orders", "--count", "1000"])
        .args(["--payload-bytes", "200000", "--patience", "1"])
        .args(cluster.endpoints())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let was_full = (1..=3).any(|id| cluster.log(id).contains("no space"));
    assert!(
        was_full || fill.success(),
        "it was filled, or kept free all the time"
    );
    std::thread::sleep(Duration::from_secs(8));
    let took = append_through(&cluster, 1, "after expiry");
    for id in 1..=3 {
        cluster.stop(id);
        shell(&format!("umount {}", cluster.store(id).display()));
    }
    judge(
        "append to a full store with expired entries",
        vec![took],
        10.0,
        10.0,
    );
}
