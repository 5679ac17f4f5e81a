//! Messages that no node said: real ones with a field changed, or made from nothing.

use super::World;
use super::cluster::run_of;
use super::source::*;
use meshos_core::chain::entry::{EntryHash, LogPosition};
use meshos_core::chain::order::Checkpoint;
use meshos_core::id::{
    Attempt, AttemptNumber, ChainId, Epoch, Gen, HeartbeatNumber, Incarnation, NodeId, PullNumber,
    Replica, Seq,
};
use meshos_core::message::{
    Body, ChainMessage, Forward, ForwardAsk, Forwarded, Heartbeat, Message, Purpose,
    ReplicaMessage, Round, Row, RowState,
};
use meshos_core::replica::role::Role;
use meshos_core::time::Wall;

impl World {
    /// A real message with something else in it.
    pub(super) fn mutate(&mut self, source: &mut Source<'_>) {
        if self.queue.is_empty() {
            return;
        }
        let (from, to, message) = self.queue[source.below(self.queue.len())].clone();
        let mut message = (*message).clone();
        match &mut message.body {
            Body::Chain(chain) => {
                if source.byte() < 100 {
                    chain.epoch = near_epoch(source, chain.epoch);
                }
                mutate_talk(source, &mut chain.content);
            }
            Body::Heartbeat(heartbeat) => {
                heartbeat.number = HeartbeatNumber::new(source.near(heartbeat.number.get()));
                heartbeat.upto = source.near(heartbeat.upto);
                heartbeat.after = source.near(heartbeat.after);
                for row in &mut heartbeat.rows {
                    if let Some(state) = &mut row.state {
                        state.epoch = near_epoch(source, state.epoch);
                        state.commit = source.seq(state.commit);
                        state.floor = source.seq(state.floor);
                    }
                }
            }
            Body::Confirm(confirms) | Body::Confirmed(confirms) => {
                for confirm in confirms {
                    confirm.epoch = near_epoch(source, confirm.epoch);
                    confirm.attempt.number =
                        AttemptNumber::new(source.near(confirm.attempt.number.get()));
                }
            }
            Body::Forward(forward) => {
                forward.epoch = near_epoch(source, forward.epoch);
                forward.attempt.number =
                    AttemptNumber::new(source.near(forward.attempt.number.get()));
            }
            Body::Forwarded { attempt, .. } => {
                attempt.number = AttemptNumber::new(source.near(attempt.number.get()));
            }
        }
        message.from.incarnation = Incarnation::new(source.near(1));
        self.hear(from, to, &message);
    }

    /// A message that nobody sent, as wrong as its sender likes.
    pub(super) fn forge(&mut self, source: &mut Source<'_>) {
        let to = source.below(3);
        let from = (to + 1 + source.below(2)) % 3;
        let chain = chain_of(source);
        let body = self.body(source, to, from, chain);
        let message = Message {
            cluster: self.config.cluster(),
            from: run_of(from),
            to: run_of(to).store,
            body,
        };
        self.hear(from, to, &message);
    }

    fn body(&self, source: &mut Source<'_>, to: usize, from: usize, chain: ChainId) -> Body {
        let present = self.nodes[to].chain(chain);
        let epoch = present.map_or(Epoch::default(), |chain| chain.epoch());
        let node = if source.byte() < 200 {
            NodeId::new(from as u64 + 1)
        } else {
            NodeId::new(source.near(1))
        };
        let epoch = Epoch {
            n: source.near(epoch.n),
            node,
        };
        let generation = Gen::default();
        match source.below(12) {
            0 | 1 => Body::Heartbeat(self.heartbeat(source, chain, epoch)),
            2 => Body::Confirm(vec![confirm(source, chain, epoch)]),
            3 => Body::Confirmed(vec![confirm(source, chain, epoch)]),
            4 => Body::Forward(Forward {
                chain,
                generation,
                epoch,
                attempt: any_attempt(source),
                ask: match source.below(5) {
                    0 => ForwardAsk::OpenClient,
                    1 => ForwardAsk::ReadIndex,
                    2 => ForwardAsk::Transfer { to: target(source) },
                    _ => ForwardAsk::Append {
                        level: level(source),
                        request: request(source),
                        payload: payload(source),
                    },
                },
            }),
            5 => Body::Forwarded {
                attempt: any_attempt(source),
                answer: match source.below(4) {
                    0 => Forwarded::Unknown,
                    1 => Forwarded::Acked {
                        seq: source.seq(Seq::ZERO),
                        epoch,
                    },
                    2 => Forwarded::NotLeader {
                        hint: target(source),
                    },
                    _ => Forwarded::ReadIndex {
                        commit: source.seq(Seq::ZERO),
                    },
                },
            },
            _ => Body::Chain(ChainMessage {
                chain,
                generation,
                from: Replica::new(1),
                to: Replica::new(1),
                epoch,
                content: self.content(source, to, chain, epoch),
            }),
        }
    }

