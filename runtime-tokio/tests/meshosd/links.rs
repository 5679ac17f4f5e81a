//! Which nodes talk to each other.

use super::common::{Cluster, Setup, meshosd, wait_for};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

/// Waits until both nodes show why they do not talk, and that both logged it.
fn refused_at_both_ends(cluster: &Cluster, one: u64, other: u64, name: &str) {
    for (id, peer) in [(one, other), (other, one)] {
        wait_for(name, || {
            cluster
                .refusal(id, peer)
                .filter(|reason| reason.contains(name))
        });
        assert!(cluster.log(id).contains(name), "node {id} logs {name}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

fn append(cluster: &Cluster, payload: &str) -> bool {
    meshosd(["chain", "append", "--chain", "orders", payload])
        .args(cluster.endpoints())
        .stdout(Stdio::null())
        .status()
        .unwrap()
        .success()
}

#[test]
fn two_clusters_from_one_template_do_not_speak() {
    let mut one = Cluster::with(Setup::default());
    // Node 3 was started with the file of another deployment, which has the same addresses.
    let file = fs::read_to_string(one.config(3)).unwrap();
    fs::write(one.config(3), file.replace("00d001", "00d002")).unwrap();
    one.start_all();
    wait_for("a leader", || one.leader());
    refused_at_both_ends(&one, 1, 3, "OtherCluster");
    refused_at_both_ends(&one, 2, 3, "OtherCluster");
    assert!(append(&one, "without node 3"));
    assert_eq!(one.status(3).unwrap()["commit"], 0);
}

#[test]
fn a_node_with_other_limits_is_refused_by_name() {
    let limits = |id| match id {
        3 => "entry_bytes_max = 4194304\nmessage_bytes_max = 8388608".to_owned(),
        _ => String::new(),
    };
    let mut cluster = Cluster::with(Setup {
        limits,
        ..Setup::default()
    });
    cluster.start_all();
    wait_for("a leader", || cluster.leader());
    refused_at_both_ends(&cluster, 1, 3, "limits.entry_bytes_max is ");
    assert!(append(&cluster, "without node 3"));
}

#[test]
fn a_node_whose_chains_keep_something_else_is_refused_by_name() {
    let mut cluster = Cluster::with(Setup::default());
    let file = fs::read_to_string(cluster.config(3)).unwrap();
    let file = file.replace("[[chains]]\n", "[[chains]]\nretention.entries_max = 10\n");
    fs::write(cluster.config(3), file).unwrap();
    cluster.start_all();
    wait_for("a leader", || cluster.leader());
    refused_at_both_ends(&cluster, 1, 3, "OtherPolicy");
    assert!(append(&cluster, "without node 3"));
}

#[test]
fn an_older_image_and_a_store_formatted_anew_are_refused_at_each_start() {
    let mut cluster = Cluster::with(Setup::default());
    cluster.start_all();
    wait_for("a leader", || cluster.leader());
    assert!(append(&cluster, "first"));
    assert!(cluster.stop(3).success());
    copy(&cluster.store(3), &cluster.path("image"));
    for _ in 0..2 {
        cluster.start(3);
        wait_for("node 3 to hear its peers", || {
            let status = cluster.status(3)?;
            (status["commit"].as_u64()? > 0).then_some(())
        });
        assert!(cluster.stop(3).success());
    }
    // Those who remember restart meanwhile.
    for id in [1, 2] {
        assert!(cluster.stop(id).success());
    }
    fs::rename(cluster.store(3), cluster.path("newest")).unwrap();
    fs::rename(cluster.path("image"), cluster.store(3)).unwrap();
    cluster.start_all();
    refused_at_both_ends(&cluster, 1, 3, "StoreRegressed");
    refused_at_both_ends(&cluster, 2, 3, "StoreRegressed");
    assert!(append(&cluster, "without node 3"));
    // Nothing of it counts with anybody any more, also not after another start.
    wait_for("node 3 to stop its replicas", || {
        let fault = cluster.status(3)?["fault"].as_str()?.to_owned();
        fault.contains("older image").then_some(())
    });
    assert_eq!(cluster.status(3).unwrap()["leader"], Value::Null);
    assert!(cluster.stop(3).success());
    for _ in 0..2 {
        let config = format!("--config={}", cluster.config(3).display());
        let output = meshosd(["run", &config]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("StoreRegressed: it heard boot 3"), "{said}");
    }
    fs::remove_dir_all(cluster.store(3)).unwrap();
    cluster.start(3);
    refused_at_both_ends(&cluster, 1, 3, "FormattedAnew");

    assert!(cluster.stop(3).success());
    fs::remove_dir_all(cluster.store(3)).unwrap();
    fs::rename(cluster.path("newest"), cluster.store(3)).unwrap();
    cluster.start(3);
    wait_for("the newest store to be taken", || {
        let level = cluster.status(3)?["commit"] == cluster.status(1)?["commit"];
        (level && cluster.refusal(1, 3).is_none()).then_some(())
    });
}

/// How many warnings a node logged that contain `what`.
fn warnings(cluster: &Cluster, id: u64, what: &str) -> usize {
    let log = cluster.log(id);
    let wanted = |line: &&str| line.contains("WARN") && line.contains(what);
    log.lines().filter(wanted).count()
}

fn wait_until_shown(cluster: &Cluster, id: u64, what: &str) {
    wait_for(what, || {
        let endpoint = format!("--endpoint={}", cluster.socket(id).display());
        let output = meshosd(["status", &endpoint]).output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        shown.contains(what).then_some(())
    });
}

#[test]
fn an_address_where_another_node_or_nobody_listens_is_one_warning_that_names_it() {
    let mut cluster = Cluster::with(Setup::default());
    let path = cluster.config(3);
    let good = fs::read_to_string(&path).unwrap();
    let [one, two] = [1, 2].map(|id| cluster.address(id));
    let swapped = good
        .replace(&one, "elsewhere")
        .replace(&two, &one)
        .replace("elsewhere", &two);
    fs::write(&path, swapped).unwrap();
    cluster.start_all();
    for (id, address) in [(1, &two), (2, &one)] {
        let told = format!("node {id}, dialled at {address}: node");
        wait_until_shown(&cluster, 3, &told);
        wait_until_shown(&cluster, id, "a call of node 3: node");
    }
    wait_for("a leader", || cluster.leader());
    for address in [&one, &two] {
        assert_eq!(warnings(&cluster, 3, address), 1, "{}", cluster.log(3));
    }
    for id in [1, 2] {
        assert_eq!(warnings(&cluster, id, "NotHere"), 1, "{}", cluster.log(id));
    }

    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = held.local_addr().unwrap().to_string();
    drop(held);
    assert!(cluster.stop(3).success());
    fs::write(&path, good.replace(&two, &nobody)).unwrap();
    cluster.start(3);
    wait_until_shown(&cluster, 3, &format!("node 2, dialled at {nobody}: "));
    wait_for("a warning", || {
        (warnings(&cluster, 3, &nobody) == 1).then_some(())
    });
}
