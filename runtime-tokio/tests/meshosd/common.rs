//! Real `meshosd` processes.

// Two test programs share it, and neither needs everything.
#![allow(dead_code)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `probe` has something, looking often.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A `meshosd` command.
pub(crate) fn meshosd<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshosd"));
    command
        .args(args)
        .env_remove("MESHOSD_CONFIG")
        .env_remove("MESHOSD_LOG");
    command
}

/// What a command wrote to its standard error.
pub(crate) fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that has to succeed, and gives its standard output.
#[track_caller]
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = meshosd(args).output().unwrap();
    let complaint = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{status}: {complaint}");
    String::from_utf8(stdout).unwrap()
}

/// What a cluster is made of.
pub(crate) struct Setup {
    /// The program of all nodes.
    pub(crate) program: PathBuf,
    /// What stands before the program on the command line of a node.
    pub(crate) before: fn(u64) -> Vec<String>,
    /// What goes into `[cluster]`.
    pub(crate) deployment: String,
    /// Where each node listens.
    pub(crate) addresses: Vec<String>,
    /// The mode of the recordings; nothing is recorded with `off`.
    pub(crate) payload: String,
    /// What goes into `[timing]`.
    pub(crate) timing: String,
    /// What goes into `[limits]` of each node.
    pub(crate) limits: fn(u64) -> String,
    /// What goes into `[[chains]]` beside the name `orders`.
    pub(crate) chain: String,
}

impl Default for Setup {
    fn default() -> Self {
        // Held at the same time, so that they differ.
        let held: Vec<TcpListener> = (0..3)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let addresses = held.iter().map(|listener| listener.local_addr().unwrap());
        Self {
            program: env!("CARGO_BIN_EXE_meshosd").into(),
            before: |_| Vec::new(),
            deployment: "deployment = \"0000000000000000000000000000d001\"".to_owned(),
            addresses: addresses.map(|address| address.to_string()).collect(),
            payload: "off".to_owned(),
            timing: "heartbeat_ms = 100".to_owned(),
            limits: |_| String::new(),
            chain: String::new(),
        }
    }
}

/// Three nodes with one chain called `orders`.
pub(crate) struct Cluster {
    directory: TempDir,
    setup: Setup,
    running: BTreeMap<u64, Child>,
}

impl Cluster {
    /// A cluster whose nodes record in the mode `payload`.
    pub(crate) fn new(payload: &str) -> Self {
        Self::with(Setup {
            payload: payload.to_owned(),
            ..Setup::default()
        })
    }

    pub(crate) fn with(setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cluster = Self {
            directory,
            setup,
            running: BTreeMap::new(),
        };
        let Setup {
            deployment,
            addresses,
            payload,
            timing,
            chain,
            ..
        } = &cluster.setup;
        let nodes = (1..).zip(addresses).map(|(id, address)| {
            format!("  {{ id = {id}, store = \"{id:032x}\", address = \"{address}\" }},\n")
        });
        let nodes: String = nodes.collect();
        for id in 1..=3 {
            let (control, store) = (cluster.socket(id), cluster.store(id));
            let recording = cluster.recording(id);
            let limits = (cluster.setup.limits)(id);
            let text = format!(
                "[node]\nid = {id}\ncontrol = {control:?}\nhand_over_ms = 3000\n\
                 [store]\npath = {store:?}\nid = \"{id:032x}\"\n\
                 [recording]\npath = {recording:?}\npayload = \"{payload}\"\n\
                 rotate_bytes = 1000000\nfiles_max = 10000\n\
                 [timing]\n{timing}\n[limits]\n{limits}\n\
                 [cluster]\n{deployment}\nnodes = [\n{nodes}]\n\
                 [[chains]]\nname = \"orders\"\n{chain}\n"
            );
            fs::write(cluster.config(id), text).unwrap();
        }
        cluster
    }

    pub(crate) fn config(&self, id: u64) -> PathBuf {
        self.path(&format!("{id}.toml"))
    }

    pub(crate) fn socket(&self, id: u64) -> PathBuf {
        self.path(&format!("{id}.sock"))
    }

    pub(crate) fn store(&self, id: u64) -> PathBuf {
        self.path(&format!("store-{id}"))
    }

    /// An append that asks one node for three seconds.
    pub(crate) fn append_at(&self, id: u64) -> Output {
        let endpoint = format!("--endpoint={}", self.socket(id).display());
        let append = [
            "chain",
            "append",
            "--chain",
            "orders",
            "--patience",
            "3",
            "x",
        ];
        meshosd(append).arg(endpoint).output().unwrap()
    }

