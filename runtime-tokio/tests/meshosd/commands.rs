//! The command line of `meshosd` and its exit codes, with real processes on loopback.

use super::common::{Cluster, PATIENCE, Setup, complaint, meshosd, run, wait_for};
use meshos_core::chain::payload::Payload;
use meshos_core::client::{self, ClientRequest, Level};
use meshos_core::id::ChainId;
use meshos_runtime_tokio::control::{Ask, Client, Reply};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

#[test]
fn three_nodes_append_read_hand_over_and_verify() {
    let mut cluster = Cluster::new("full");
    cluster.start_all();
    let leader = wait_for("a leader", || cluster.leader());
    let follower = leader % 3 + 1;
    let through = format!("--endpoint={}", cluster.socket(follower).display());
    let shown = run([
        "chain", "append", "--chain", "orders", "--json", &through, "hello",
    ]);
    let answer: Value = serde_json::from_str(&shown).unwrap();
    let seq = answer["seq"].as_u64().unwrap();
    assert_eq!(cluster.read(leader), [(seq, "hello".to_owned())]);
    let tail = [
        "chain",
        "tail",
        "--chain",
        "orders",
        "--no-follow",
        "-n",
        "1",
    ];
    assert!(run(tail.into_iter().chain([&*through])).ends_with(" hello\n"));

    // The leader goes: another one leads before anybody could have missed it.
    assert!(cluster.stop(leader).success());
    let next = wait_for("another leader", || cluster.leader());
    assert_ne!(next, leader);
    let log = fs::read_to_string(cluster.path(&format!("{leader}.log"))).unwrap();
    assert!(!log.contains("could not be handed over"), "{log}");
    let endpoints = cluster.endpoints();
    let endpoints = endpoints.iter().map(String::as_str);
    let again = ["chain", "append", "--chain", "orders", "again"];
    run(again.into_iter().chain(endpoints));

    cluster.start(leader);
    wait_for("the node to catch up", || {
        let payloads = cluster.read(leader).into_iter().map(|(_, text)| text);
        payloads.eq(["hello", "again"]).then_some(())
    });
    for id in 1..=3 {
        assert!(cluster.stop(id).success());
        run(["chain", "verify", &cluster.store(id).display().to_string()]);
    }
    let dump = run(["chain", "dump", &cluster.store(next).display().to_string()]);
    assert!(
        dump.contains(" hello\n") && dump.contains(" again\n"),
        "{dump}"
    );
}

/// Every write to the special file finds no space.
#[test]
fn a_node_without_space_at_its_start_waits_for_it() {
    let mut cluster = Cluster::new("off");
    fs::create_dir(cluster.store(1)).unwrap();
    let full = cluster.store(1).join("identity.b");
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    cluster.start_with(1, &["--format"]);
    let log = cluster.path("1.log");
    let says = |text: &str| {
        fs::read_to_string(&log)
            .unwrap()
            .contains(text)
            .then_some(())
    };
    wait_for("the node to wait", || says("waiting for more"));
    assert!(cluster.stop(1).success(), "a signal ends the wait");
    cluster.start_with(1, &["--format"]);
    fs::remove_file(full).unwrap();
    wait_for("the node to start", || says("node is up"));
    assert!(cluster.stop(1).success());
}

#[test]
fn a_store_is_made_only_when_asked_for() {
    let cluster = Cluster::new("full");
    let output = meshosd(["run", "--config"]).arg(cluster.config(1)).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        complaint(&output).contains("--format"),
        "{}",
        complaint(&output)
    );
    assert!(!cluster.store(1).exists());
}

#[test]
fn a_store_that_is_in_use_is_left_alone() {
    let mut cluster = Cluster::new("full");
    cluster.start(1);
    wait_for("the node", || cluster.status(1));
    let output = meshosd(["run", "--config"]).arg(cluster.config(1)).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(complaint(&output).contains("in use by another process"));
    // Nobody else is there to lead anything.
    assert!(cluster.stop(1).success());
}