    fn heartbeat(&self, source: &mut Source<'_>, chain: ChainId, epoch: Epoch) -> Heartbeat {
        let after = source.near(0);
        let state = RowState {
            epoch,
            role: [Role::Leader, Role::Leader, Role::Replica, Role::Candidate][source.below(4)],
            distance: Some(0),
            durable: (source.byte() < 200).then(|| source.seq(Seq::ZERO)),
            commit: source.seq(Seq::ZERO),
            floor: source.seq(Seq::ZERO),
            is_full: source.byte() < 32,
        };
        let row = Row {
            chain,
            generation: Gen::default(),
            replica: Replica::new(1),
            state: (source.byte() < 240).then_some(state),
        };
        Heartbeat {
            number: HeartbeatNumber::new(source.near(1000)),
            echo: Some((Incarnation::new(1), HeartbeatNumber::new(source.near(1)))),
            acknowledged: Some((Incarnation::new(1), source.near(1))),
            wall: Wall::from_ms(source.near(0)),
            after,
            upto: source.near(after).max(after),
            rows: vec![row],
        }
    }

    fn content(
        &self,
        source: &mut Source<'_>,
        to: usize,
        chain: ChainId,
        epoch: Epoch,
    ) -> ReplicaMessage {
        let (since, end) = self.position(source, to, chain, epoch);
        let attempt = self.live_attempt(source, to, chain);
        match source.below(17) {
            0 => ReplicaMessage::VoteRequest {
                round: source.either(Round::Pre, Round::Real),
                purpose: source.either(Purpose::Silence, Purpose::Transfer),
                asked: near_epoch(source, epoch),
                last_epoch: near_epoch(source, since.epoch),
                tail: source.seq(end),
                attempt,
            },
            1 => ReplicaMessage::VoteReply {
                round: source.either(Round::Pre, Round::Real),
                asked: near_epoch(source, epoch),
                granted: source.byte() < 200,
                attempt,
            },
            2 => ReplicaMessage::Pull {
                since,
                durable: (source.byte() < 200).then(|| source.seq(end)),
                attempt,
                number: PullNumber::new(source.near(100)),
            },
            3..=6 => ReplicaMessage::Chunk {
                attempt,
                since,
                entries: entries(source, since, epoch),
                commit: source.seq(end),
                floor: source.seq(Seq::ZERO),
            },
            7 => ReplicaMessage::Conflict {
                attempt,
                failed: since,
                hint: source.seq(end),
                hint_epoch: near_epoch(source, epoch),
                differs: source.below(2) == 1,
            },
            8 | 9 => self.reset(source, since, attempt),
            10 => ReplicaMessage::Outdated,
            11 => ReplicaMessage::Regressed {
                acknowledged: source.seq(end),
            },
            12 => ReplicaMessage::TransferNow {
                tried: (1..=source.below(4) as u64).map(NodeId::new).collect(),
                pause_ms: source.near(6_000) as u32,
            },
            13 => ReplicaMessage::Fetch {
                from: source.seq(end),
                end: source.seq(end),
                attempt,
            },
            14 => ReplicaMessage::CatchUp { since, attempt },
            15 => ReplicaMessage::SnapshotRequest {
                attempt,
                checkpoint: EntryHash(source.near(0).into()),
                offset: source.near(0) as u32,
            },
            _ => ReplicaMessage::Fetched {
                attempt,
                since,
                entries: entries(source, since, epoch),
            },
        }
    }

    /// A position near the end of a log, as that log knows it if it does, and that end.
    fn position(
        &self,
        source: &mut Source<'_>,
        to: usize,
        chain: ChainId,
        epoch: Epoch,
    ) -> (LogPosition, Seq) {
        let held = self.nodes[to].chain(chain);
        let end = held.map_or(Seq::ZERO, |chain| chain.log().end());
        let at = source.seq(end);
        let known = held.and_then(|chain| chain.log().position_at(at));
        let made_up = LogPosition {
            end: at,
            epoch,
            hash: EntryHash(1),
        };
        (known.unwrap_or(made_up), end)
    }

