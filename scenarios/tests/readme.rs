//! What the README says to type works, and its figures are true.

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
fn the_number_of_crates_is_true() {
    let allowed = std::fs::read_to_string(root().join(".ci/allow/sim")).expect("the list of CI");
    let count = allowed
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .count();
    let words = format!("it is built from {count} other crates");
    assert!(readme().contains(&words), "the README says: {words}");
}