#[test]
fn status_names_leader_lag_and_peers_and_survives_a_dead_endpoint() {
    let mut cluster = Cluster::new("full");
    cluster.start_all();
    let leader = wait_for("a leader", || cluster.leader());
    let follower = if leader == 1 { 2 } else { 1 };
    let dead = 6 - leader - follower;
    wait_for("the follower to hear of it", || {
        let status = cluster.status(follower)?;
        (status["leader"] == leader && status["lag"] == 0).then_some(())
    });
    cluster.kill(dead);
    let status = wait_for("the leader to miss a peer", || {
        let status = cluster.status(leader)?;
        let peers = status["peers"].as_array().unwrap().clone();
        let missed = peers
            .iter()
            .any(|peer| peer["node"] == dead && peer["unreachable"] == true);
        missed.then_some(status)
    });
    assert_eq!(status["followers"].as_array().unwrap().len(), 2);
    let mut command = meshosd(["status"]);
    let output = command.args(cluster.endpoints()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "one endpoint is dead");
    let told = String::from_utf8_lossy(&output.stdout);
    for part in [
        &*format!(
            "node {leader} at {}: boot 1 of store",
            cluster.socket(leader).display()
        ),
        "orders: leader in",
        &*format!("of node {leader}"),
        &*format!("node {dead} is unreachable since"),
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(complaint(&output).contains("no node listens on"));
}

#[test]
fn a_payload_that_is_too_large_is_refused_by_its_limit_and_opens_no_client() {
    let mut cluster = Cluster::new("full");
    cluster.start_all();
    let leader = wait_for("a leader", || cluster.leader());
    let before = cluster.status(leader).unwrap()["end"].clone();
    let endpoint = format!("--endpoint={}", cluster.socket(leader).display());
    let large = "x".repeat((256 << 10) + 1);
    let mut child = meshosd(["chain", "append", "--chain", "orders", "-", &endpoint])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, large.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = complaint(&output);
    assert!(
        complaint.contains("limits.entry_bytes_max of node"),
        "{complaint}"
    );
    assert_eq!(cluster.status(leader).unwrap()["end"], before);
}

#[test]
fn a_node_that_is_no_member_is_passed_over_and_named() {
    let mut cluster = Cluster::with(Setup {
        chain: "members = [1]".to_owned(),
        ..Setup::default()
    });
    cluster.start_all();
    wait_for("a leader", || cluster.leader());
    let endpoint = |id| format!("--endpoint={}", cluster.socket(id).display());
    let append = ["chain", "append", "--chain", "orders", "x"];
    let output = meshosd(append).arg(endpoint(2)).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = complaint(&output);
    assert!(told.contains("its members are the nodes 1"), "{told}");
    run(append
        .map(str::to_owned)
        .into_iter()
        .chain([2, 3, 1].map(endpoint)));
    let status = cluster.status(2).unwrap();
    assert_eq!(
        (&status["role"], &status["members"][0]),
        (&Value::Null, &1.into())
    );
    let shown = meshosd(["status".to_owned(), endpoint(2)])
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("orders: not here, members 1"), "{shown}");
}

#[test]
fn who_holds_a_chain_is_said_when_its_cluster_is_made_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display().to_string();
    let addresses: Vec<String> = (7101..7106)
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    let new = ["config", "new-cluster", "--out", &path];
    let made = run(new.into_iter().chain(addresses.iter().map(String::as_str)));
    let file = directory.path().join("node-4.toml").display().to_string();
    for told in [made, run(["config", "check", &file])] {
        assert!(told.contains("chain orders: members 1, 2, 3\n"), "{told}");
        assert!(told.contains("no chain is held by: 4, 5\n"), "{told}");
    }
    let shown = run(["config", "show", "--json", &file]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["chains"][0]["members"], serde_json::json!([1, 2, 3]));
}

#[test]
fn idle_clients_keep_nobody_out() {
    let mut cluster = Cluster::new("off");
    cluster.start_all();
    wait_for("a leader", || cluster.leader());
    let connect = || UnixStream::connect(cluster.socket(1)).unwrap();
    let idle: Vec<UnixStream> = (0..300).map(|_| connect()).collect();
    let endpoint = format!("--endpoint={}", cluster.socket(1).display());
    let status = meshosd(["status", &endpoint]).output().unwrap();
    assert!(!status.stdout.is_empty(), "{}", complaint(&status));
    run(["chain", "append", "--chain", "orders", "x", &endpoint]);
    drop(idle);
}

