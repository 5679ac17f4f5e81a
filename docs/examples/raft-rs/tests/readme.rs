//! What the README of the repository shows of this example is what its commands say.

use std::path::Path;
use std::process::{Command, Stdio};

/// The commands of the block, each with the lines that are shown of its output.
fn shown() -> Vec<(String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("there is a README");
    let (_, block) = readme.split_once("```console\n").expect("a block");
    let (block, _) = block.split_once("```").expect("its end");
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in block.lines().filter(|line| *line != "..") {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
            (None, Some((_, output))) => output.push(line.to_owned()),
            (None, None) => panic!("output without a command: {line}"),
        }
    }
    commands
}

#[test]
fn the_commands_say_what_is_shown() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a place for files");
    let mut count = 0;
    for (command, lines) in shown() {
        let Some(words) = command.strip_prefix("cargo run -q -- ") else {
            assert_eq!(command, "cd docs/examples/raft-rs");
            continue;
        };
        let output = Command::new(env!("CARGO_BIN_EXE_raft-rs"))
            .args(words.split_whitespace())
            .current_dir(&directory)
            .stderr(Stdio::inherit())
            .output()
            .expect("it starts");
        let text = String::from_utf8(output.stdout).expect("text");
        let mut rest = text.lines();
        for line in lines {
            let is_there = rest.any(|said| said.trim_end() == line);
            assert!(
                is_there,
                "{command} does not say, in this order: {line}\n{text}"
            );
        }
        count += 1;
    }
    assert_eq!(count, 3, "it runs, shrinks and draws");
    let page = std::fs::read_to_string(directory.join("trace.html")).expect("a page");
    assert!(page.contains("next-above-matched"));
}
