//! The command line from outside: words, files and exit status.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "looks at files that the command wrote"
)]

mod campaigns;
mod findings;
mod merging;
mod searching;
mod shrinking;
mod spreading;
mod sweeps;
mod traces;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A directory of one test, with the program to run in it.
struct Tryout {
    directory: PathBuf,
}

impl Tryout {
    fn new(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("writable");
        Self { directory }
    }

    /// The program with all scenarios, good and bad.
    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sim-tryout"));
        command
            .current_dir(&self.directory)
            .args(words.split_whitespace());
        command.env("TRYOUT", "all").env_remove("NO_COLOR");
        command
    }

    fn run(&self, words: &str) -> Output {
        self.command(words).output().expect("it starts")
    }

    /// Runs a command and insists on its exit status.
    fn expect(&self, status: i32, words: &str) -> (String, String) {
        let output = self.run(words);
        let out = String::from_utf8(output.stdout).expect("text");
        let err = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(status), "{words}\n{out}\n{err}");
        (out, err)
    }

    fn json(&self, status: i32, words: &str) -> Value {
        let (out, _) = self.expect(status, &format!("{words} --json"));
        serde_json::from_str(&out).expect("one document")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

#[test]
fn unusable_arguments_and_files_exit_2() {
    let tryout = Tryout::new("unusable");
    fs::write(
        tryout.path("broken.toml"),
        "format = 1\nscenario = \"ping-pong\"\nsede = 1\n",
    )
    .expect("writable");
    fs::write(
        tryout.path("stranger.toml"),
        "format = 1\nscenario = \"other\"\n",
    )
    .expect("writable");
    fs::create_dir(tryout.path("empty")).expect("writable");
    let cases = [
        (
            "run no-such-scenario",
            "no scenario matches `no-such-scenario`",
        ),
        ("run --seeds 9..9", "`9..9` holds no seed"),
        (
            "run --seeds 1..5 --seed-base 4",
            "--seed-base moves a count of seeds",
        ),
        (
            "run --seed-base sometimes",
            "expected a number of 63 bits, `commit` or `random`",
        ),
        ("run --jobs 0", "0 is not in 1..=65535"),
        ("run --budget 5", "expected a time such as 500ms"),
        ("run --budget 0s", "`0s`, expected a time above zero"),
        ("run --mutant x", "unexpected argument '--mutant'"),
        ("digest ping-pong", "--seed <N>"),
        (
            "digest other --seed 1",
            "no scenario is called `other`; see `list`",
        ),
        (
            "digest undecidde --seed 1",
            "no scenario is called `undecidde`; similar: undecided; see `list`",
        ),
        ("trace p --seed 1", "; similar: ping-pong, panics, loops; "),
        ("trace ping-pong", "needs --seed N"),
        ("trace nothing.toml", "error: nothing.toml: No such file"),
        ("trace empty", "empty: expected one plan file"),
        (
            "trace stranger.toml --seed 3",
            "stranger.toml: a plan has its own seed: leave out --seed",
        ),
        ("replay nothing.toml", "nothing.toml: No such file"),
        (
            "replay stranger.toml",
            "stranger.toml: no scenario is called `other`; see `list`",
        ),
        (
            "replay broken.toml",
            "broken.toml:3: sede: found unknown field `sede`, expected one of",
        ),
        ("replay empty", "empty/steps: No such file"),
        (
            "bench other",
            "no workload matches; there are: w1-5, w1-50, nothing",
        ),
        ("serve ping-pong", "unrecognized subcommand 'serve'"),
        ("shrink ping-pong", "scenario ping-pong needs --seed N"),
        (
            "shrink ping-pong --seed 1",
            "ping-pong seed 1 breaks no property: there is nothing to shrink",
        ),
        (
            "shrink loops --seed 3 --stuck-after 300ms",
            "loops seed 3 violates step-returns: its plan cannot be made smaller",
        ),
        (
            "trace ping-pong --seed 1 --node n2",
            "error: --node n2: the plan has 2 nodes, n0 to n1",
        ),
        (
            "trace ping-pong --seed 1 --node two",
            "found `two`, expected a node such as n2 or 2",
        ),
        (
            "trace ping-pong --seed 1 --kind send,recieve",
            "invalid value 'recieve' for '--kind <KINDS>'",
        ),
        (
            "trace ping-pong --seed 1 --from 3",
            "found `3`, expected a simulated time such as 1.5s",
        ),
        (
            "trace ping-pong --seed 1 --from 3s --until 200ms",
            "--from 3.000000s is later than --until 0.200000s",
        ),
        (
            "trace ping-pong --seed 1 --last 0",
            "found `0`, expected a number of lines above zero",
        ),
        (
            "trace ping-pong --seed 1 --match Pang",
            "error: no line matches; the trace has ",
        ),
        (
            "trace ping-pong --seed 1 --html empty",
            "error: empty: Is a directory",
        ),
        (
            "run ping-pong --seeds 1 --json=empty",
            "empty: Is a directory",
        ),
    ];
    for (words, part) in cases {
        let (_, err) = tryout.expect(2, words);
        assert!(err.contains(part), "{words}\n{err}");
    }
    let replays = tryout.json(2, "replay nothing.toml broken.toml");
    let problem = |index: usize| replays["replays"][index]["problem"].as_str();
    let told = problem(0).expect("text");
    assert!(told.starts_with("No such file"), "{told}");
    let told = problem(1).expect("text");
    assert!(told.starts_with("line 3: sede: "), "{told}");
}

#[test]
fn a_report_that_cannot_be_written_stops_a_sweep_before_it_begins_and_hides_no_violation() {
    let tryout = Tryout::new("unwritable");
    fs::write(tryout.path("file"), "").expect("writable");
    for target in ["--json=file/run.json", "--junit file/junit.xml"] {
        let (out, err) = tryout.expect(2, &format!("run breaks --seeds 10 {target}"));
        assert!(err.contains("error: file/"), "{err}");
        assert!(!format!("{out}{err}").contains("violation"), "{out}{err}");
    }
    // A device takes what it is given, or says only then that it does not.
    for target in ["--json=/dev/full", "--junit /dev/full"] {
        let (_, err) = tryout.expect(1, &format!("run breaks --seeds 10 {target}"));
        assert!(err.contains("error: /dev/full: "), "{err}");
        tryout.expect(2, &format!("run ping-pong --seeds 10 {target}"));
    }
}

#[test]
fn recordings_are_compared_by_the_program() {
    let tryout = Tryout::new("recordings");
    for (name, steps) in [("same", "12"), ("other", "twelve")] {
        fs::create_dir(tryout.path(name)).expect("writable");
        fs::write(tryout.path(name).join("steps"), steps).expect("writable");
    }
    let (out, _) = tryout.expect(0, "replay same");
    assert!(out.contains("identical  same: 12 steps"), "{out}");
    let replays = tryout.json(1, "replay same other");
    assert_eq!(replays["replays"][1]["difference"], "- 1\n+ twelve");
}

#[test]
fn results_that_cannot_be_written_are_a_failure_and_a_reader_that_left_is_none() {
    let tryout = Tryout::new("full-output");
    for words in ["list", "list --json", "digest ping-pong --seed 1"] {
        let full = fs::File::create("/dev/full").expect("Linux has it");
        let mut command = tryout.command(words);
        let output = command.stdout(full).output().expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{words}");
        let told = String::from_utf8(output.stderr).expect("text");
        assert!(told.contains("the result cannot be written"), "{told}");
    }
    let mut command = tryout.command("list");
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn colour_follows_the_word_and_the_environment() {
    let tryout = Tryout::new("colour");
    let (out, _) = tryout.expect(0, "list --color always");
    assert!(out.contains('\x1b'), "{out}");
    let (out, _) = tryout.expect(0, "list --color never");
    assert!(!out.contains('\x1b'), "{out}");
    let quiet = tryout
        .command("list --color auto")
        .env("NO_COLOR", "1")
        .output();
    assert!(!quiet.expect("it starts").stdout.contains(&0x1b));
}