/// Nobody else is there, so the leader cannot answer before the request is late.
#[test]
fn idle_clients_take_the_place_of_none_that_waits_for_an_answer() {
    let mut cluster = Cluster::new("off");
    cluster.start_all();
    let leader = wait_for("a leader", || cluster.leader());
    for other in (1..=3).filter(|id| *id != leader) {
        cluster.kill(other);
    }
    let ask = client::Ask::Append {
        level: Level::Committed,
        request: None,
        payload: Payload::new(b"alone".to_vec().into()),
    };
    let chain = ChainId::of("orders");
    let socket = cluster.socket(leader);
    let asking = async {
        let mut client = Client::connect(&socket).await.unwrap();
        let asked = client.ask(Ask::Chain(ClientRequest { chain, ask }), PATIENCE);
        let crowding = async {
            let mut idle = Vec::new();
            for _ in 0..600 {
                idle.push(tokio::net::UnixStream::connect(&socket).await.unwrap());
            }
            idle
        };
        tokio::join!(asked, crowding).0
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let reply = runtime.block_on(asking);
    assert!(matches!(reply, Ok(Reply::Chain(_))), "{reply:?}");
}

#[test]
fn a_store_that_is_written_to_is_not_judged() {
    let mut cluster = Cluster::new("full");
    cluster.start(1);
    wait_for("the node", || cluster.status(1));
    for command in ["verify", "dump"] {
        let output = meshosd(["chain", command]).arg(cluster.store(1)).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(2));
        let complaint = complaint(&output);
        assert!(
            complaint.contains("in use by another process"),
            "{complaint}"
        );
    }
    assert!(cluster.stop(1).success());
    run(["chain", "verify", &cluster.store(1).display().to_string()]);
}

#[test]
fn a_start_that_is_refused_for_its_recording_changes_nothing_and_is_refused_again() {
    let mut cluster = Cluster::new("full");
    cluster.start(1);
    wait_for("the node", || cluster.status(1));
    assert!(cluster.stop(1).success());
    let config = fs::read_to_string(cluster.config(2)).unwrap();
    let (own, other) = (cluster.recording(2), cluster.recording(1));
    let config = config.replace(own.to_str().unwrap(), other.to_str().unwrap());
    fs::write(cluster.config(2), config).unwrap();
    for _ in 0..2 {
        let mut command = meshosd(["run", "--format", "--config"]);
        let output = command.arg(cluster.config(2)).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let complaint = complaint(&output);
        assert!(complaint.contains("of node 1"), "{complaint}");
        assert!(!cluster.store(2).exists());
    }
}

#[test]
fn paths_in_a_config_are_relative_to_it() {
    let cluster = Cluster::new("full");
    let path = cluster.config(1);
    let text = fs::read_to_string(&path).unwrap();
    let store = cluster.store(1);
    let name = store.file_name().unwrap().to_str().unwrap();
    fs::write(&path, text.replace(store.to_str().unwrap(), name)).unwrap();
    let shown = run(["config", "show", &path.display().to_string()]);
    assert!(shown.contains(store.to_str().unwrap()), "{shown}");
}

#[test]
fn a_file_in_the_place_of_the_control_socket_is_left_alone() {
    let cluster = Cluster::new("full");
    let precious = cluster.socket(1);
    fs::write(&precious, "precious").unwrap();
    let output = meshosd(["run", "--format", "--config"])
        .arg(cluster.config(1))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let complaint = complaint(&output);
    assert!(complaint.contains("expected a stale socket"), "{complaint}");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}

