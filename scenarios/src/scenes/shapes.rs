//! Shapes of clusters: chains of some of the nodes, nodes with configs of their own, zones.

use crate::cfg::{NodeCfg, Plan};
use meshos_sim::machine::NodeIndex;
use meshos_sim::swarm::Draw;
use meshos_sim::weather::{LinkWeather, Weather};

/// One node, or three and more, of a cluster.
pub(super) fn members(nodes: u16, draw: Draw) -> Vec<NodeIndex> {
    let order = draw.of("members").shuffled((0..nodes).map(NodeIndex));
    let sizes: Vec<usize> = [1, 3, 3, 4, 5]
        .into_iter()
        .filter(|size| *size <= order.len())
        .collect();
    let mut members = order[..*draw.of("size").pick(&sizes)].to_vec();
    members.sort_unstable();
    members
}

/// Gives most nodes spans and bounds of their own.
///
/// The heartbeats of two nodes differ twofold at most, so that nobody suspects a leader that only
/// has the longest of them. Entries and messages are as large everywhere: nodes that allow
/// different ones refuse each other.
pub(super) fn unlike(plan: &mut Plan, draw: Draw) {
    let base = plan.cfg.timing.heartbeat_ms;
    for node in 0..plan.nodes {
        let draw = draw.nth(u64::from(node));
        if draw.of("alike").chance(200_000) {
            continue;
        }
        let mut own = NodeCfg {
            node: NodeIndex(node),
            ..NodeCfg::default()
        };
        let timing = [
            ("heartbeat_ms", draw.of("heartbeat").within(base..=2 * base)),
            ("request_ms", draw.of("request").within(1_000..=8_000)),
            ("seal_ms", draw.of("seal").within(50..=2_000)),
            ("pin_ms", draw.of("pin").within(1_000..=60_000)),
        ];
        let limits: [(&str, &[u64]); 10] = [
            ("read_bytes_max", &[100, 4_096, 1 << 20]),
            ("chunks_in_flight_max", &[1, 2, 8, 64]),
            ("lag_max", &[1, 4, 1_024]),
            ("batch_bytes_max", &[1, 500, 1 << 20]),
            ("requests_max", &[4, 64, 4_096]),
            ("uncommitted_max", &[4, 64, 65_536]),
            ("forwards_max", &[2, 64, 4_096]),
            ("rows_max", &[1, 256]),
            ("segment_bytes_max", &[4_096, 20_000, 8 << 20]),
            ("bandwidth_bytes_per_s", &[100_000, 62_500_000]),
        ];
        let drawn = |key: &str, number| draw.of("own").of(key).chance(500_000).then_some(number);
        for (key, number) in timing {
            own.timing
                .extend(drawn(key, number).map(|number| (key.to_owned(), number)));
        }
        for (key, choices) in limits {
            let number = *draw.of("limit").of(key).pick(choices);
            own.limits
                .extend(drawn(key, number).map(|number| (key.to_owned(), number)));
        }
        plan.cfg.nodes.push(own);
    }
}

/// Two zones, far from each other.
pub(super) fn zones(plan: &mut Plan, draw: Draw) {
    let order = draw.of("order").shuffled((0..plan.nodes).map(NodeIndex));
    let size = draw.of("size").within(1..=u64::from(plan.nodes) - 1) as usize;
    let (near, far) = order.split_at(size);
    let latency = draw.of("latency").within(5_000..=90_000);
    // Latency is often the same for all: then nothing overtakes anything.
    let jitter = *draw.of("jitter").pick(&[0, 0, 5_000]);
    let weather = Weather::latency_us(latency, latency + jitter);
    plan.matrix = LinkWeather::between(&[near.to_vec(), far.to_vec()], weather);
}
