//! Stores and recordings that are not whole any more.

use super::common::{Cluster, complaint, meshosd, run, wait_for};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// The segments of the only chain in a store, in their order.
fn segments(store: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(store).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let segments = paths.filter(|path| path.to_string_lossy().contains("segment"));
    let mut segments: Vec<PathBuf> = segments.collect();
    segments.sort();
    segments
}

#[test]
fn damage_in_a_store_is_named_and_ends_with_1() {
    let mut cluster = Cluster::new("full");
    cluster.start_all();
    wait_for("a leader", || cluster.leader());
    let endpoints = cluster.endpoints();
    let many = ["chain", "append", "--chain", "orders", "--count", "200"];
    run(many.into_iter().chain(endpoints.iter().map(String::as_str)));
    for id in 1..=3 {
        assert!(cluster.stop(id).success());
    }
    let store = cluster.store(1);
    let segment = segments(&store).remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    let payload = b"payload-0-100";
    let mut windows = bytes.windows(payload.len());
    let at = windows.position(|window| window == payload).unwrap();
    bytes[at] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let output = meshosd(["chain", "verify", "--json"]).arg(&store).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verified["clean"], false);
    assert_eq!(verified["chains"][0]["unknown"], 1);
    assert!(
        complaint(&output).contains("segment"),
        "{}",
        complaint(&output)
    );

    // Alone it does not lead, and says why.
    cluster.start(1);
    wait_for("the node", || cluster.status(1));
    let endpoint = format!("--endpoint={}", cluster.socket(1).display());
    let output = cluster.append_at(1);
    assert_eq!(output.status.code(), Some(1));
    let told = complaint(&output);
    assert!(told.contains("; on its store 1 entry is damaged"), "{told}");
    let output = meshosd(["status", &endpoint]).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains(", 1 entry is damaged"), "{shown}");
    assert!(cluster.stop(1).success());

    // Peers repair it; what is damaged stays there, but nothing is missing any more.
    cluster.start_all();
    wait_for("the repair", || {
        let status = cluster.status(1)?;
        (status["unknown"] == 0 && status["commit"] == cluster.status(2)?["commit"]).then_some(())
    });
    // Another start has nothing to repair.
    assert!(cluster.stop(1).success());
    cluster.start(1);
    wait_for("the node", || cluster.status(1));
    let log = cluster.log(1);
    let warned = log
        .lines()
        .filter(|line| line.contains("not as it was written"));
    let warned: Vec<&str> = warned.collect();
    // Each start that met the damage says so once.
    assert_eq!(warned.len(), 2, "{log}");
    assert!(warned[0].contains("orders"), "{log}");
    assert!(log.contains("nothing is missing for it"), "{log}");
    for id in 1..=3 {
        assert!(cluster.stop(id).success());
    }
    let path = store.display().to_string();
    let verified: Value = serde_json::from_str(&run(["chain", "verify", "--json", &path])).unwrap();
    assert_eq!(verified["clean"], true, "{verified}");
    assert_eq!(
        verified["mended"].as_array().unwrap().len(),
        1,
        "{verified}"
    );

    // The end of the log is cut off, as a disk may do and no crash does.
    let length = fs::metadata(&segment).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.set_len(length / 2).unwrap();
    for behind in &segments(&store)[1..] {
        fs::remove_file(behind).unwrap();
    }
    let output = meshosd(["chain", "verify", &path]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("its end is lost"), "{told}");
}

#[test]
fn a_recording_that_ends_is_shown_and_the_node_goes_on() {
    let mut cluster = Cluster::new("full");
    cluster.start_all();
    wait_for("a leader", || cluster.leader());
    let endpoint = format!("--endpoint={}", cluster.socket(1).display());
    let status = || meshosd(["status", &endpoint]).output().unwrap();
    let told = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!told(&status()).contains("recording"));
    // The next file of the recording has no place.
    fs::remove_dir_all(cluster.recording(1)).unwrap();
    let many = ["chain", "append", "--chain", "orders", "--count", "100"];
    let sized = ["--payload-bytes", "20000", &endpoint];
    run(many.into_iter().chain(sized));
    let output = wait_for("the end of the recording", || {
        let output = status();
        told(&output)
            .contains(", its recording has ended")
            .then_some(output)
    });
    assert_eq!(output.status.code(), Some(1));
    run(["chain", "append", "--chain", "orders", &endpoint, "x"]);
}
