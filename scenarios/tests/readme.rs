//! What the README says to type works, and its figures are true.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("there is a README")
}

/// The lines of its shell blocks.
fn commands() -> Vec<String> {
    let text = readme();
    let blocks = text.split("```sh\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split_once("```"));
    blocks
        .flat_map(|(block, _)| block.lines().map(str::to_owned))
        .collect()
}

#[test]
fn every_command_of_the_simulator_works() {
    std::fs::create_dir_all(root().join("target")).expect("a place for files");
    let commands = commands();
    let of_simulator = commands
        .iter()
        .filter_map(|line| line.strip_prefix("meshos-dst "));
    let mut count = 0;
    for line in of_simulator {
        let status = Command::new(env!("CARGO_BIN_EXE_meshos-dst"))
            .args(line.split_whitespace())
            .current_dir(root())
            .stdout(Stdio::null())
            .status()
            .expect("it starts");
        assert!(status.success(), "meshos-dst {line}: {status}");
        count += 1;
    }
    assert!(count >= 3, "the README shows commands");
}

#[test]
fn the_version_names_the_commit() {
    let output = |program: &str, words: &[&str]| {
        let output = Command::new(program)
            .args(words)
            .current_dir(root())
            .output();
        let output = output.ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8(output.stdout).expect("text"))
    };
    let simulator = env!("CARGO_BIN_EXE_meshos-dst");
    let version = output(simulator, &["--version"]).expect("it runs");
    let package = env!("CARGO_PKG_VERSION");
    assert!(
        version.starts_with(&format!("meshos-dst {package}")),
        "{version}"
    );
    if let Some(head) = output("git", &["rev-parse", "--short=12", "HEAD"]) {
        assert!(version.contains(head.trim()), "{version}");
    }
}

#[test]
fn the_two_commands_are_those_of_ci() {
    let commands = commands();
    let ci = std::fs::read_to_string(root().join(".ci/run")).expect("there is a CI script");
    for command in [
        "cargo run --release --bin meshos-dst -- run",
        "cargo test --workspace",
    ] {
        assert!(
            commands.iter().any(|line| line == command),
            "the README says {command}"
        );
        assert!(ci.contains(command), "CI runs {command}");
    }
}

#[test]
fn the_numbers_of_crates_are_true() {
    let linked = crates("normal,no-proc-macro", &[]);
    let built = crates("normal", &[]);
    let with_cli = crates("normal", &["--features", "cli"]);
    let words = format!("it is built from {linked} other crates ({built} with those that only run");
    assert!(readme().contains(&words), "the README says: {words}");
    let simulator = std::fs::read_to_string(root().join("docs/SIMULATOR.md")).expect("it is there");
    for words in [
        format!("With default features {built} other crates"),
        format!("the command line brings {} more", with_cli - built),
    ] {
        assert!(simulator.contains(&words), "SIMULATOR.md says: {words}");
    }
}

/// How many other crates the simulator needs on this platform.
fn crates(edges: &str, features: &[&str]) -> usize {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(root())
        .args(["tree", "--quiet", "--locked"]);
    cargo.args(["--package", "meshos-sim", "--prefix", "none"]);
    let output = cargo.args(["--edges", edges]).args(features).output();
    let output = output.expect("cargo runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let lines = String::from_utf8(output.stdout).expect("names of crates");
    let names: BTreeSet<&str> = lines
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    names.len() - 1
}
