//! What the engine keeps for one node, and what checks may see of it.

use crate::clock::Clock;
use crate::connection::{Notice, Place};
use crate::disk::{Disk, DiskError, FileOp};
use crate::fault::Unsynced;
use crate::machine::Machine;
use crate::network::{Link, Network};
use crate::node::NodeIndex;
use crate::queue::Tie;
use crate::time::{Instant, Now};
use core::time::Duration;
use std::collections::VecDeque;

/// No deadline.
pub(super) const NEVER: u64 = u64::MAX;

/// A node of the world.
#[derive(Clone, Debug)]
pub(crate) struct Host<M> {
    /// None while the node is down.
    pub(super) machine: Option<M>,
    pub(super) clock: Clock,
    /// The deadline that the timer was set for, in the node's own clock.
    pub(super) deadline: u64,
    pub(super) paused: bool,
    pub(super) drive: Box<Drive>,
}

/// The parts of a node that most steps do not touch.
#[derive(Clone, Debug)]
pub(crate) struct Drive {
    pub(super) disk: Disk,
    /// Boots of this store.
    pub(super) run: u64,
    pub(super) store: u64,
    /// Boots of this node with any store.
    pub(super) boots: u32,
    /// The first one is in service.
    pub(super) batches: VecDeque<Batch>,
    /// When the batch in service is done.
    pub(super) done: Instant,
    /// Batches that were ever served, for draws.
    pub(super) served: u64,
    /// File operations that were ever performed.
    pub(super) performed: u64,
    /// Bits that ever flipped, for draws.
    pub(super) flipped: u64,
    pub(super) us: (u64, u64),
    /// Whether no file may grow.
    pub(super) full: bool,
    pub(super) room: Option<Room>,
    pub(super) sync_fails: bool,
    /// What becomes of the next write, if it does not reach its place.
    pub(super) loses: Option<Loss>,
    /// Writes that ever missed their places, for draws.
    pub(super) lost: u64,
    /// What the disk held once.
    pub(super) image: Option<Disk>,
    pub(super) trap: Option<Trap>,
    /// The number of the crash whose end is scheduled.
    pub(super) restart_due: Option<u64>,
    /// What came while the node was paused, in order.
    pub(super) parked: VecDeque<Parked>,
}

/// What becomes of a write that does not reach its place.
#[derive(Copy, Clone, Debug)]
pub(super) enum Loss {
    /// Nothing.
    Nowhere,
    /// It replaces other bytes.
    Elsewhere,
}

/// How much fits on a disk.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes of all files together.
    pub(super) capacity: u64,
    /// Whether a write is taken in any case, and the lack of room is found by the sync.
    pub(super) at_sync: bool,
}

/// File operations that are answered together.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) token: u64,
    pub(super) ops: Vec<FileOp>,
}

/// A crash that waits for a file operation.
#[derive(Copy, Clone, Debug)]
pub(super) struct Trap {
    /// Which one, counted like `performed`.
    pub(super) op: u64,
    pub(super) unsynced: Unsynced,
    pub(super) restart_after_ms: Option<u64>,
}

/// Something that waits for a paused node.
#[derive(Clone, Debug)]
pub(super) enum Parked {
    Message(Tie, u32),
    Link(Notice),
    Op(u32),
    Disk(u64, Result<(), DiskError>),
}

impl<M> Host<M> {
    pub(super) fn new(clock: Clock, drive: Drive) -> Self {
        Self {
            machine: None,
            clock,
            deadline: NEVER,
            paused: false,
            drive: Box::new(drive),
        }
    }
}

impl Drive {
    pub(super) fn new(us: (u64, u64)) -> Self {
        Self {
            disk: Disk::default(),
            run: 0,
            store: 1,
            boots: 0,
            batches: VecDeque::new(),
            done: Instant::ZERO,
            served: 0,
            performed: 0,
            flipped: 0,
            us,
            full: false,
            room: None,
            sync_fails: false,
            loses: None,
            lost: 0,
            image: None,
            trap: None,
            restart_due: None,
            parked: VecDeque::new(),
        }
    }
}

/// How a disk is doing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Medium {
    /// Shortest time for a batch, in microseconds.
    pub us_min: u64,
    /// Longest time for a batch, in microseconds.
    pub us_max: u64,
    /// Longest time until all batches that it has are answered.
    pub queued: Duration,
    /// Bytes that there is still room for; `None` when nothing bounds them.
    pub room: Option<u64>,
    /// Whether nothing can be written.
    pub is_full: bool,
    /// Whether the next sync fails.
    pub sync_fails: bool,
}