    /// A checkpoint at a floor that may be linked to anything.
    fn reset(
        &self,
        source: &mut Source<'_>,
        since: LogPosition,
        attempt: Attempt,
    ) -> ReplicaMessage {
        let mut checkpoint = self.config.founding(&self.config.chains()[0]);
        if source.byte() > 128 {
            checkpoint.membership = membership(source);
        }
        checkpoint.floor = LogPosition {
            end: source.seq(since.end),
            ..since
        };
        let encoded = checkpoint_bytes(&checkpoint);
        let hash = meshos_core::chain::checkpoint::digest(&encoded);
        let length = encoded.len() as u32;
        let length = if source.byte() > 230 {
            u32::MAX
        } else {
            length
        };
        ReplicaMessage::InstallSnapshot {
            attempt,
            floor: checkpoint.floor,
            checkpoint: hash,
            length,
            offset: source.near(0).min(u64::from(u32::MAX)) as u32,
            part: encoded.into(),
        }
    }

    /// The stream or round that the node has open, if it still is on its way to somebody.
    fn live_attempt(&self, source: &mut Source<'_>, node: usize, chain: ChainId) -> Attempt {
        let asked = self.queue.iter().rev().filter(|(from, ..)| *from == node);
        let found = asked.filter_map(|(_, _, message)| match &message.body {
            Body::Chain(message) if message.chain == chain => match &message.content {
                ReplicaMessage::Pull { attempt, .. }
                | ReplicaMessage::VoteRequest { attempt, .. }
                | ReplicaMessage::Fetch { attempt, .. }
                | ReplicaMessage::CatchUp { attempt, .. } => Some(*attempt),
                ReplicaMessage::VoteReply { .. }
                | ReplicaMessage::Chunk { .. }
                | ReplicaMessage::Conflict { .. }
                | ReplicaMessage::InstallSnapshot { .. }
                | ReplicaMessage::Outdated
                | ReplicaMessage::Regressed { .. }
                | ReplicaMessage::TransferNow { .. }
                | ReplicaMessage::Fetched { .. }
                | ReplicaMessage::SnapshotRequest { .. } => None,
            },
            Body::Heartbeat(_)
            | Body::Chain(_)
            | Body::Confirm(_)
            | Body::Confirmed(_)
            | Body::Forward(_)
            | Body::Forwarded { .. } => None,
        });
        match found.take(4).nth(source.below(2)) {
            Some(attempt) if source.byte() < 230 => attempt,
            _ => any_attempt(source),
        }
    }
}

fn mutate_talk(source: &mut Source<'_>, content: &mut ReplicaMessage) {
    match content {
        ReplicaMessage::VoteRequest { asked, tail, .. } => {
            *asked = near_epoch(source, *asked);
            *tail = source.seq(*tail);
        }
        ReplicaMessage::VoteReply { granted, .. } => *granted = !*granted,
        ReplicaMessage::Pull {
            since,
            durable,
            number,
            ..
        } => {
            since.end = source.seq(since.end);
            *durable = durable.map(|end| source.seq(end));
            *number = PullNumber::new(source.near(number.get()));
        }
        ReplicaMessage::Chunk {
            since,
            entries: list,
            commit,
            ..
        } => {
            *commit = source.seq(*commit);
            if source.byte() < 128 {
                let epoch = near_epoch(source, since.epoch);
                *list = entries(source, *since, epoch);
            }
        }
        ReplicaMessage::Conflict { failed, hint, .. } => {
            failed.end = source.seq(failed.end);
            *hint = source.seq(*hint);
        }
        ReplicaMessage::InstallSnapshot { floor, offset, .. } => {
            floor.end = source.seq(floor.end);
            *offset = source.near(u64::from(*offset)) as u32;
        }
        ReplicaMessage::Regressed { acknowledged } => *acknowledged = source.seq(*acknowledged),
        ReplicaMessage::Fetch { from, end, .. } => {
            *from = source.seq(*from);
            *end = source.seq(*end);
        }
        ReplicaMessage::Fetched { since, .. } | ReplicaMessage::CatchUp { since, .. } => {
            since.end = source.seq(since.end)
        }
        ReplicaMessage::SnapshotRequest { offset, .. } => {
            *offset = source.near(u64::from(*offset)) as u32
        }
        ReplicaMessage::TransferNow { pause_ms, .. } => *pause_ms = source.near(6_000) as u32,
        ReplicaMessage::Outdated => {}
    }
}

fn checkpoint_bytes(checkpoint: &Checkpoint) -> Vec<u8> {
    postcard::to_allocvec(checkpoint).expect("a checkpoint is plain data")
}
