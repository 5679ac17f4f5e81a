//! What is said to somebody who made a mistake, or whose machine did.

use super::common::{Cluster, PATIENCE, Setup, complaint, meshosd, run, wait_for};
use meshos_core::id::ChainId;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn timed(mut command: Command) -> (Output, Duration) {
    let begun = Instant::now();
    (command.output().unwrap(), begun.elapsed())
}

#[test]
fn files_that_are_checked_together_have_to_be_of_one_cluster() {
    let directory = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| {
        let path = directory.path().join(name).display().to_string();
        run([
            "config",
            "new-cluster",
            "--out",
            &path,
            "localhost:7101",
            "localhost:7102",
            "localhost:7103",
        ]);
        path
    });
    let files = |of: [&str; 3]| {
        let named = (1..).zip(of);
        let files = named.map(|(id, of)| format!("{of}/node-{id}.toml"));
        files.collect::<Vec<_>>()
    };
    let check = |files: &[String]| meshosd(["config", "check"]).args(files).output().unwrap();
    assert!(check(&files([&one, &one, &one])).status.success());
    let output = check(&files([&one, &one, &other]));
    assert_eq!(output.status.code(), Some(2));
    let told = complaint(&output);
    assert!(told.contains("cluster.deployment: "), "{told}");
    for file in ["one/node-1.toml", "other/node-3.toml"] {
        assert!(told.contains(file), "{told}");
    }
}

#[test]
fn a_store_that_was_lost_is_not_formatted_where_its_recording_shows_that_it_ran() {
    let mut cluster = Cluster::new("full");
    for _ in 0..2 {
        cluster.start(1);
        wait_for("the node", || cluster.status(1));
        assert!(cluster.stop(1).success());
    }
    let format = || {
        let mut command = meshosd(["run", "--format", "--config"]);
        command.arg(cluster.config(1)).output().unwrap()
    };
    let output = format();
    assert_eq!(output.status.code(), Some(2));
    let told = complaint(&output);
    assert!(
        told.contains("--format is for an empty directory"),
        "it is there: {told}"
    );

    fs::remove_dir_all(cluster.store(1)).unwrap();
    for _ in 0..2 {
        let output = format();
        assert_eq!(output.status.code(), Some(2));
        let told = complaint(&output);
        assert!(
            told.contains("this store id has already run (boot 2)"),
            "{told}"
        );
        assert!(!cluster.store(1).exists());
    }
}