/// Everything that checks may look at.
pub struct View<'a, M: Machine> {
    at: Instant,
    hosts: &'a [Host<M>],
    network: &'a Network,
}

impl<M: Machine> Copy for View<'_, M> {}

impl<M: Machine> Clone for View<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Machine> core::fmt::Debug for View<'_, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("View")
            .field("at", &self.at)
            .field("nodes", &self.hosts.len())
            .finish_non_exhaustive()
    }
}

impl<'a, M: Machine> View<'a, M> {
    #[inline]
    pub(super) const fn new(at: Instant, hosts: &'a [Host<M>], network: &'a Network) -> Self {
        Self { at, hosts, network }
    }

    /// True time.
    #[inline]
    pub const fn at(&self) -> Instant {
        self.at
    }

    /// All nodes, up or down.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = NodeIndex> + use<M> {
        (0..self.hosts.len() as u16).map(NodeIndex)
    }

    /// The machine of a node, unless it is down.
    #[inline]
    pub fn node(&self, node: NodeIndex) -> Option<&'a M> {
        self.hosts[node.at()].machine.as_ref()
    }

    /// The disk of a node, up or down.
    pub fn disk(&self, node: NodeIndex) -> &'a Disk {
        &self.hosts[node.at()].drive.disk
    }

    /// Whether a node is running; a paused one is.
    pub fn is_up(&self, node: NodeIndex) -> bool {
        self.hosts[node.at()].machine.is_some()
    }

    /// Whether a node is paused.
    pub fn is_paused(&self, node: NodeIndex) -> bool {
        self.hosts[node.at()].paused
    }

    /// What the clocks of a node show.
    pub fn clocks(&self, node: NodeIndex) -> Now {
        self.hosts[node.at()].clock.now(self.at)
    }

    /// Boots of the present store of a node.
    pub fn run(&self, node: NodeIndex) -> u64 {
        self.hosts[node.at()].drive.run
    }

    /// Number of the present store of a node, from 1.
    pub fn store(&self, node: NodeIndex) -> u64 {
        self.hosts[node.at()].drive.store
    }

    /// How many file operations the disk of a node has performed in the whole run.
    pub fn performed(&self, node: NodeIndex) -> u64 {
        self.hosts[node.at()].drive.performed
    }

    /// Batches that the disk of a node has not answered.
    pub fn batches(&self, node: NodeIndex) -> usize {
        self.hosts[node.at()].drive.batches.len()
    }

    /// Whether a connection for the messages of `lane` is made, which `from` dialled: both ends
    /// hold it. In a run without connections, whether they are connected.
    pub fn is_linked(&self, from: NodeIndex, to: NodeIndex, lane: u8) -> bool {
        match &self.network.streams {
            Some(streams) => streams.is_up(Place { from, to, lane }),
            None => self.is_connected(from, to),
        }
    }

    /// Whether no cut, partition or clog is on the way from one node to another.
    pub fn is_connected(&self, from: NodeIndex, to: NodeIndex) -> bool {
        self.network.is_connected(from, to)
    }

    /// The way from one node to another, as a message that is sent now would find it.
    pub fn link(&self, from: NodeIndex, to: NodeIndex) -> Link {
        self.network.link(from, to, self.at)
    }

    /// How the disk of a node is doing, up or down.
    pub fn medium(&self, node: NodeIndex) -> Medium {
        let drive = &self.hosts[node.at()].drive;
        let behind = drive.batches.len().saturating_sub(1) as u64;
        let behind = Duration::from_micros(drive.us.1.saturating_mul(behind));
        let serves = !drive.batches.is_empty();
        let left = serves.then(|| drive.done.since(self.at) + behind);
        Medium {
            us_min: drive.us.0,
            us_max: drive.us.1,
            queued: left.unwrap_or_default(),
            room: drive
                .room
                .map(|room| room.capacity.saturating_sub(drive.disk.used())),
            is_full: drive.full,
            sync_fails: drive.sync_fails,
        }
    }

    /// The clocks of a node.
    pub fn clock(&self, node: NodeIndex) -> &'a Clock {
        &self.hosts[node.at()].clock
    }
}
