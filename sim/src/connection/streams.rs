//! What the engine keeps of every connection.

use super::{Connections, Notice};
use crate::node::NodeIndex;
use crate::slab::Slab;
use std::collections::VecDeque;

/// Never.
pub(crate) const NEVER: u64 = u64::MAX;
/// Work is bytes times this, so that a rate in bytes a millisecond does it in nanoseconds.
pub(crate) const WORK: u64 = 1_000_000;

/// One lane of one directed pair.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) from: NodeIndex,
    pub(crate) to: NodeIndex,
    pub(crate) lane: u8,
}

/// The dialling end of a stream.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dial {
    /// Its process is down.
    #[default]
    Down,
    /// It will dial.
    Waiting,
    /// It dialled and waits for the answer.
    Asked,
    /// It sends.
    Up,
}

/// All connections that one node dials to another for one lane, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    /// Counts the attempts to dial.
    pub(crate) number: u32,
    pub(crate) dial: Dial,
    /// The attempt that the receiving end accepted and holds; 0 for none.
    pub(crate) accepted: u32,
    /// Attempts that failed in a row.
    pub(crate) failures: u32,
    /// What was sent and has not arrived, in order.
    pub(crate) queue: VecDeque<Parcel>,
    /// How many of them have left.
    pub(crate) flown: usize,
    /// Work that is left of the one that is leaving.
    pub(crate) left: Option<u64>,
    /// Bytes in the queue.
    pub(crate) bytes: u64,
    /// When the last one that left arrives.
    pub(crate) last_at: u64,
    /// When the first one arrives; [`NEVER`] while nothing gets through.
    pub(crate) due: u64,
    /// Whether nothing gets through.
    pub(crate) stuck: bool,
    /// Since when what was sent is not acknowledged.
    pub(crate) doubt: Option<u64>,
    /// Counts what is drawn for it.
    pub(crate) draws: u32,
}

/// A message in a stream.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) handle: u32,
    pub(crate) bytes: u32,
    pub(crate) kind: u16,
    /// How long it travels once it has left.
    pub(crate) travels: u64,
    /// When it arrives, once it has left.
    pub(crate) at: u64,
    /// How its bytes are damaged on the way.
    pub(crate) damage: Option<u64>,
}

/// The bandwidth of one directed pair, which its lanes share.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Pipe {
    /// Bytes a millisecond; 0 for no limit.
    pub(crate) rate: u64,
    /// Up to when its work is done.
    pub(crate) at: u64,
    /// When the next message has left.
    pub(crate) due: u64,
}

/// Something that happens to a connection.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// The first message of a stream arrives.
    Arrive(Place),
    /// A message has left a pipe with a limited rate.
    Leave(NodeIndex, NodeIndex),
    /// It is time to dial.
    Dial(Place, u32),
    /// The dialler knocks, once more if it did before.
    Knock(Place, u32),
    /// A knock reaches the other end.
    Knocked(Place, u32),
    /// The acceptance comes back.
    Accepted(Place, u32),
    /// A refusal comes back.
    Turned(Place, u32, Notice),
    /// The attempt is over unless it succeeded.
    Unanswered(Place, u32),
    /// The connection is given up unless it moved.
    GiveUp(Place, u32),
    /// What was sent cannot arrive before the connection is given up.
    Doomed(Place, u32),
    /// One end learns that the other one closed it.
    Reset(Place, u32, super::End),
}

/// Every stream and pipe of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    pub(crate) rules: Connections,
    nodes: usize,
    lanes: usize,
    streams: Vec<Stream>,
    pipes: Vec<Pipe>,
    pub(crate) happenings: Slab<Happening>,
    /// Hosts that lost their power: they answer nothing.
    pub(crate) dark: Vec<bool>,
}

impl Streams {
    pub(crate) fn new(rules: Connections, nodes: usize, lanes: u8) -> Self {
        let lanes = usize::from(lanes.max(1));
        let stream = Stream {
            due: NEVER,
            ..Stream::default()
        };
        let pipe = Pipe {
            due: NEVER,
            ..Pipe::default()
        };
        Self {
            rules,
            nodes,
            lanes,
            streams: vec![stream; nodes * nodes * lanes],
            pipes: vec![pipe; nodes * nodes],
            happenings: Slab::new(),
            dark: vec![false; nodes],
        }
    }

    fn index(&self, from: NodeIndex, to: NodeIndex) -> usize {
        from.at() * self.nodes + to.at()
    }

    pub(crate) fn get(&self, place: Place) -> &Stream {
        let pair = self.index(place.from, place.to);
        &self.streams[pair * self.lanes + usize::from(place.lane)]
    }

