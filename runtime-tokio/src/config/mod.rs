//! The config file of a node: TOML in, a checked [`Settings`] out.
//!
//! A mistake is reported with the file, the place in it, the key, what was found and what was
//! expected; unknown keys are mistakes. What concerns the cluster has to be equal in the files of
//! all nodes: the cluster's id is a hash over it, and nodes of different ids do not talk.

mod agree;
mod file;

pub use agree::agree;
pub use file::{
    ChainTable, ClassText, ClusterTable, ConfigFile, Consistency, IdText, NodeEntry, NodeTable,
    PayloadText, RecordingTable, StoreTable,
};

use meshos_core::chain::store::{Founding, Identity, Named, StoreLimits};
use meshos_core::config::{ChainDraft, Config, ConfigError as CoreConfigError, Draft, Founder};
use meshos_core::id::{ChainId, NodeId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a config file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{file}: cannot be read: {source}{}", hint(source))]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no TOML, or a key or value is not what was expected.
    #[error("{file}:{line}:{column}: {key}{what}")]
    Parse {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The key with a colon behind it, or nothing where there is none.
        key: String,
        /// What was found, and what was expected.
        what: String,
    },
    /// A value contradicts another one.
    #[error("{file}: {key}: found {found}, expected {expected}")]
    Contradiction {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// What stands there.
        found: String,
        /// What would fit.
        expected: String,
    },
    /// The genesis is not one that the core accepts.
    #[error("{file}: {source}")]
    Genesis {
        /// The file.
        file: PathBuf,
        /// Why.
        source: CoreConfigError,
    },
    /// Two files are not those of two nodes of one cluster.
    #[error(
        "{key}: {} in {}, {} in {}, expected {expected}",
        one.1,
        one.0.display(),
        other.1,
        other.0.display()
    )]
    Disagree {
        /// The key.
        key: String,
        /// A file, and what it says.
        one: Box<(PathBuf, String)>,
        /// Another one, and what that says.
        other: Box<(PathBuf, String)>,
        /// What would fit.
        expected: &'static str,
    },
}

/// What to do about a file that cannot be read.
fn hint(source: &std::io::Error) -> &'static str {
    match source.kind() == std::io::ErrorKind::NotFound {
        true => "; `meshosd config new-cluster` writes one",
        false => "",
    }
}

/// Everything that a node is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who this node is.
    pub identity: Identity,
    /// What the core is started with.
    pub core: Arc<Config>,
    /// Where to listen for peers.
    pub listen: String,
    /// The other nodes, and where they listen.
    pub peers: BTreeMap<NodeId, String>,
    /// The file, for what only the runtime needs.
    pub file: ConfigFile,
}

impl Settings {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read or says something that cannot be.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            file: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// The name of the chain that a file of the store belongs to, if it belongs to one.
    pub fn chain_of(&self, file: &str) -> Option<&str> {
        let Some(Named::Chain { chain, .. }) = Named::of(file) else {
            return None;
        };
        let mut names = self.file.chains.iter().map(|table| &*table.name);
        names.find(|name| ChainId::of(name) == chain)
    }