    pub(crate) fn recording(&self, id: u64) -> PathBuf {
        self.path(&format!("recording-{id}"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts a node; its log goes to a file beside its config.
    pub(crate) fn start(&mut self, id: u64) {
        let format: &[&str] = match self.store(id).exists() {
            true => &[],
            false => &["--format"],
        };
        self.start_with(id, format);
    }

    /// Starts a node with further arguments.
    pub(crate) fn start_with(&mut self, id: u64, args: &[&str]) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(&format!("{id}.log")))
            .unwrap();
        let mut words = (self.setup.before)(id);
        words.push(self.setup.program.display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["run", "--config"]);
        command.arg(self.config(id)).args(args);
        let child = command.stdin(Stdio::null()).stderr(log).spawn().unwrap();
        self.running.insert(id, child);
    }

    pub(crate) fn start_all(&mut self) {
        for id in 1..=3 {
            self.start(id);
        }
    }

    /// What a node says of the chain, if it answers.
    pub(crate) fn status(&self, id: u64) -> Option<Value> {
        let socket = self.socket(id);
        let output = meshosd(["status", "--json", "--endpoint"])
            .arg(socket)
            .output()
            .unwrap();
        // A node that is not well answers, too.
        let text = String::from_utf8(output.stdout).ok()?;
        let status: Value = serde_json::from_str(text.lines().next()?).ok()?;
        status["error"].is_null().then_some(status)
    }

    /// Why the nodes `id` and `peer` do not talk, as `id` shows it.
    pub(crate) fn refusal(&self, id: u64, peer: u64) -> Option<String> {
        let status = self.status(id)?;
        let mut peers = status["peers"].as_array()?.iter();
        let found = peers.find(|found| found["node"] == peer)?;
        found["refusal"].as_str().map(str::to_owned)
    }

    /// Everything that a node has logged.
    pub(crate) fn log(&self, id: u64) -> String {
        fs::read_to_string(self.path(&format!("{id}.log"))).unwrap()
    }

    /// Where a node listens for its peers.
    pub(crate) fn address(&self, id: u64) -> String {
        self.setup.addresses[id as usize - 1].clone()
    }

    /// The process of a node.
    pub(crate) fn process(&self, id: u64) -> u32 {
        self.running[&id].id()
    }

    /// A running node that says it leads.
    pub(crate) fn leader(&self) -> Option<u64> {
        let mut running = self.running.keys().copied();
        running.find(|id| {
            let status = self.status(*id);
            status.is_some_and(|status| status["role"] == "leader")
        })
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, id: u64) {
        let mut child = self.running.remove(&id).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// `kill -TERM`, and how it ended.
    pub(crate) fn stop(&mut self, id: u64) -> ExitStatus {
        let mut child = self.running.remove(&id).unwrap();
        terminate(&child);
        wait_for("the node to stop", || child.try_wait().unwrap())
    }

    /// All control sockets as arguments.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        let endpoint = |id| format!("--endpoint={}", self.socket(id).display());
        (1..=3).map(endpoint).collect()
    }

    /// The data entries that a node gives to a linearizable read, as (seq, payload).
    pub(crate) fn read(&self, id: u64) -> Vec<(u64, String)> {
        let endpoint = format!("--endpoint={}", self.socket(id).display());
        let text = run(["chain", "read", "--chain", "orders", "--json", &endpoint]);
        let entries = text
            .lines()
            .map(|line| -> Value { serde_json::from_str(line).unwrap() });
        let data = entries.filter(|entry| entry["kind"] == "data");
        data.map(|entry| {
            let payload = entry["payload"].as_str().unwrap().to_owned();
            (entry["seq"].as_u64().unwrap(), payload)
        })
        .collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            // Left for whoever looks into it: recordings, stores and logs.
            self.directory.disable_cleanup(true);
            for id in 1..=3 {
                print_end(&self.path(&format!("{id}.log")));
            }
        }
    }
}

/// Asks a process to stop in order.
pub(crate) fn terminate(child: &Child) {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(status.success());
}

#[allow(clippy::print_stderr)]
fn print_end(log: &Path) {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let end = &lines[lines.len().saturating_sub(30)..];
    eprintln!("--- {}\n{}", log.display(), end.join("\n"));
}
