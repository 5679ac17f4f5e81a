//! Every input that is kept holds.

use crate::targets::ALL;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[test]
fn every_corpus_holds() {
    for (name, run) in ALL {
        // The same from here and from the workspace, which builds this as a test of its own.
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fuzz/corpus")
            .join(name);
        let inputs = fs::read_dir(&directory).expect("every target has a corpus");
        let mut files: Vec<_> = inputs
            .map(|file| file.expect("the corpus is readable").path())
            .collect();
        files.sort_unstable();
        assert!(files.len() >= 3, "{name} has inputs");
        for file in files {
            let input = fs::read(&file).expect("an input is a file");
            catch_unwind(|| run(&input)).unwrap_or_else(|_| panic!("{} fails", file.display()));
        }
    }
}
