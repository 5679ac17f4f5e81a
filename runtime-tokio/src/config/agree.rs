//! Whether the files of several nodes are those of one cluster.
//!
//! Nodes judge each other by hashes, which say that something differs and not what. Whoever holds
//! the files can say what.

use super::{ConfigError, Settings};
use meshos_core::config::ChainDraft;
use meshos_core::hello::{Refusal, Terms};
use meshos_core::id::NodeId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Checks that nodes with these files would work together: that whatever has to be equal in all of
/// them is, and that each is of another node.
///
/// # Errors
/// The first key that differs, in the order of the file, with both files and values.
pub fn agree(files: &[(PathBuf, Settings)]) -> Result<(), ConfigError> {
    for (at, (path, settings)) in files.iter().enumerate() {
        for (before, earlier) in &files[..at] {
            let differs = |key: String, one: String, other: String| ConfigError::Disagree {
                key,
                one: Box::new((before.clone(), one)),
                other: Box::new((path.clone(), other)),
                expected: "the same in the files of all nodes",
            };
            let node = settings.identity.node;
            if earlier.identity.node == node {
                return Err(twice(before, path, node));
            }
            if let Some((key, one, other)) = first_difference(earlier, settings) {
                return Err(differs(key, one, other));
            }
            fit(before, earlier, path, settings)?;
        }
    }
    Ok(())
}

fn twice(before: &Path, path: &Path, node: NodeId) -> ConfigError {
    ConfigError::Disagree {
        key: "node.id".to_owned(),
        one: Box::new((before.to_owned(), node.to_string())),
        other: Box::new((path.to_owned(), node.to_string())),
        expected: "another node in each file",
    }
}

/// What has to fit without being equal, and a last look as the nodes themselves would take it.
fn fit(before: &Path, one: &Settings, path: &Path, other: &Settings) -> Result<(), ConfigError> {
    let disagree = |key: &str, values: [String; 2], expected| {
        let [first, second] = values;
        Err(ConfigError::Disagree {
            key: key.to_owned(),
            one: Box::new((before.to_owned(), first)),
            other: Box::new((path.to_owned(), second)),
            expected,
        })
    };
    let clusters = [one, other].map(|settings| settings.identity.cluster);
    if clusters[0] != clusters[1] {
        let values = clusters.map(|cluster| format!("{:032x}", cluster.get()));
        return disagree("the cluster", values, "one cluster");
    }
    let [ours, theirs] = [one, other].map(|settings| Terms::of(&settings.core));
    match theirs.fit(&ours) {
        Ok(()) => Ok(()),
        Err(Refusal::OtherHeartbeat { ours, theirs }) => disagree(
            "timing.heartbeat_ms",
            [ours, theirs].map(|ms| ms.to_string()),
            "at most twice the other",
        ),
        Err(_) => disagree(
            "the policy of a chain",
            [ours, theirs].map(|terms| format!("{:016x}", terms.policy.get())),
            "the same in the files of all nodes",
        ),
    }
}

/// The first key that has to be equal and is not, and what each file says of it.
fn first_difference(one: &Settings, other: &Settings) -> Option<(String, String, String)> {
    let [ours, theirs] = [one, other].map(shared);
    let said =
        |all: &[(String, String)]| -> BTreeMap<String, String> { all.iter().cloned().collect() };
    let [here, there] = [said(&ours), said(&theirs)];
    let value = |all: &BTreeMap<String, String>, key: &str| {
        let absent = || "not there".to_owned();
        all.get(key).cloned().unwrap_or_else(absent)
    };
    let mut keys = ours.iter().chain(&theirs).map(|(key, _)| key);
    let key = keys.find(|key| here.get(*key) != there.get(*key))?;
    Some((key.clone(), value(&here, key), value(&there, key)))
}

/// Everything that has to be equal in the files of all nodes, in the order of a file. Nodes and
/// chains go by their names: in which order a file lists them means nothing.
fn shared(settings: &Settings) -> Vec<(String, String)> {
    let cluster = &settings.file.cluster;
    let mut said = vec![(
        "cluster.deployment".to_owned(),
        cluster.deployment.to_string(),
    )];
    let mut nodes: Vec<_> = cluster.nodes.iter().collect();
    nodes.sort_by_key(|node| node.id);
    for node in nodes {
        let key = format!("cluster.nodes[id = {}]", node.id);
        said.push((format!("{key}.store"), node.store.to_string()));
        said.push((format!("{key}.address"), node.address.clone()));
    }
    for chain in settings.core.chains() {
        of_chain(chain, &mut said);
    }
    let limits = settings.core.limits();
    let numbers = [
        ("entry_bytes_max", limits.entry_bytes_max),
        ("message_bytes_max", limits.message_bytes_max),
        ("clients_max", limits.clients_max),
        ("client_window", limits.client_window),
    ];
    let numbers = numbers.map(|(key, value)| (format!("limits.{key}"), value.to_string()));
    said.extend(numbers);
    said
}

fn of_chain(chain: &ChainDraft, said: &mut Vec<(String, String)>) {
    let key = format!("chains[name = {:?}]", chain.name);
    let members: Vec<u64> = chain.members.iter().map(|node| node.get()).collect();
    said.push((format!("{key}.members"), format!("{members:?}")));
    let class = format!("{:?}", chain.class).to_lowercase();
    said.push((format!("{key}.class"), class));
    let kept = chain.retention;
    let bounds = [
        ("leader_pinned", chain.leader_pinned.map(NodeId::get)),
        ("retention.entries_max", kept.entries_max),
        ("retention.bytes_max", kept.bytes_max),
        ("retention.age_max_ms", kept.age_max_ms),
    ];
    for (name, value) in bounds {
        let value = value.map_or("not set".to_owned(), |value| value.to_string());
        said.push((format!("{key}.{name}"), value));
    }
}

#[cfg(test)]
#[path = "agree_tests.rs"]
mod tests;
