//! The fault vocabulary: plain data that a plan holds and a shrinker may drop one by one.
//!
//! Every fault is total: one that does not apply (a wipe of a node that is up, an end of a cut
//! that nobody made) has no effect, so a plan keeps its meaning when another fault is removed. A
//! run counts such faults, because whoever wrote them meant something.

use crate::node::NodeIndex;
use crate::weather::Weather;
use serde::{Deserialize, Serialize};

/// What becomes of bytes and names that were not synced when a node crashes.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unsynced {
    /// One of the other four, drawn for each crash.
    #[default]
    Drawn,
    /// All of it is gone.
    Lost,
    /// All of it is there, as when the process dies and its system does not; it is still not
    /// synced, so the next crash may take it.
    Kept,
    /// Each operation reached the medium or not, whatever came before it.
    Reordered,
    /// A drawn number of operations reached the medium, the next one in part.
    Torn,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What outlasts a recovery. Only what makes a cluster slow, incomplete or short of room can: nodes
/// run, clocks go, and what a disk frees it can take again.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The weather of all links.
    Weather,
    /// The cuts of single links; partitions, clogs and filters end.
    Cuts,
    /// How long disks take.
    Disks,
    /// How fast clocks run.
    Clocks,
    /// How many bytes disks have room for.
    Room,
}

