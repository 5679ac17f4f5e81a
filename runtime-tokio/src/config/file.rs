//! The config file as it is written.

use meshos_core::bandwidth::Class;
use meshos_core::chain::recording::PayloadMode;
use meshos_core::config::{Limits, Retention, Timing};
use meshos_core::id::{DeploymentId, StoreId};
use serde::de::{self, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::path::{Path, PathBuf};

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// This node.
    pub node: NodeTable,
    /// Its store.
    pub store: StoreTable,
    /// What is fed to the node is kept here.
    #[serde(default)]
    pub recording: RecordingTable,
    /// All nodes; equal in every file.
    pub cluster: ClusterTable,
    /// All chains; equal in every file.
    #[serde(default)]
    pub chains: Vec<ChainTable>,
    /// Spans that the protocol runs on.
    #[serde(default)]
    pub timing: Timing,
    /// Bounds of everything that could grow.
    #[serde(default)]
    pub limits: Limits,
}

impl ConfigFile {
    /// Makes paths that are relative begin at `directory`, the one that the file is in: what a
    /// file means does not depend on where a command is started.
    pub(super) fn resolve(&mut self, directory: &Path) {
        let paths = [&mut self.node.control, &mut self.store.path];
        for path in paths.into_iter().chain(&mut self.recording.path) {
            *path = directory.join(&*path);
        }
    }
}

/// `[node]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeTable {
    /// Which of `cluster.nodes` this is.
    pub id: u64,
    /// Where to listen for peers; the node's address in `cluster.nodes` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// The unix socket for `meshosd chain ..`; like every path, relative to the file's directory.
    pub control: PathBuf,
    /// Longest wait for another leader before a stop.
    #[serde(default = "hand_over_ms")]
    pub hand_over_ms: u64,
}

fn hand_over_ms() -> u64 {
    10_000
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreTable {
    /// The directory.
    pub path: PathBuf,
    /// The id that it is formatted with.
    pub id: IdText,
}

/// `[recording]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordingTable {
    /// The directory; nothing is recorded without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Whether payloads are kept.
    pub payload: PayloadText,
    /// A file that is longer is followed by a new one.
    pub rotate_bytes: u64,
    /// How many files are kept, the newest ones.
    pub files_max: u32,
    /// Steps between two state hashes.
    pub hash_steps: u32,
}

impl Default for RecordingTable {
    fn default() -> Self {
        Self {
            path: None,
            payload: PayloadText::Full,
            rotate_bytes: 64 << 20,
            files_max: 64,
            hash_steps: 64,
        }
    }
}

/// What a recording keeps of payloads.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadText {
    /// Their bytes.
    Full,
    /// Their length and hash, which is enough to replay.
    Digest,
    /// Nothing is recorded at all.
    Off,
}

impl PayloadText {
    /// What to record, if anything.
    pub const fn mode(self) -> Option<PayloadMode> {
        match self {
            Self::Full => Some(PayloadMode::Full),
            Self::Digest => Some(PayloadMode::Digest),
            Self::Off => None,
        }
    }
}

/// `[cluster]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterTable {
    /// Which deployment it is; minted once by `meshosd config new-cluster`, and equal in every file.
    pub deployment: IdText,
    /// The founding nodes.
    pub nodes: Vec<NodeEntry>,
}

/// One of `[[cluster.nodes]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeEntry {
    /// The node.
    pub id: u64,
    /// Its store.
    pub store: IdText,
    /// Where its peers reach it, as `host:port`.
    pub address: String,
}

/// One of `[[chains]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainTable {
    /// The name.
    pub name: String,
    /// What an acknowledgement promises.
    #[serde(default)]
    pub consistency: Consistency,
    /// How many members; the nodes of the lowest ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<usize>,
    /// The members by name; those that follow from the factor when the file lists none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<u64>>,
    /// The member that leads whenever it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader_pinned: Option<u64>,
    /// The traffic class.
    #[serde(default)]
    pub class: ClassText,
    /// What is kept.
    #[serde(default)]
    pub retention: Retention,
}

/// The consistency of a chain.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// An acknowledged append survives the loss of any minority.
    #[default]
    Quorum,
}

/// The traffic class of a chain.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassText {
    /// Ordinary traffic.
    #[default]
    Foreground,
    /// What the others leave over.
    Background,
    /// Ahead of the others.
    Realtime,
}

impl From<ClassText> for Class {
    fn from(text: ClassText) -> Self {
        match text {
            ClassText::Foreground => Self::Foreground,
            ClassText::Background => Self::Background,
            ClassText::Realtime => Self::Realtime,
        }
    }
}

/// The id of a store or a deployment, as 32 hexadecimal digits.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct IdText(u128);

impl From<IdText> for StoreId {
    fn from(text: IdText) -> Self {
        Self::new(text.0)
    }
}

impl From<IdText> for DeploymentId {
    fn from(text: IdText) -> Self {
        Self::new(text.0)
    }
}

impl From<StoreId> for IdText {
    fn from(store: StoreId) -> Self {
        Self(store.get())
    }
}

impl fmt::Display for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for IdText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IdText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let parsed = u128::from_str_radix(&text, 16);
        match parsed {
            Ok(id) if digits && id != 0 => Ok(Self(id)),
            Ok(_) | Err(_) => Err(de::Error::invalid_value(
                Unexpected::Str(&text),
                &"32 hexadecimal digits, not all zero",
            )),
        }
    }
}