    pub(crate) fn at(&mut self, place: Place) -> &mut Stream {
        let pair = self.index(place.from, place.to);
        &mut self.streams[pair * self.lanes + usize::from(place.lane)]
    }

    pub(crate) fn pipe(&mut self, from: NodeIndex, to: NodeIndex) -> &mut Pipe {
        let pair = self.index(from, to);
        &mut self.pipes[pair]
    }

    /// The lanes of a directed pair.
    pub(crate) fn lanes(
        &self,
        from: NodeIndex,
        to: NodeIndex,
    ) -> impl Iterator<Item = Place> + use<> {
        (0..self.lanes as u8).map(move |lane| Place { from, to, lane })
    }

    /// Every directed pair.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (NodeIndex, NodeIndex)> + use<> {
        let nodes = self.nodes as u16;
        let to = move |from| (0..nodes).map(move |to| (NodeIndex(from), NodeIndex(to)));
        (0..nodes).flat_map(to).filter(|(from, to)| from != to)
    }

    /// The pairs that have `node` at an end.
    pub(crate) fn pairs_of(
        &self,
        node: NodeIndex,
    ) -> impl Iterator<Item = (NodeIndex, NodeIndex)> + use<> {
        let others = (0..self.nodes as u16).map(NodeIndex);
        let others = others.filter(move |other| *other != node);
        others.flat_map(move |other| [(node, other), (other, node)])
    }

    /// Whether both ends hold the same connection.
    pub(crate) fn is_up(&self, place: Place) -> bool {
        let stream = self.get(place);
        stream.dial == Dial::Up && stream.accepted == stream.number
    }

    /// Whether every lane of a pair has a connection that carries what it is given.
    pub(crate) fn carries(&self, from: NodeIndex, to: NodeIndex) -> bool {
        let mut places = self.lanes(from, to);
        places.all(|place| self.is_up(place) && !self.get(place).stuck)
    }

    /// Bytes that wait in the connections of a pair.
    pub(crate) fn bytes(&self, from: NodeIndex, to: NodeIndex) -> u64 {
        self.lanes(from, to)
            .map(|place| self.get(place).bytes)
            .sum()
    }

    /// How long what is on its way takes at least: whatever is sent now comes after it.
    pub(crate) fn delay(&self, from: NodeIndex, to: NodeIndex, now: u64) -> u64 {
        let streams = self.lanes(from, to).map(|place| self.get(place));
        let flown = streams.filter(|stream| stream.flown > 0);
        let delays = flown.map(|stream| stream.last_at.saturating_sub(now));
        delays.max().unwrap_or(0)
    }

    /// Messages in all queues.
    pub(crate) fn waiting(&self) -> usize {
        self.streams.iter().map(|stream| stream.queue.len()).sum()
    }

    /// Lets the lanes of a pair work until `now`, at equal shares of the rate.
    pub(crate) fn work(&mut self, from: NodeIndex, to: NodeIndex, now: u64) {
        let pipe = self.pipe(from, to);
        let (rate, span) = (pipe.rate, now - pipe.at);
        pipe.at = now;
        let share = self.sharing(from, to);
        if rate == 0 || share == 0 {
            return;
        }
        let done = u64::try_from(u128::from(span) * u128::from(rate) / u128::from(share));
        let done = done.unwrap_or(u64::MAX);
        for place in self.lanes(from, to) {
            let stream = self.at(place);
            if let Some(left) = stream.left.filter(|_| !stream.stuck) {
                stream.left = Some(left.saturating_sub(done));
            }
        }
    }

    /// How many lanes of a pair have something that is leaving.
    fn sharing(&self, from: NodeIndex, to: NodeIndex) -> u64 {
        let leaving = |place: &Place| {
            let stream = self.get(*place);
            stream.left.is_some() && !stream.stuck
        };
        self.lanes(from, to).filter(leaving).count() as u64
    }

    /// When the next message of a pair has left; [`NEVER`] if none is leaving.
    pub(crate) fn leaves_at(&mut self, from: NodeIndex, to: NodeIndex) -> u64 {
        let Pipe { rate, at, .. } = *self.pipe(from, to);
        let share = self.sharing(from, to);
        let places = self.lanes(from, to).map(|place| self.get(place));
        let left = places
            .filter(|stream| !stream.stuck)
            .filter_map(|stream| stream.left);
        match left.min() {
            Some(left) if rate > 0 => {
                let takes = (u128::from(left) * u128::from(share)).div_ceil(u128::from(rate));
                at.saturating_add(u64::try_from(takes).unwrap_or(NEVER))
            }
            Some(_) | None => NEVER,
        }
    }
}
