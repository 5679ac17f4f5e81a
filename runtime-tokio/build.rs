//! Tells a program which commit it is built from, where that is known; `meshos-dst` has the same
//! script, for a recording names the build that alone is sure to replay it.

use std::path::Path;
use std::process::Command;

fn main() {
    println!(
        "cargo:rerun-if-changed={}/../runtime-tokio/build.rs",
        env!("CARGO_MANIFEST_DIR")
    );
    println!(
        "cargo:rustc-env=BUILD_COMMIT={}",
        commit().unwrap_or_default()
    );
}

/// The commit in brackets. Nothing where there is no git, or where this is not its own repository:
/// the sources may have been unpacked inside of another one.
fn commit() -> Option<String> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    if Path::new(&top).canonicalize().ok()? != here.canonicalize().ok()? {
        return None;
    }
    // It changes with each commit and each checkout; one that is not there is looked for each time.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo:rerun-if-changed={log}");
    Some(format!(" ({})", git(&["rev-parse", "--short=12", "HEAD"])?))
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
