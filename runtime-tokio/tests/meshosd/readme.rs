//! What the README says to type works, in that order and in an empty directory.

use super::common::{terminate, wait_for};
use super::guide::{Node, blocks, shell};
use std::fs;
use std::net::TcpListener;
use std::process::Stdio;

/// A config with a word in the place of every id, which no two have in common.
fn without_ids(config: &str) -> String {
    let is_id = |word: &str| word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let words = config.split('"');
    let words = words.map(|word| if is_id(word) { "id" } else { word });
    words.collect::<Vec<_>>().join("\"")
}

#[test]
fn every_command_of_a_node_works() {
    let directory = tempfile::tempdir().unwrap();
    let shown = blocks("README.md", "A node", "toml").concat();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = format!("\"{}\"", held.local_addr().unwrap());
    drop(held);

    let mut node: Option<Node> = None;
    let mut count = 0;
    for line in blocks("README.md", "A node", "sh").concat().lines() {
        assert!(line.starts_with("meshosd "), "{line}");
        count += 1;
        let mut command = shell(line, directory.path());
        if line.starts_with("meshosd run ") {
            let child = command.stderr(Stdio::null()).spawn().unwrap();
            node = Some(Node(child));
            let status = "meshosd status --config node.toml --json";
            wait_for("the node to lead", || {
                let output = shell(status, directory.path()).output().unwrap();
                let said = String::from_utf8(output.stdout).unwrap();
                said.contains("\"role\":\"leader\"").then_some(())
            });
            continue;
        }
        if line.starts_with("meshosd chain verify ") {
            // It reads the files of a node that was stopped.
            let mut node = node.take().expect("a node runs");
            terminate(&node.0);
            let status = wait_for("the node to stop", || node.0.try_wait().unwrap());
            assert!(status.success(), "{status}");
        }
        let output = command.output().unwrap();
        if line.starts_with("meshosd config new-cluster ") {
            let file = directory.path().join("node.toml");
            let config = fs::read_to_string(&file).unwrap();
            assert_eq!(without_ids(&config), without_ids(&shown));
            assert!(config.contains("\"127.0.0.1:7100\""), "{config}");
            fs::write(file, config.replace("\"127.0.0.1:7100\"", &free)).unwrap();
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {complaint}");
    }
    assert!(count >= 4, "the README shows commands");
}
