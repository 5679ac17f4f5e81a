//! What the README says to type works, in that order and in an empty directory.

use super::common::{terminate, wait_for};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The blocks of one language in the section about a node.
fn blocks(language: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = fs::read_to_string(file).unwrap();
    let (_, section) = text.split_once("\n## A node\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let fence = format!("```{language}\n");
    let blocks = section.split(&fence).skip(1);
    let blocks = blocks.map(|block| block.split_once("```").unwrap().0.to_owned());
    blocks.collect()
}

/// The line for a shell that finds `meshosd` on its path.
fn shell(line: &str, directory: &Path) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_meshosd")).parent().unwrap();
    let rest = std::env::var("PATH").unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("exec {line}")])
        .current_dir(directory)
        .env("PATH", format!("{}:{rest}", program.display()))
        .env_remove("MESHOSD_CONFIG")
        .env_remove("MESHOSD_LOG");
    command
}

/// A config with a word in the place of every id, which no two have in common.
fn without_ids(config: &str) -> String {
    let is_id = |word: &str| word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let words = config.split('"');
    let words = words.map(|word| if is_id(word) { "id" } else { word });
    words.collect::<Vec<_>>().join("\"")
}

/// Ends the node with the test, however that ends.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_command_of_a_node_works() {
    let directory = tempfile::tempdir().unwrap();
    let shown = blocks("toml").concat();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = format!("\"{}\"", held.local_addr().unwrap());
    drop(held);

    let mut node: Option<Node> = None;
    let mut count = 0;
    for line in blocks("sh").concat().lines() {
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