/// One thing that goes wrong, or right again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The node loses its memory and, as `unsynced` says, what it had not synced. One that is
    /// down stays down: no earlier crash restarts it.
    Crash {
        /// The node.
        node: NodeIndex,
        /// The fate of what was not synced.
        #[serde(default)]
        unsynced: Unsynced,
    },
    /// The node crashes while its disk performs the `op`-th file operation from now on.
    CrashAtPersist {
        /// The node.
        node: NodeIndex,
        /// Which file operation, from 1.
        op: u64,
        /// The fate of what was not synced.
        #[serde(default)]
        unsynced: Unsynced,
        /// How much later the node restarts; without it the node stays down. The restart belongs
        /// to this crash: another crash or boot of the node in between voids it, and so does the
        /// end of the safety phase.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        restart_after_ms: Option<u64>,
    },
    /// A node that is down boots.
    Restart {
        /// The node.
        node: NodeIndex,
    },
    /// The node stops running; its clocks do not, and what arrives waits.
    Pause {
        /// The node.
        node: NodeIndex,
    },
    /// A paused node goes on with everything that waited.
    Resume {
        /// The node.
        node: NodeIndex,
    },
    /// A node that is down loses its disk; it comes back with a new store number.
    Wipe {
        /// The node.
        node: NodeIndex,
    },
    /// Nodes of different groups do not hear each other; replaces an earlier partition. Nodes
    /// that no group names are one more group.
    Partition {
        /// The groups.
        groups: Vec<Vec<NodeIndex>>,
    },
    /// Messages in one direction are lost.
    Cut {
        /// The sender.
        from: NodeIndex,
        /// The receiver.
        to: NodeIndex,
    },
    /// Ends a cut.
    Mend {
        /// The sender.
        from: NodeIndex,
        /// The receiver.
        to: NodeIndex,
    },
    /// Messages in one direction wait until the link is unclogged.
    Clog {
        /// The sender.
        from: NodeIndex,
        /// The receiver.
        to: NodeIndex,
    },
    /// Ends a clog; what waited travels now.
    Unclog {
        /// The sender.
        from: NodeIndex,
        /// The receiver.
        to: NodeIndex,
    },
    /// Messages of one kind are lost.
    Filter {
        /// The message kind.
        message: u16,
        /// Only from this sender.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<NodeIndex>,
        /// Only to this receiver.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<NodeIndex>,
    },
    /// Ends partitions, cuts, clogs and filters; weather stays.
    Heal {},
    /// Changes how messages travel, on all links or on those of one sender or receiver.
    Weather {
        /// Only from this sender.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<NodeIndex>,
        /// Only to this receiver.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<NodeIndex>,
        /// The new weather, or what a link has of its own where that is worse; without it, the
        /// weather the run began with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weather: Option<Weather>,
    },
    /// The wall clock shows true time plus `ms` from now on.
    ClockOffset {
        /// The node.
        node: NodeIndex,
        /// Milliseconds ahead of true time, or behind it.
        ms: i64,
    },
    /// The wall clock moves by `ms`.
    ClockStep {
        /// The node.
        node: NodeIndex,
        /// Milliseconds forwards, or backwards.
        ms: i64,
    },
    /// Both clocks leap forwards, as after a suspension that nobody noticed.
    ClockJump {
        /// The node.
        node: NodeIndex,
        /// Milliseconds forwards.
        ms: u64,
    },
    /// Both clocks run `ppm` parts of a million faster than true time, or slower.
    ClockRate {
        /// The node.
        node: NodeIndex,
        /// Parts of a million; more than -1,000,000.
        ppm: i32,
    },
    /// Both clocks stand still, so no deadline is ever reached.
    ClockStop {
        /// The node.
        node: NodeIndex,
    },
    /// Clocks that stood still go on.
    ClockStart {
        /// The node.
        node: NodeIndex,
    },
    /// Deadlines are noticed late from now on.
    LateWake {
        /// The node.
        node: NodeIndex,
        /// How late; 0 ends it.
        by_ms: u64,
    },
    /// Changes how long the disk takes for a batch.
    DiskLatency {
        /// The node.
        node: NodeIndex,
        /// Shortest time.
        us_min: u64,
        /// Longest time.
        us_max: u64,
    },
    /// No file can grow any more, whatever is freed, or files can grow again. What is there can
    /// be overwritten, shortened and removed.
    DiskFull {
        /// The node.
        node: NodeIndex,
        /// Whether it is full.
        on: bool,
    },
    /// The disk has room for so many bytes more than its files have now; what they free is room
    /// again. A write that needs more leaves the bytes that fit.
    DiskRoom {
        /// The node.
        node: NodeIndex,
        /// The bytes; without them there is room for everything again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
        /// Whether writes are taken in any case, and the sync finds that there is no room.
        #[serde(default, skip_serializing_if = "is_false")]
        at_sync: bool,
    },
    /// The next sync fails; what it should have synced is kept or lost, as drawn.
    DiskSyncError {
        /// The node.
        node: NodeIndex,
    },
    /// The next write is answered like any other and never reaches its place: what was there
    /// stays, and where nothing was there are zeros. A sync does not help.
    DiskLoseWrite {
        /// The node.
        node: NodeIndex,
        /// Whether its bytes replace synced ones at a drawn place of the disk instead.
        #[serde(default, skip_serializing_if = "is_false")]
        elsewhere: bool,
    },
    /// An image is taken of what is durable on the disk, in the place of an earlier one.
    DiskSnapshot {
        /// The node.
        node: NodeIndex,
    },
    /// A node that is down gets the image of its disk back that was taken before.
    DiskRestore {
        /// The node.
        node: NodeIndex,
    },
    /// A range of a file cannot be read any more, until it is written again.
    DiskReadError {
        /// The node.
        node: NodeIndex,
        /// The file.
        file: String,
        /// The first byte.
        offset: u64,
        /// How many bytes.
        bytes: u64,
    },
    /// A node that is down loses its disk, and comes back with the number of the store it had.
    Reformat {
        /// The node.
        node: NodeIndex,
    },
    /// Bits of synced bytes flip, in ranges that the hook of the run allows.
    Flip {
        /// The node.
        node: NodeIndex,
        /// How many bits.
        bits: u32,
    },
    /// One bit of a synced byte flips.
    FlipAt {
        /// The node.
        node: NodeIndex,
        /// The file.
        file: String,
        /// The byte.
        offset: u64,
        /// The bit, 0 to 7.
        bit: u8,
    },
    /// Ends every fault of some nodes and of the links between them: they are up, their links
    /// have the weather the run began with, their disks work and their clocks run, shifted but
    /// at the rate the run began with. What `keep` names stays.
    Recover {
        /// The nodes; all when empty.
        #[serde(default)]
        nodes: Vec<NodeIndex>,
        /// What stays as it is.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keep: Vec<Keep>,
    },
}