#[test]
fn where_nobody_listens_a_command_says_so_and_gives_up_early() {
    let directory = tempfile::tempdir().unwrap();
    let endpoints = ["a", "b"].map(|name| {
        let path = directory.path().join(name);
        format!("--endpoint={}", path.display())
    });
    let chain = |command: &str, rest: &[&str]| {
        let mut chain = meshosd(["chain", command, "--chain", "orders"]);
        chain.args(&endpoints).args(rest);
        timed(chain)
    };
    for (command, rest) in [("append", &["x"][..]), ("read", &[]), ("tail", &[])] {
        let (output, took) = chain(command, rest);
        assert_eq!(output.status.code(), Some(1));
        assert!(took < Duration::from_secs(15), "{command}: {took:?}");
        let told = complaint(&output);
        let waiting = told
            .lines()
            .filter(|line| line.contains("waiting: no node listens on"));
        assert_eq!(waiting.count(), 1, "{command}: {told}");
    }
    let (output, took) = chain("read", &["--patience", "7"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(took >= Duration::from_secs(7), "{took:?}");
    let (output, _) = chain("read", &["--json", "--patience", "2"]);
    let told = complaint(&output);
    assert!(!told.contains("waiting: "), "{told}");
}

#[test]
fn a_command_says_that_it_waits_for_a_leader() {
    let mut cluster = Cluster::new("off");
    cluster.start(1);
    wait_for("the node", || cluster.status(1));
    let output = cluster.append_at(1);
    assert_eq!(output.status.code(), Some(1));
    let told = complaint(&output);
    let reach = "node 1 reaches 1 of its 3 members, itself included, and 2 are needed";
    let waiting = format!("waiting: nobody leads the chain: {reach}");
    assert!(told.contains(&waiting), "{told}");
}

#[test]
fn a_status_says_how_old_what_is_known_of_a_dead_node_is_and_ends_with_1() {
    let mut cluster = Cluster::new("off");
    cluster.start_all();
    let leader = wait_for("a leader", || cluster.leader());
    let endpoint = format!("--endpoint={}", cluster.socket(leader).display());
    let status = || meshosd(["status", &endpoint]).output().unwrap();
    // What is said of a node that dies sooner is how far it was behind.
    wait_for("all to be well and level", || {
        let output = status();
        let shown = String::from_utf8_lossy(&output.stdout);
        let is_level = shown.matches(" lags 0").count() == 2;
        (is_level && output.status.success()).then_some(())
    });
    let dead = leader % 3 + 1;
    cluster.kill(dead);
    let output = wait_for("the node to be missed", || {
        let output = status();
        (!output.status.success()).then_some(output)
    });
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains("not everything is well"));
    wait_for("its lag to be called old", || {
        let shown = String::from_utf8_lossy(&status().stdout).into_owned();
        assert!(shown.contains("orders: leader in"), "{shown}");
        let old = format!("node {dead} lagged 0 when last heard ");
        let fresh = format!("node {dead} lags");
        (shown.contains(&old) && !shown.contains(&fresh)).then_some(())
    });

    // Whoever is left knows no more than the leader said before it died.
    cluster.kill(leader);
    let left = 6 - leader - dead;
    let endpoint = format!("--endpoint={}", cluster.socket(left).display());
    wait_for("the leader to be missed", || {
        let output = meshosd(["status", &endpoint]).output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = [", which is not heard", ", lag 0 as of "];
        told.iter().all(|told| shown.contains(told)).then_some(())
    });
}

/// Whether a status ends with 0, and what it shows.
fn shown(cluster: &Cluster, id: u64) -> (bool, String) {
    let endpoint = format!("--endpoint={}", cluster.socket(id).display());
    let output = meshosd(["status", &endpoint]).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), shown)
}

#[test]
fn a_leader_names_a_follower_that_takes_no_part_and_ends_with_1() {
    let mut cluster = Cluster::new("off");
    cluster.start_all();
    wait_for("a leader", || cluster.leader());
    wait_for("all to be well", || {
        (1..=3).all(|id| shown(&cluster, id).0).then_some(())
    });
    assert!(cluster.stop(3).success());
    let files = fs::read_dir(cluster.store(3)).unwrap();
    for path in files.map(|file| file.unwrap().path()) {
        if path.to_string_lossy().contains("vote") {
            fs::write(path, "both places of the vote record").unwrap();
        }
    }
    cluster.start(3);
    wait_for("its replica to be stopped", || {
        cluster.status(3)?["fault"].as_str().map(str::to_owned)
    });
    let leader = wait_for("a leader", || cluster.leader());
    wait_for("the leader to say so", || {
        let (is_well, shown) = shown(&cluster, leader);
        let told = shown.contains(" and says nothing of the chain");
        (!is_well && told).then_some(())
    });
}

#[test]
fn patience_may_be_as_long_as_it_can_be_written() {
    let mut cluster = Cluster::new("off");
    cluster.start(1);
    wait_for("the node", || cluster.status(1));
    let endpoint = format!("--endpoint={}", cluster.socket(1).display());
    let longest = u64::MAX.to_string();
    let output = meshosd(["status", "--patience", &longest, &endpoint]).output();
    let output = output.unwrap();
    assert!(!output.stdout.is_empty(), "{}", complaint(&output));
}

#[test]
fn a_question_that_is_longer_than_an_entry_is_not_read_and_garbage_is_one_warning() {
    let mut cluster = Cluster::new("off");
    cluster.start(1);
    wait_for("the node", || cluster.status(1));
    let send = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(cluster.socket(1)).unwrap();
        // The node may close before it has taken everything.
        let _ = stream.write_all(bytes);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        let is_late = ended.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        assert!(!is_late, "the node waits for the rest of the question");
    };
    let length: u32 = 20 << 20;
    for _ in 0..10 {
        send(&length.to_be_bytes());
        send(&[0, 0, 0, 4, 255, 255, 255, 255]);
    }
    let log = cluster.log(1);
    let warnings = log.lines().filter(|line| line.contains("client dropped"));
    assert_eq!(warnings.count(), 1, "{log}");
}