#[test]
fn a_request_that_could_not_be_stored_is_refused_and_the_node_goes_on() {
    let mut cluster = Cluster::new("full");
    cluster.start_all();
    let leader = wait_for("a leader", || cluster.leader());
    let ask = client::Ask::Append {
        level: Level::Committed,
        request: None,
        payload: Payload::new(b"bytes".to_vec().into()).redacted(),
    };
    let chain = ChainId::of("orders");
    let asking = async {
        let mut client = Client::connect(&cluster.socket(leader)).await.unwrap();
        let ask = Ask::Chain(ClientRequest { chain, ask });
        client.ask(ask, PATIENCE).await.unwrap()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let reply = runtime.block_on(asking);
    assert!(
        matches!(&reply, Reply::Refused(why) if why.contains("without its bytes")),
        "{reply:?}"
    );
    let endpoint = format!("--endpoint={}", cluster.socket(leader).display());
    run(["chain", "append", "--chain", "orders", "hello", &endpoint]);
    assert_eq!(cluster.status(leader).unwrap()["role"], "leader");
}

#[test]
fn results_that_cannot_be_written_are_a_failure_and_a_reader_that_left_is_none() {
    let mut cluster = Cluster::new("full");
    cluster.start_all();
    wait_for("a leader", || cluster.leader());
    let endpoint = format!("--endpoint={}", cluster.socket(1).display());
    let forever = format!("--patience={}", u64::MAX);
    let many = ["chain", "append", "--chain", "orders", "--count", "20"];
    run(many.into_iter().chain([&*forever, &*endpoint]));
    let read = [
        "chain",
        "read",
        "--chain",
        "orders",
        &endpoint,
        "--json=/dev/full",
    ];
    let output = meshosd(read).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", complaint(&output));

    let tail = ["chain", "tail", "--chain", "orders", &endpoint];
    let mut tail = meshosd(tail).stdout(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(tail.stdout.take().unwrap());
    reader.read_line(&mut String::new()).unwrap();
    drop(reader);
    assert!(wait_for("the tail to end", || tail.try_wait().unwrap()).success());
}

#[test]
fn a_mistake_in_a_config_is_named_and_ends_with_2() {
    let cluster = Cluster::new("full");
    let path = cluster.config(1);
    let good = fs::read_to_string(&path).unwrap();
    assert!(run(["config", "check", &path.display().to_string()]).starts_with("ok "));
    let shown = run(["config", "show", &path.display().to_string()]);
    assert!(shown.contains("heartbeat_ms = 100"), "{shown}");
    fs::write(
        &path,
        good.replace("heartbeat_ms = 100", "heartbeat_ms = \"fast\""),
    )
    .unwrap();
    for command in [["config", "check"], ["run", "--config"]] {
        let output = meshosd(command).arg(&path).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let complaint = complaint(&output);
        let key = "timing.heartbeat_ms: invalid type: string \"fast\", expected u64";
        assert!(
            complaint.contains("1.toml:") && complaint.contains(key),
            "{complaint}"
        );
    }
}

#[test]
fn unusable_arguments_and_files_end_with_2() {
    let empty = tempfile::tempdir().unwrap();
    let nowhere = empty.path().join("nowhere").display().to_string();
    let directory = empty.path().display().to_string();
    let cases: [&[&str]; 6] = [
        &["chain", "append", "--chain", "orders"],
        &["chain", "verify", &nowhere],
        &["chain", "verify", &directory],
        &["chain", "read", "--chain", "orders", "--config", &nowhere],
        &["status", "--endpoint", &nowhere],
        &["frobnicate"],
    ];
    for args in cases {
        let output = meshosd(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn an_append_whose_result_cannot_be_written_says_that_it_was_acknowledged() {
    let mut cluster = Cluster::new("off");
    cluster.start_all();
    wait_for("a leader", || cluster.leader());
    let append = |rest: &[&str], full: bool| {
        let stdout = match full {
            true => File::create("/dev/full").unwrap().into(),
            false => Stdio::piped(),
        };
        let mut command = meshosd(["chain", "append", "--chain", "orders"]);
        command.args(cluster.endpoints()).args(rest).stdout(stdout);
        let output = command.output().unwrap();
        assert!(!output.status.success());
        complaint(&output)
    };
    let told = append(&["x"], true);
    assert!(
        told.contains("the append was acknowledged, at position"),
        "{told}"
    );
    let told = append(&["--count", "3"], true);
    assert!(told.contains("3 of 3 appends were acknowledged"), "{told}");
    let told = append(&["--count", "3", "--acked", "/dev/full"], false);
    assert!(told.contains("/dev/full: No space"), "{told}");
    assert!(told.contains("1 of 3 appends were acknowledged"), "{told}");
}

#[test]
fn colours_are_for_terminals_unless_asked_for() {
    let cluster = Cluster::new("full");
    let path = cluster.config(1).display().to_string();
    let plain = run(["config", "check", &path]);
    let coloured = run(["config", "check", &path, "--color", "always"]);
    assert!(!plain.contains('\u{1b}') && coloured.contains('\u{1b}'));
}

#[test]
fn a_node_whose_log_cannot_be_written_goes_on() {
    let mut cluster = Cluster::new("off");
    let logs = || (1..=3).map(|id| format!("{id}.log"));
    for log in logs() {
        std::os::unix::fs::symlink("/dev/full", cluster.path(&log)).unwrap();
    }
    cluster.start_all();
    for log in logs() {
        // Whoever reads the logs of a test that failed would never come to an end.
        fs::remove_file(cluster.path(&log)).unwrap();
        fs::write(cluster.path(&log), "").unwrap();
    }
    wait_for("a leader", || cluster.leader());
    let append = meshosd(["chain", "append", "--chain", "orders", "x"])
        .args(cluster.endpoints())
        .output()
        .unwrap();
    assert!(append.status.success(), "{}", complaint(&append));
    for id in 1..=3 {
        assert!(cluster.stop(id).success(), "node {id} ends as it was told");
    }
}
