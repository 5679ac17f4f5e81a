//! A lock service: node 0 grants one lock, the other nodes ask for it.
//!
//! The server writes down who holds the lock and answers when that is on disk. With
//! [`Care::AnswersEarly`] it answers at once, which is right as long as it does not crash; with
//! [`Care::FreesLaterClaims`] it does not look at numbers, which is right as long as no message
//! overtakes another. Records
//! carry a check: without it a torn one can read as "nobody holds", which the simulator found.

pub mod scenario;

use bytes::Bytes;
use meshos_sim::draw::mix;
use meshos_sim::prelude::*;
use serde::{Deserialize, Serialize};

/// How careful the server is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Care {
    /// It answers when the disk has answered.
    WritesFirst,
    /// The planted bug: it answers before the disk has.
    AnswersEarly,
    /// Another one: a late word frees what its sender claimed since.
    FreesLaterClaims,
}

/// What nodes say to each other. A claim is numbered, upwards and never twice by one client.
#[derive(Clone, Debug, Hash)]
pub enum Word {
    Ask(u64),
    Granted(u64),
    /// The client no longer holds claims up to this one.
    Done(u64),
    Freed(u64),
}

impl Message for Word {
    fn fingerprint(&self) -> u64 {
        match self {
            Self::Ask(claim) => claim << 2,
            Self::Granted(claim) => claim << 2 | 1,
            Self::Done(claim) => claim << 2 | 2,
            Self::Freed(claim) => claim << 2 | 3,
        }
    }
}

/// What a user of a client wants.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    Acquire,
    Release,
}

/// What a client is doing about its latest claim.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Idle,
    Asking,
    Holding,
    Releasing,
}

#[derive(Clone, Debug)]
pub enum Node {
    Server {
        care: Care,
        holder: Option<(NodeIndex, u64)>,
        answers: Vec<(u64, NodeIndex, Word)>,
        token: u64,
    },
    Client {
        phase: Phase,
        claim: u64,
        retry_at: Instant,
    },
}

const RETRY: Duration = Duration::from_millis(100);
const SERVER: NodeIndex = NodeIndex(0);
const FILE: &str = "holder";
/// Length of a record: the holder (or the server for nobody), its claim, and a check over both.
const RECORD: usize = 18;

fn write((node, claim): (NodeIndex, u64)) -> Vec<u8> {
    let check = mix(mix(u64::from(node.0) + 1) ^ claim);
    [
        &node.0.to_le_bytes()[..],
        &claim.to_le_bytes(),
        &check.to_le_bytes(),
    ]
    .concat()
}

fn read(record: &[u8]) -> Option<(NodeIndex, u64)> {
    let claim = record[2..10]
        .iter()
        .rev()
        .fold(0, |claim, byte| claim << 8 | u64::from(*byte));
    let holder = (NodeIndex(u16::from_le_bytes([record[0], record[1]])), claim);
    (write(holder) == record).then_some(holder)
}

impl Machine for Node {
    type Config = Care;
    type Message = Word;
    type Op = Want;
    type Output = ();

    fn boot(care: &Care, boot: Boot<'_>, out: &mut Outbox<Self>) -> Self {
        if boot.node != SERVER {
            // Whatever the last run held, it holds no more; higher than all claims of that run.
            let (phase, claim) = (Phase::Releasing, boot.run << 32);
            return Self::Client {
                phase,
                claim,
                retry_at: boot.now.instant,
            };
        }
        let bytes = boot.disk.read(FILE).unwrap_or_default();
        let records = bytes.chunks_exact(RECORD).map_while(read);
        let (whole, last) = records.fold((0, None), |(count, _), holder| (count + 1, Some(holder)));
        let holder = last.filter(|(node, _)| *node != SERVER);
        // A record that a crash tore would put all later ones out of step.
        let (file, length) = (FILE.into(), whole * RECORD as u64);
        out.disk(
            0,
            vec![
                FileOp::Truncate { file, length },
                FileOp::Sync { file: FILE.into() },
            ],
        );
        Self::Server {
            care: *care,
            holder,
            answers: Vec::new(),
            token: 0,
        }
    }

