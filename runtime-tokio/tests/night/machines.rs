//! Three machines on a switch, as network namespaces.

use super::common::{Cluster, Setup, meshosd, wait_for};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs a line of shell that has to succeed.
#[track_caller]
pub(crate) fn shell(line: &str) {
    let status = Command::new("sh").args(["-ec", line]).status().unwrap();
    assert!(status.success(), "{line}");
}

/// Plugs three machines into a switch, whatever was plugged before.
fn plug() {
    shell("ip link show switch > /dev/null 2>&1 || ip link add switch type bridge");
    shell("ip link set switch up");
    for id in 1..=3 {
        shell(&format!(
            "if ip link show port{id} > /dev/null 2>&1; then ip link del port{id}; fi
             if [ -e /run/netns/machine{id} ]; then ip netns del machine{id}; fi
             ip netns add machine{id}
             ip link add port{id} type veth peer name eth0 netns machine{id}
             ip link set port{id} up master switch
             ip -n machine{id} addr add 10.77.0.{id}/24 dev eth0
             ip -n machine{id} link set eth0 up
             ip -n machine{id} link set lo up"
        ));
    }
}

/// What puts a node on its machine.
pub(crate) fn on_machine(id: u64) -> Vec<String> {
    let machine = format!("machine{id}");
    ["ip", "netns", "exec", &machine].map(str::to_owned).into()
}

/// Nodes on three machines, with default timing.
pub(crate) fn setup() -> Setup {
    plug();
    Setup {
        before: on_machine,
        addresses: (1..=3).map(|id| format!("10.77.0.{id}:7100")).collect(),
        timing: String::new(),
        ..Setup::default()
    }
}

/// Pulls the cable of a machine.
pub(crate) fn cut(id: u64) {
    shell(&format!("ip link set port{id} down"));
}

/// Puts it back.
pub(crate) fn heal(id: u64) {
    shell(&format!("ip link set port{id} up"));
}

/// Lets the cable of a machine carry so many kilobits a second each way.
pub(crate) fn slow_down(id: u64, kbit: u32) {
    let shape = format!("root tbf rate {kbit}kbit burst 4kb latency 2s");
    shell(&format!("tc qdisc replace dev port{id} {shape}"));
    shell(&format!(
        "ip netns exec machine{id} tc qdisc replace dev eth0 {shape}"
    ));
}

/// Loses every packet of more than 600 bytes that a machine sends, without a word.
pub(crate) fn lose_large(id: u64) {
    shell(&format!(
        "ip -n machine{id} link set eth0 gso_max_segs 1
         ip link set port{id} mtu 600"
    ));
}

/// Clients that append without a pause until this is dropped.
pub(crate) struct Load(Child);

impl Load {
    pub(crate) fn start(cluster: &Cluster, clients: u32, bytes: u32) -> Self {
        let clients = clients.to_string();
        let child = meshosd([
            "chain",
            "append",
            "--chain",
            "orders",
            "--count",
            "100000000",
        ])
        .args(["--clients", &clients, "--payload-bytes", &bytes.to_string()])
        .args(["--patience", "600", "--acked"])
        .arg(cluster.path("acked"))
        .args(cluster.endpoints())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
        let load = Self(child);
        wait_for("the first acknowledgement", || {
            (acked(cluster) > 0).then_some(())
        });
        load
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How many bytes of acknowledgements there are.
pub(crate) fn acked(cluster: &Cluster) -> u64 {
    std::fs::metadata(cluster.path("acked")).map_or(0, |file| file.len())
}

/// Time until the next acknowledgement, from now.
pub(crate) fn next_acked(cluster: &Cluster) -> Duration {
    let begun = Instant::now();
    // What was acknowledged just before is still being written down.
    std::thread::sleep(Duration::from_millis(20));
    let before = acked(cluster);
    let deadline = begun + Duration::from_secs(60);
    while acked(cluster) == before {
        assert!(
            Instant::now() < deadline,
            "nothing is acknowledged any more"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    begun.elapsed()
}

/// Time until one append through one node is acknowledged, from now.
pub(crate) fn append_through(cluster: &Cluster, id: u64, payload: &str) -> Duration {
    append(
        &[format!("--endpoint={}", cluster.socket(id).display())],
        payload,
    )
}

/// Time until one append through any of several endpoints is acknowledged, from now.
pub(crate) fn append(endpoints: &[String], payload: &str) -> Duration {
    let begun = Instant::now();
    let status = meshosd(["chain", "append", "--chain", "orders", "--patience", "60"])
        .args(endpoints)
        .arg(payload)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    begun.elapsed()
}

/// The end of the committed prefix that a node knows.
pub(crate) fn commit(cluster: &Cluster, id: u64) -> Option<u64> {
    cluster.status(id)?["commit"].as_u64()
}

/// Prints what was measured, and asks that median and worst keep their goals.
#[track_caller]
#[allow(clippy::print_stdout)]
pub(crate) fn judge(what: &str, mut took: Vec<Duration>, median: f64, worst: f64) {
    took.sort();
    let at = |index: usize| took[index].as_secs_f64();
    let (middle, last) = (at(took.len() / 2), at(took.len() - 1));
    println!("{what}: median {middle:.2} s (goal {median} s), worst {last:.2} s (goal {worst} s)");
    println!("{what}: {took:.2?}");
    assert!(middle <= median && last <= worst, "{what}: goal missed");
}
