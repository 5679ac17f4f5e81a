//! How attempts end, and what a client makes of that.

use super::{Alarm, Purpose, Session};
use crate::model::{Host, node_index};
use meshos_core::client::{Answer, Reason};
use meshos_core::id::NodeId;
use meshos_sim::hook::Schedule;
use meshos_sim::time::Instant;

/// How an attempt ended.
#[derive(Copy, Clone, Debug)]
pub(in crate::clients) enum End<'a> {
    Answer(&'a Answer),
    /// The node was down, or not serving yet.
    Refused,
}

/// What a client makes of the end of an append.
enum Verdict {
    Done(u64),
    Retry,
    Refused,
    Forgotten,
}

impl Verdict {
    fn of(answer: &Answer) -> Self {
        match answer {
            Answer::Acked { seq, .. } => Self::Done(seq.get()),
            Answer::NotLeader { .. } | Answer::NotMember { .. } | Answer::Unknown => Self::Retry,
            Answer::Rejected(reason) => match reason {
                Reason::Busy
                | Reason::Transferring
                | Reason::StoreFull
                | Reason::Stopped
                | Reason::UnknownChain => Self::Retry,
                Reason::TooLarge | Reason::TooOld | Reason::BadNumber | Reason::NoSuchTarget => {
                    Self::Refused
                }
                Reason::UnknownClient => Self::Forgotten,
            },
            Answer::Entries { .. } | Answer::Corrupt { .. } | Answer::Transferred => Self::Refused,
        }
    }
}

impl Session {
    /// An attempt ended.
    pub(in crate::clients) fn on_end(
        &mut self,
        tried: u64,
        end: End<'_>,
        at: Instant,
        later: &mut Schedule<Host>,
    ) {
        let Some(attempt) = self.attempts.remove(&tried) else {
            return;
        };
        let (node, given_up) = (attempt.node, attempt.given_up);
        match end {
            End::Refused => self.favourite = None,
            End::Answer(Answer::NotLeader { hint }) => {
                self.favourite = hint.map(|hint: NodeId| node_index(hint));
            }
            End::Answer(Answer::Acked { .. } | Answer::Entries { .. } | Answer::Transferred) => {
                self.favourite = Some(node);
            }
            End::Answer(
                Answer::Rejected(_)
                | Answer::NotMember { .. }
                | Answer::Unknown
                | Answer::Corrupt { .. },
            ) => {}
        }
        match attempt.purpose {
            Purpose::Open => self.on_open_end(end, given_up, at, later),
            Purpose::Append { number, again } => {
                self.on_append_end(number, again || given_up, end, at, later);
            }
            Purpose::Once => {
                if let End::Answer(Answer::Entries { commit, .. }) = end {
                    self.seen = self.seen.max(commit.get());
                }
                if !given_up {
                    self.once -= 1;
                }
            }
            Purpose::Close => match end {
                End::Answer(Answer::Entries { .. } | Answer::Corrupt { .. }) => {
                    (self.unread, self.has_read) = (false, true);
                }
                End::Answer(_) | End::Refused if given_up => {}
                End::Answer(_) | End::Refused => {
                    self.alarm_in(self.cfg.pause_ms, at, Alarm::Close, later);
                }
            },
        }
    }

    fn on_open_end(
        &mut self,
        end: End<'_>,
        given_up: bool,
        at: Instant,
        later: &mut Schedule<Host>,
    ) {
        let opened = match end {
            End::Answer(answer) => answer.client(),
            End::Refused => None,
        };
        match opened {
            Some(client) if self.client.is_none() => {
                self.client = Some(client.0.get());
                self.opened += 1;
                self.next_number = 1;
                self.on_alarm(Alarm::Next, at, later);
            }
            Some(_) => {}
            None if given_up => {}
            None => self.alarm_in(self.cfg.pause_ms, at, Alarm::Open, later),
        }
    }

    fn on_append_end(
        &mut self,
        number: u64,
        superseded: bool,
        end: End<'_>,
        at: Instant,
        later: &mut Schedule<Host>,
    ) {
        let verdict = match end {
            End::Refused => Verdict::Retry,
            End::Answer(answer) => Verdict::of(answer),
        };
        match verdict {
            Verdict::Done(seq) => {
                let first = self.open.remove(&number);
                self.seen = self.seen.max(seq + 1);
                let draw = self.draw.of("again").nth(self.opened).nth(number);
                if first && draw.chance(self.cfg.repeat_ppm) {
                    let ms = draw.of("ms").within(1..=self.cfg.repeat_ms_max.max(1));
                    self.alarm_in(ms, at, Alarm::Again(number), later);
                }
            }
            Verdict::Refused => {
                self.open.remove(&number);
            }
            Verdict::Retry if superseded => {}
            Verdict::Retry => self.alarm_in(self.cfg.pause_ms, at, Alarm::Retry(number), later),
            Verdict::Forgotten if superseded => {}
            Verdict::Forgotten => {
                // The chain no longer knows this client; what it asked for stays undecided.
                self.client = None;
                self.open.clear();
                self.attempts.retain(|_, it| it.purpose == Purpose::Close);
                self.once = 0;
                self.alarm_in(self.cfg.pause_ms, at, Alarm::Open, later);
            }
        }
    }
}