    /// Checks the text of the file called `path`.
    ///
    /// # Errors
    /// When it says something that cannot be.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut file = parse_file(path, text)?;
        file.resolve(path.parent().unwrap_or(Path::new("")));
        bounds(path, &file)?;
        let draft = draft(path, &file)?;
        for (chain, draft) in file.chains.iter_mut().zip(&draft.chains) {
            let members = draft.members.iter().map(|node| node.get());
            chain.members = Some(members.collect());
        }
        let core = Config::try_from(draft).map_err(|source| {
            let file = path.to_owned();
            ConfigError::Genesis { file, source }
        })?;
        addresses(path, &file)?;
        let contradiction = |key: &str, found, expected| contradiction(path, key, found, expected);
        let node = NodeId::new(file.node.id);
        let Some(store) = core.store_of(node) else {
            let expected = "the id of one of cluster.nodes".to_owned();
            return Err(contradiction("node.id", node.to_string(), expected));
        };
        if store != file.store.id.into() {
            let (found, expected) = (file.store.id, IdText::from(store));
            let expected = format!("{expected}, as cluster.nodes says of node {node}");
            return Err(contradiction("store.id", found.to_string(), expected));
        }
        let mut entries = file.cluster.nodes.iter();
        let own = entries.find(|entry| entry.id == node.get());
        let own = own.expect("the core found the node in the same list");
        let listen = file.node.listen.clone();
        let listen = listen.unwrap_or_else(|| own.address.clone());
        let others = file.cluster.nodes.iter();
        let others = others.filter(|entry| entry.id != node.get());
        let peer = |entry: &NodeEntry| (NodeId::new(entry.id), entry.address.clone());
        Ok(Self {
            identity: Identity {
                cluster: core.cluster(),
                node,
                store,
            },
            core: Arc::new(core),
            listen,
            peers: others.map(peer).collect(),
            file,
        })
    }

    /// What the store is formatted with.
    pub fn foundings(&self) -> Vec<Founding> {
        self.core.foundings(self.identity.node)
    }

    /// The limits of the store.
    pub fn store_limits(&self) -> StoreLimits {
        StoreLimits {
            segment_bytes_max: self.core.limits().segment_bytes_max.into(),
        }
    }
}

/// What the core would take, and what no operator can have meant.
fn bounds(path: &Path, file: &ConfigFile) -> Result<(), ConfigError> {
    let contradiction = |key: &str, found: String, expected: String| ConfigError::Contradiction {
        file: path.to_owned(),
        key: key.to_owned(),
        found,
        expected,
    };
    let recording = &file.recording;
    let numbers: [(_, u64, _); 5] = [
        ("timing.request_ms", file.timing.request_ms, 100..=3_600_000),
        ("node.hand_over_ms", file.node.hand_over_ms, 0..=3_600_000),
        (
            "recording.rotate_bytes",
            recording.rotate_bytes,
            4096..=1 << 40,
        ),
        (
            "recording.files_max",
            recording.files_max.into(),
            1..=1 << 20,
        ),
        (
            "recording.hash_steps",
            recording.hash_steps.into(),
            1..=1 << 20,
        ),
    ];
    for (key, found, may) in numbers {
        if !may.contains(&found) {
            let expected = format!("{} to {}", may.start(), may.end());
            return Err(contradiction(key, found.to_string(), expected));
        }
    }
    let control = file.node.control.as_os_str().len();
    if !(1..=SOCKET_BYTES_MAX).contains(&control) {
        let found = format!("a path of {control} bytes, with the directory of the file");
        let expected =
            format!("1 to {SOCKET_BYTES_MAX} bytes, which is all that a socket may have");
        return Err(contradiction("node.control", found, expected));
    }
    for (index, chain) in file.chains.iter().enumerate() {
        let name = &chain.name;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
            let key = format!("chains[{index}].name");
            let expected = format!("1 to {NAME_BYTES_MAX} bytes without control characters");
            return Err(contradiction(&key, format!("{name:?}"), expected));
        }
        let kept = &chain.retention;
        let bounds = [
            ("entries_max", kept.entries_max),
            ("bytes_max", kept.bytes_max),
            ("age_max_ms", kept.age_max_ms),
        ];
        // What nobody could ever read need not be appended.
        if let Some((bound, _)) = bounds.iter().find(|(_, bound)| *bound == Some(0)) {
            let key = format!("chains[{index}].retention.{bound}");
            let expected = "1 or more, or no bound".to_owned();
            return Err(contradiction(&key, "0".to_owned(), expected));
        }
    }
    Ok(())
}

/// Longest path of a unix socket.
const SOCKET_BYTES_MAX: usize = 107;

/// Longest name of a chain.
const NAME_BYTES_MAX: usize = 255;

/// What an address looks like.
const ADDRESS: &str = "host:port, the port from 1 to 65535";

/// Whether this can be an address; only dialling tells whether somebody is there. Port 0 is none
/// that anybody could dial.
fn is_address(text: &str) -> bool {
    let parts = text.rsplit_once(':');
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0))
}