    fn step(&mut self, now: Now, input: Input<Self>, out: &mut Outbox<Self>) {
        match self {
            Self::Server { .. } => self.serve(input, out),
            Self::Client {
                phase,
                claim,
                retry_at,
            } => {
                match (input, *phase) {
                    (Input::Op(Want::Acquire), Phase::Idle) => {
                        (*phase, *claim) = (Phase::Asking, *claim + 1)
                    }
                    (Input::Op(Want::Release), Phase::Asking | Phase::Holding) => {
                        *phase = Phase::Releasing
                    }
                    (
                        Input::Message {
                            message: Word::Granted(granted),
                            ..
                        },
                        Phase::Asking,
                    ) if granted == *claim => *phase = Phase::Holding,
                    (
                        Input::Message {
                            message: Word::Freed(freed),
                            ..
                        },
                        Phase::Releasing,
                    ) if freed == *claim => *phase = Phase::Idle,
                    // A grant that nobody waits for any more is given back.
                    (
                        Input::Message {
                            message: Word::Granted(granted),
                            ..
                        },
                        Phase::Idle,
                    ) => {
                        out.send(SERVER, Word::Done(granted));
                    }
                    _ => {}
                }
                match phase {
                    Phase::Asking => out.send(SERVER, Word::Ask(*claim)),
                    Phase::Releasing => out.send(SERVER, Word::Done(*claim)),
                    Phase::Idle | Phase::Holding => {}
                }
                *retry_at = now.instant.after(RETRY);
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Client {
                phase: Phase::Asking | Phase::Releasing,
                retry_at,
                ..
            } => Some(*retry_at),
            Self::Client { .. } | Self::Server { .. } => None,
        }
    }

    fn state_hash(&self) -> u64 {
        match self {
            Self::Server { holder, .. } => {
                holder.map_or(0, |(node, claim)| claim << 16 | u64::from(node.0))
            }
            Self::Client { phase, claim, .. } => claim << 2 | *phase as u64,
        }
    }

    /// What diagrams show over time stands before the comma.
    fn describe(&self) -> Option<String> {
        Some(match self {
            Self::Server { holder: None, .. } => "free".to_owned(),
            Self::Server {
                holder: Some((node, claim)),
                ..
            } => format!("held by {node}, claim {claim}"),
            Self::Client { phase, claim, .. } => {
                format!("{}, claim {claim}", format!("{phase:?}").to_lowercase())
            }
        })
    }
}

impl Node {
    fn serve(&mut self, input: Input<Self>, out: &mut Outbox<Self>) {
        let Self::Server {
            care,
            holder,
            answers,
            token,
        } = self
        else {
            return;
        };
        let (node, answer) = match input {
            Input::Message {
                from,
                message: Word::Ask(claim),
            } => match holder {
                None => (from, Word::Granted(claim)),
                Some((node, held)) if *node == from && *held <= claim => {
                    (from, Word::Granted(claim))
                }
                // The holder may not know that it holds: a late copy of its question was answered.
                Some((node, held)) => (*node, Word::Granted(*held)),
            },
            Input::Message {
                from,
                message: Word::Done(claim),
            } => (from, Word::Freed(claim)),
            Input::Disk {
                token,
                result: Ok(()),
            } => {
                let ready = answers.extract_if(.., |(number, ..)| *number <= token);
                return ready.for_each(|(_, node, answer)| out.send(node, answer));
            }
            _ => return,
        };
        match answer {
            Word::Granted(claim) => *holder = Some((node, claim)),
            // Another one's lock, or a later claim of the same client, stays.
            Word::Freed(claim) => {
                let stays = |held| held > claim && *care != Care::FreesLaterClaims;
                *holder = holder.filter(|(other, held)| *other != node || stays(*held))
            }
            Word::Ask(_) | Word::Done(_) => {}
        }
        let record = write(holder.unwrap_or((SERVER, 0)));
        let file = || FILE.into();
        let append = FileOp::Append {
            file: file(),
            bytes: Bytes::from(record),
        };
        *token += 1;
        out.disk(
            *token,
            vec![append, FileOp::Sync { file: file() }, FileOp::SyncDir],
        );
        match care {
            Care::WritesFirst | Care::FreesLaterClaims => answers.push((*token, node, answer)),
            Care::AnswersEarly => out.send(node, answer),
        }
    }

    /// Whether this client believes that the lock is its own.
    pub fn holds(&self) -> bool {
        matches!(
            self,
            Self::Client {
                phase: Phase::Holding,
                ..
            }
        )
    }

    /// Whether this client waits for something.
    pub fn waits(&self) -> bool {
        matches!(
            self,
            Self::Client {
                phase: Phase::Asking | Phase::Releasing,
                ..
            }
        )
    }
}