#[test]
fn a_chain_is_named_as_it_was_typed_beside_those_there_are() {
    let mut cluster = Cluster::new("off");
    cluster.start_all();
    wait_for("a leader", || cluster.leader());
    let endpoint = format!("--endpoint={}", cluster.socket(1).display());
    for rest in [&["append", "x"][..], &["read"], &["tail"]] {
        let mut command = meshosd(["chain"]);
        command.args(rest).args(["--chain", "ordres", &endpoint]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = complaint(&output);
        let named = "the config of node 1 lists no chain \"ordres\"; its chains: orders";
        assert!(told.contains(named), "{told}");
    }
    for id in 1..=3 {
        assert!(cluster.stop(id).success());
    }
    let (config, store) = (cluster.config(1), cluster.store(1));
    let [config, store] = [config, store].map(|path| path.display().to_string());
    let verified = run(["chain", "verify", "--config", &config, &store]);
    let id = ChainId::of("orders");
    assert!(
        verified.contains(" orders: entries 0..") && !verified.contains(&id.to_string()),
        "{verified}"
    );
    let shown = run(["config", "show", &config]);
    assert!(
        shown.contains(&format!("# id of chain orders in its store: {id}")),
        "{shown}"
    );
    let output = meshosd(["chain", "dump", "--chain", "ordres", &store])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = complaint(&output);
    assert!(
        told.contains("ordres") && told.contains(&id.to_string()),
        "{told}"
    );
}

#[test]
fn a_chain_that_keeps_everything_is_said_to() {
    let cluster = Cluster::new("off");
    let path = cluster.config(1);
    let config = path.display().to_string();
    let said = |command| run(["config", command, &config]).contains("keeps everything, in memory");
    assert!(said("check") && said("show"));
    let bounded = fs::read_to_string(&path).unwrap() + "retention.bytes_max = 1000000\n";
    fs::write(&path, bounded).unwrap();
    assert!(!said("check") && !said("show"));
    assert!(run(["config", "show", &config]).contains("bytes_max = 1000000"));
}

#[test]
fn a_new_cluster_makes_its_directory_and_the_version_names_the_commit() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("not").join("there");
    let out = directory.display().to_string();
    run(["config", "new-cluster", "--out", &out]);
    assert!(directory.join("node-1.toml").exists());

    let version = run(["--version"]);
    let head = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output();
    let head = head.ok().filter(|output| output.status.success());
    let head = head.map(|output| String::from_utf8(output.stdout).unwrap());
    let package = format!("meshosd {}", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&package), "{version}");
    if let Some(head) = head {
        assert!(version.contains(head.trim()), "{version}");
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_no_space_and_kills_no_node() {
    let mut cluster = Cluster::with(Setup {
        before: |id| match id {
            3 => ["sh", "-c", "ulimit -f 100; exec \"$0\" \"$@\""]
                .map(str::to_owned)
                .to_vec(),
            _ => Vec::new(),
        },
        ..Setup::default()
    });
    cluster.start_all();
    wait_for("a leader", || cluster.leader());
    // One of these is more than such a file holds, so no file of its own helps either.
    run([
        "chain",
        "append",
        "--chain",
        "orders",
        "--payload-bytes",
        "120000",
        "--count",
        "3",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(cluster.endpoints()));
    wait_for("the full store", || {
        let status = cluster.status(3)?;
        let told = cluster.log(3).contains("File too large");
        (status["store_full"] == true && told).then_some(())
    });
    let leader = wait_for("a leader", || cluster.leader());
    wait_for("the leader to say so", || {
        let (is_well, shown) = shown(&cluster, leader);
        let told = [" and its store is full", " behind"];
        (!is_well && told.iter().all(|told| shown.contains(told))).then_some(())
    });
    assert!(cluster.stop(3).success());
}