fn contradiction(path: &Path, key: &str, found: String, expected: String) -> ConfigError {
    let (file, key) = (path.to_owned(), key.to_owned());
    ConfigError::Contradiction {
        file,
        key,
        found,
        expected,
    }
}

/// Whether everybody has an address of its own.
fn addresses(path: &Path, file: &ConfigFile) -> Result<(), ConfigError> {
    for (index, entry) in file.cluster.nodes.iter().enumerate() {
        let key = format!("cluster.nodes[{index}].address");
        if !is_address(&entry.address) {
            let found = entry.address.clone();
            return Err(contradiction(path, &key, found, ADDRESS.to_owned()));
        }
        let before = &file.cluster.nodes[..index];
        if let Some(twin) = before.iter().find(|other| other.address == entry.address) {
            let expected = format!("another address than that of node {}", twin.id);
            return Err(contradiction(path, &key, entry.address.clone(), expected));
        }
    }
    match file.node.listen.as_ref().filter(|text| !is_address(text)) {
        Some(listen) => {
            let (key, expected) = ("node.listen", ADDRESS.to_owned());
            Err(contradiction(path, key, listen.clone(), expected))
        }
        None => Ok(()),
    }
}

fn parse_file(path: &Path, text: &str) -> Result<ConfigFile, ConfigError> {
    let error = |key: String, error: &toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let before = &text.as_bytes()[..at];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let line_start = before.iter().rposition(|byte| *byte == b'\n');
        ConfigError::Parse {
            file: path.to_owned(),
            line,
            column: 1 + at - line_start.map_or(0, |newline| newline + 1),
            key,
            what: error.message().trim_end().replace('\n', ", "),
        }
    };
    let parsed = toml::Deserializer::parse(text).map_err(|e| error(String::new(), &e))?;
    serde_path_to_error::deserialize(parsed).map_err(|wrong| {
        let key = wrong.path().to_string();
        let key = if key == "." {
            String::new()
        } else {
            format!("{key}: ")
        };
        error(key, wrong.inner())
    })
}

fn draft(path: &Path, file: &ConfigFile) -> Result<Draft, ConfigError> {
    let mut chains = Vec::new();
    for (index, chain) in file.chains.iter().enumerate() {
        chains.push(ChainDraft {
            name: chain.name.clone(),
            members: members(path, file, index, chain)?,
            leader_pinned: chain.leader_pinned.map(NodeId::new),
            retention: chain.retention,
            class: chain.class.into(),
        });
    }
    let founder = |entry: &NodeEntry| Founder {
        node: NodeId::new(entry.id),
        store: entry.store.into(),
    };
    Ok(Draft {
        deployment: file.cluster.deployment.into(),
        nodes: file.cluster.nodes.iter().map(founder).collect(),
        chains,
        timing: file.timing,
        limits: file.limits,
    })
}

/// The members that are listed, or the first `factor` nodes.
fn members(
    path: &Path,
    file: &ConfigFile,
    index: usize,
    chain: &ChainTable,
) -> Result<Vec<NodeId>, ConfigError> {
    let contradiction = |key: &str, found: String, expected: &str| ConfigError::Contradiction {
        file: path.to_owned(),
        key: format!("chains[{index}].{key}"),
        found,
        expected: expected.to_owned(),
    };
    let mut nodes: Vec<u64> = file.cluster.nodes.iter().map(|entry| entry.id).collect();
    nodes.sort_unstable();
    let factor = chain.factor.unwrap_or(FACTOR_DEFAULT.min(nodes.len()));
    let Some(members) = &chain.members else {
        if factor > nodes.len() {
            let expected = "no more than there are cluster.nodes";
            return Err(contradiction("factor", factor.to_string(), expected));
        }
        nodes.truncate(factor);
        return Ok(nodes.into_iter().map(NodeId::new).collect());
    };
    if chain.factor.is_some_and(|factor| factor != members.len()) {
        let expected = "the number of members, or no factor beside members";
        return Err(contradiction("factor", factor.to_string(), expected));
    }
    Ok(members.iter().copied().map(NodeId::new).collect())
}

/// How many members a chain has that names neither members nor a factor (D11).
const FACTOR_DEFAULT: usize = 3;

#[cfg(test)]
mod tests;
