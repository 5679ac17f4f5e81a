//! Whether a disk holds what its node needs, however full it is now.
//!
//! A plan may bound the room of disks for good. What a node then owes depends on what it could let
//! go of, never on what it did let go of: so its own log does not count, only what a node that has
//! all keeps, and of that only what retention still wants.

use super::{Checks, disk_use, track::ChainTrack};
use crate::model::{Host, node_id};
use meshos_core::chain::store::{Named, Part};
use meshos_core::config::Retention;
use meshos_core::replica::Chain;
use meshos_sim::machine::NodeIndex;
use meshos_sim::world::View;

/// Whether the disk of `node` has room for each of its chains: for the segments of the one of `core`
/// that has stored most of it, or what retention leaves of them, for two files of the longest
/// checkpoint that anybody has, and for the repairs of a damaged log.
pub(super) fn holds(
    checks: &Checks,
    view: View<'_, Host>,
    core: &[NodeIndex],
    node: NodeIndex,
) -> bool {
    let Some(room) = view.medium(node).room else {
        return true;
    };
    let capacity = room + view.disk(node).used();
    let chains = checks.chains.iter();
    let held = chains.filter(|chain| chain.voter(node_id(node)).is_some());
    let needs = held.map(|chain| {
        let draft = checks.config(node).chain(chain.id);
        let retention = draft.map(|draft| draft.retention).unwrap_or_default();
        let others = core
            .iter()
            .copied()
            .filter(|other| *other != node || core.len() == 1);
        segments(view, chain, others, &retention)
            + checkpoints(view, chain, core)
            + repairs(view, chain, node)
    });
    needs.sum::<u64>() + SMALL <= capacity
}

fn segments(
    view: View<'_, Host>,
    chain: &ChainTrack,
    nodes: impl Iterator<Item = NodeIndex> + Clone,
    retention: &Retention,
) -> u64 {
    let replica = |node| Some((node, view.node(node)?.node()?.chain(chain.id)?));
    let replicas = nodes.clone().filter_map(replica);
    let most = replicas.max_by_key(|(_, replica)| replica.log().durable().end);
    let Some((node, most)) = most else {
        return 0;
    };
    let there = lengths(view, chain, node, |part| matches!(part, Part::Segment(_)));
    let wall_ms = nodes.map(|node| view.clocks(node).wall_ms).min();
    let records = records(most, retention, wall_ms.unwrap_or(0));
    // The last segment goes, too, when nothing of it is kept.
    let kept = if records > 0 {
        2 * records + SHORTEST
    } else {
        0
    };
    kept.min(there.sum())
}

/// Bytes of the records at the end of a log that are within all bounds by half, and by ten seconds
/// of age: *retains* asks for no less.
fn records(replica: &Chain, retention: &Retention, wall_ms: u64) -> u64 {
    let within = |value: u64, max: Option<u64>| max.is_none_or(|max| value <= max + max / 2);
    let log = replica.log();
    let (mut entries, mut payload, mut seq) = (0, 0, log.end());
    while let Some(entry) = seq.before().and_then(|last| log.entry(last)) {
        let length = u64::from(entry.payload.length());
        let age = wall_ms.saturating_sub(entry.stamp.as_ms());
        if !within(entries + 1, retention.entries_max)
            || !within(payload + length, retention.bytes_max)
            || !within(age.saturating_sub(10_000), retention.age_max_ms)
        {
            break;
        }
        (entries, payload, seq) = (entries + 1, payload + length, entry.seq);
    }
    disk_use::of_records(entries, payload)
}

/// What a log with damage needs besides: what was lost is written a second time before a cut behind
/// it, and that cut writes a header.
fn repairs(view: View<'_, Host>, chain: &ChainTrack, node: NodeIndex) -> u64 {
    let is_file = |part| matches!(part, Part::Repairs);
    let there: u64 = lengths(view, chain, node, is_file).sum();
    let replica = view
        .node(node)
        .and_then(Host::node)
        .and_then(|node| node.chain(chain.id));
    let waits = replica.is_some_and(|chain| chain.log().unknown() > 0 || chain.is_repairing());
    match (waits, there) {
        (true, _) => there + SHORTEST,
        (false, 0) => 0,
        (false, _) => there + HEADER,
    }
}

fn checkpoints(view: View<'_, Host>, chain: &ChainTrack, core: &[NodeIndex]) -> u64 {
    let is_file = |part| matches!(part, Part::Checkpoint(_));
    let files = core
        .iter()
        .flat_map(|node| lengths(view, chain, *node, is_file));
    files.max().map_or(0, |longest| 2 * longest)
}

/// The lengths of some files of a chain on the disk of one node.
fn lengths<'a>(
    view: View<'a, Host>,
    chain: &ChainTrack,
    node: NodeIndex,
    is_file: impl Fn(Part) -> bool + 'a,
) -> impl Iterator<Item = u64> + 'a {
    let id = chain.id;
    let files = view.disk(node).files();
    let files = files.filter(move |(name, _)| match Named::of(name) {
        Some(Named::Chain { chain, part, .. }) => chain == id && is_file(part),
        Some(Named::Identity(_) | Named::Peers(_)) | None => false,
    });
    files.map(|(_, bytes)| bytes.len() as u64)
}

/// The length up to which a segment always grows, with the batch that ends it.
const SHORTEST: u64 = (64 << 10) + 4_096;
/// Longer than the header of a segment.
const HEADER: u64 = 256;
/// Identity, votes, what is known of peers, and a first entry.
const SMALL: u64 = 8_192;
