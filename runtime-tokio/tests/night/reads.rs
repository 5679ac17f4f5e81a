//! Reading a long chain, beside the build before, when `MESHOSD_BASE` names it.

use super::common::{Cluster, Setup, meshosd, wait_for};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ENTRIES: &str = "100000";
const RUNS: usize = 5;

/// Times the reading of a whole chain by one program from a cluster of it.
fn read_all(program: &Path, deployment: &str) -> Duration {
    let mut cluster = Cluster::with(Setup {
        program: program.to_owned(),
        deployment: deployment.to_owned(),
        timing: String::new(),
        ..Setup::default()
    });
    cluster.start_all();
    let run = |words: &[&str]| {
        let mut command = Command::new(program);
        command.args(["chain"]).args(words);
        let endpoint = format!("--endpoint={}", cluster.socket(1).display());
        command.args(["--chain", "orders", &endpoint]);
        command.stdout(Stdio::null()).status().unwrap().success()
    };
    wait_for("a leader", || run(&["append", "first"]).then_some(()));
    assert!(run(&["append", "--count", ENTRIES, "--clients", "256"]));
    let timed = |_| {
        let begun = Instant::now();
        assert!(run(&["read"]));
        begun.elapsed()
    };
    let mut took: Vec<Duration> = (0..RUNS).map(timed).collect();
    took.sort();
    took[RUNS / 2]
}

#[test]
#[allow(clippy::print_stdout)]
fn a_hundred_thousand_entries_are_read() {
    let Some(base) = std::env::var_os("MESHOSD_BASE") else {
        println!("chain read: no build to compare with, MESHOSD_BASE is not set");
        return;
    };
    let program = meshosd([""; 0]).get_program().to_owned();
    let deployment = Setup::default().deployment;
    let now = read_all(Path::new(&program), &deployment);
    let before = read_all(Path::new(&base), "");
    let ratio = before.as_secs_f64() / now.as_secs_f64();
    println!("chain read of {ENTRIES}: {now:.2?}, before {before:.2?}, {ratio:.2} times as fast");
    assert!(ratio >= 2.5, "goal: 2.5 times as fast as the build before");
}