impl Fault {
    /// The name of the fault in a plan.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Crash { .. } => "crash",
            Self::CrashAtPersist { .. } => "crash_at_persist",
            Self::Restart { .. } => "restart",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Wipe { .. } => "wipe",
            Self::Partition { .. } => "partition",
            Self::Cut { .. } => "cut",
            Self::Mend { .. } => "mend",
            Self::Clog { .. } => "clog",
            Self::Unclog { .. } => "unclog",
            Self::Filter { .. } => "filter",
            Self::Heal {} => "heal",
            Self::Weather { .. } => "weather",
            Self::ClockOffset { .. } => "clock_offset",
            Self::ClockStep { .. } => "clock_step",
            Self::ClockJump { .. } => "clock_jump",
            Self::ClockRate { .. } => "clock_rate",
            Self::ClockStop { .. } => "clock_stop",
            Self::ClockStart { .. } => "clock_start",
            Self::LateWake { .. } => "late_wake",
            Self::DiskLatency { .. } => "disk_latency",
            Self::DiskFull { .. } => "disk_full",
            Self::DiskRoom { .. } => "disk_room",
            Self::DiskSyncError { .. } => "disk_sync_error",
            Self::DiskLoseWrite { .. } => "disk_lose_write",
            Self::DiskSnapshot { .. } => "disk_snapshot",
            Self::DiskRestore { .. } => "disk_restore",
            Self::DiskReadError { .. } => "disk_read_error",
            Self::Reformat { .. } => "reformat",
            Self::Flip { .. } => "flip",
            Self::FlipAt { .. } => "flip_at",
            Self::Recover { .. } => "recover",
        }
    }

    /// The nodes that the fault names.
    pub fn nodes(&self) -> impl Iterator<Item = NodeIndex> {
        let (one, other, many): (_, _, &[Vec<NodeIndex>]) = match self {
            Self::Crash { node, .. }
            | Self::CrashAtPersist { node, .. }
            | Self::Restart { node }
            | Self::Pause { node }
            | Self::Resume { node }
            | Self::Wipe { node }
            | Self::ClockOffset { node, .. }
            | Self::ClockStep { node, .. }
            | Self::ClockJump { node, .. }
            | Self::ClockRate { node, .. }
            | Self::ClockStop { node }
            | Self::ClockStart { node }
            | Self::LateWake { node, .. }
            | Self::DiskLatency { node, .. }
            | Self::DiskFull { node, .. }
            | Self::DiskRoom { node, .. }
            | Self::DiskSyncError { node }
            | Self::DiskLoseWrite { node, .. }
            | Self::DiskSnapshot { node }
            | Self::DiskRestore { node }
            | Self::DiskReadError { node, .. }
            | Self::Reformat { node }
            | Self::Flip { node, .. }
            | Self::FlipAt { node, .. } => (Some(*node), None, &[]),
            Self::Cut { from, to }
            | Self::Mend { from, to }
            | Self::Clog { from, to }
            | Self::Unclog { from, to } => (Some(*from), Some(*to), &[]),
            Self::Filter { from, to, .. } | Self::Weather { from, to, .. } => (*from, *to, &[]),
            Self::Heal {} => (None, None, &[]),
            Self::Partition { groups } => (None, None, groups),
            Self::Recover { nodes, .. } => (None, None, core::slice::from_ref(nodes)),
        };
        one.into_iter()
            .chain(other)
            .chain(many.iter().flatten().copied())
    }
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
