//! Every input that is kept holds.

use meshos_fuzz::targets::ALL;
use std::fs;
use std::path::Path;

#[test]
fn every_corpus_holds() {
    for (name, run) in ALL {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(name);
        let inputs = fs::read_dir(&directory).expect("every target has a corpus");
        let mut files: Vec<_> = inputs
            .map(|file| file.expect("the corpus is readable").path())
            .collect();
        files.sort_unstable();
        assert!(files.len() >= 3, "{name} has inputs");
        for file in files {
            println!("{}", file.display());
            run(&fs::read(&file).expect("an input is a file"));
        }
    }
}
