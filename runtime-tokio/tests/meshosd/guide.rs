//! What a document tells to type, as a shell would run it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

/// The text of a file of the repository.
pub(crate) fn text(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(file)).unwrap()
}

/// The blocks of one language in the section of a file that begins with `title`.
pub(crate) fn blocks(file: &str, title: &str, language: &str) -> Vec<String> {
    let text = text(file);
    let (_, section) = text.split_once(&format!("\n## {title}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let fence = format!("```{language}\n");
    let blocks = section.split(&fence).skip(1);
    let blocks = blocks.map(|block| block.split_once("```").unwrap().0.to_owned());
    blocks.collect()
}

/// The line for a shell that finds `meshosd` on its path.
pub(crate) fn shell(line: &str, directory: &Path) -> Command {
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

/// Ends the node with the test, however that ends.
pub(crate) struct Node(pub(crate) Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
