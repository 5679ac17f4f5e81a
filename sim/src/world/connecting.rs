//! What happens to connections: dialling, hellos, stalls and breaks.
//!
//! Whatever a real host would do for its processes happens here: a host that runs refuses whom no
//! process listens to, and resets what a dead process held; one that is cut off, paused or without
//! power says nothing.

use super::World;
use super::host::Parked;
use crate::connection::{Break, Dial, End, Happening, MS, News, Notice, Place, Streams};
use crate::hook::{Cause, Hook};
use crate::machine::{Input, Machine};
use crate::node::NodeIndex;
use crate::queue::EventClass;
use crate::time::Instant;
use crate::violation::Violation;

pub(super) const NEVER: u64 = u64::MAX;
/// What the digest takes in beside the content of news.
const LINK: u64 = 5 << 32;

impl<M: Machine> World<M> {
    pub(super) fn streams(&mut self) -> &mut Streams {
        let streams = self.network.streams.as_deref_mut();
        streams.expect("only runs with connections have anything happen to one")
    }

    pub(super) fn happen(&mut self, at: u64, happening: Happening) {
        let handle = self.streams().happenings.insert(happening);
        self.push_numbered(Instant::from_nanos(at), EventClass::Link, handle);
    }

    /// Something happens to a connection.
    pub(super) fn on_link<H: Hook<M>>(
        &mut self,
        handle: u32,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let now = self.now.as_nanos();
        match self.streams().happenings.take(handle) {
            Happening::Arrive(place) => return self.arrive(place, hook),
            Happening::Leave(from, to) => {
                if self.streams().pipe(from, to).due == now {
                    self.streams().pipe(from, to).due = NEVER;
                    self.flow(from, to);
                }
            }
            Happening::Dial(place, number) => {
                let stream = self.streams().at(place);
                if stream.dial != Dial::Waiting || stream.number != number {
                    return Ok(());
                }
                if self.hosts[place.from.at()].paused {
                    let again = now + self.streams().rules.pause(u32::MAX);
                    self.happen(again, Happening::Dial(place, number));
                } else {
                    self.dial(place);
                }
            }
            Happening::Knock(place, number) => self.knock(place, number),
            Happening::Knocked(place, number) => return self.knocked(place, number, hook),
            Happening::Accepted(place, number) => return self.accepted(place, number, hook),
            Happening::Turned(place, number, link) => {
                if self.asks(place, number) {
                    self.retry(place);
                    return self.tell(place.from, link, hook);
                }
            }
            Happening::Unanswered(place, number) => {
                if self.asks(place, number) {
                    self.retry(place);
                    return self.tell_end(place, End::Dialled, News::Silent, hook);
                }
            }
            Happening::GiveUp(place, number) => {
                let limit = self.streams().rules.stall_ms_max.saturating_mul(MS);
                let doubt = self.streams().get(place).doubt;
                if doubt.is_some_and(|since| since.saturating_add(limit) <= now) {
                    return self.give_up(place, number, hook);
                }
            }
            Happening::Doomed(place, number) => return self.give_up(place, number, hook),
            Happening::Reset(place, number, end) => return self.reset(place, number, end, hook),
        }
        Ok(())
    }

    /// Waits before the next attempt to dial.
    pub(super) fn retry(&mut self, place: Place) {
        let now = self.now.as_nanos();
        let rules = self.streams().rules;
        let stream = self.streams().at(place);
        stream.dial = Dial::Waiting;
        let pause = rules.pause(stream.failures);
        stream.failures = stream.failures.saturating_add(1);
        let number = stream.number;
        self.happen(now.saturating_add(pause), Happening::Dial(place, number));
    }

    fn dial(&mut self, place: Place) {
        let now = self.now.as_nanos();
        let limit = self.streams().rules.answer_ms_max.saturating_mul(MS);
        let stream = self.streams().at(place);
        stream.dial = Dial::Asked;
        stream.number += 1;
        let number = stream.number;
        self.happen(
            now.saturating_add(limit),
            Happening::Unanswered(place, number),
        );
        self.knock(place, number);
    }

    /// Knocks, and again later in case that it is not heard.
    fn knock(&mut self, place: Place, number: u32) {
        if !self.asks(place, number) {
            return;
        }
        let now = self.now.as_nanos();
        if self.network.is_connected(place.from, place.to)
            && let Some(at) = self.reaches(place, place.from)
        {
            self.happen(at, Happening::Knocked(place, number));
        }
        let again = self.streams().rules.again_ms.saturating_mul(MS);
        let again = now.saturating_add(again);
        self.happen(again, Happening::Knock(place, number));
    }

    /// Whether a dialler waits for the answer to this attempt.
    fn asks(&mut self, place: Place, number: u32) -> bool {
        let stream = self.streams().get(place);
        stream.dial == Dial::Asked && stream.number == number
    }

    /// When something that `from` says about a connection reaches the other end, unless it is
    /// lost.
    fn reaches(&mut self, place: Place, from: NodeIndex) -> Option<u64> {
        let now = self.now.as_nanos();
        let to = if from == place.from {
            place.to
        } else {
            place.from
        };
        let stream = self.streams().at(place);
        stream.draws += 1;
        let counter = u64::from(stream.draws) << 8 | u64::from(place.lane);
        let latency = self.network.reaches(&self.draw, (from, to), counter)?;
        Some(now.saturating_add(latency))
    }

    fn knocked<H: Hook<M>>(
        &mut self,
        place: Place,
        number: u32,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let Place { from, to, lane } = place;
        let is_silent = self.hosts[to.at()].paused || self.streams().dark[to.at()];
        if !self.asks(place, number) || is_silent {
            return Ok(());
        }
        let link = |news| Notice {
            peer: to,
            lane,
            end: End::Dialled,
            news,
        };
        let (Some(dialler), Some(host)) = (self.node(from), self.node(to)) else {
            self.answer_dial(place, Happening::Turned(place, number, link(News::Refused)));
            return Ok(());
        };
        let hello = dialler.hello(to);
        if let Err(reason) = host.judge(from, &hello) {
            let by = to;
            let news = News::Unfit { by, reason, hello };
            self.answer_dial(place, Happening::Turned(place, number, link(news.clone())));
            return self.tell_end(place, End::Accepted, news, hook);
        }
        self.answer_dial(place, Happening::Accepted(place, number));
        let before = core::mem::replace(&mut self.streams().at(place).accepted, number);
        if before == number {
            return Ok(());
        }
        if before != 0 {
            self.tell_end(place, End::Accepted, News::Broken(Break::Replaced), hook)?;
        }
        self.tell_end(place, End::Accepted, News::Up { hello }, hook)?;
        // Whoever dials is there to be dialled.
        let back = Place {
            from: to,
            to: from,
            lane,
        };
        if self.streams().get(back).dial == Dial::Waiting {
            self.streams().at(back).failures = 0;
            self.dial(back);
        }
        Ok(())
    }

    /// Sends the answer to an attempt back.
    fn answer_dial(&mut self, place: Place, answer: Happening) {
        if self.network.is_connected(place.to, place.from)
            && let Some(at) = self.reaches(place, place.to)
        {
            self.happen(at, answer);
        }
    }

    /// The dialler hears that it was accepted, and judges the other end itself.
    fn accepted<H: Hook<M>>(
        &mut self,
        place: Place,
        number: u32,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let Place { from, to, .. } = place;
        if !self.asks(place, number) {
            return Ok(());
        }
        let is_held = self.streams().get(place).accepted == number;
        let (Some(dialler), Some(host)) = (self.node(from), self.node(to).filter(|_| is_held))
        else {
            self.retry(place);
            return self.tell_end(place, End::Dialled, News::Refused, hook);
        };
        let hello = host.hello(from);
        if let Err(reason) = dialler.judge(to, &hello) {
            self.retry(place);
            self.send_reset(place, End::Accepted);
            let by = from;
            let news = News::Unfit { by, reason, hello };
            return self.tell_end(place, End::Dialled, news, hook);
        }
        let stream = self.streams().at(place);
        (stream.dial, stream.failures) = (Dial::Up, 0);
        self.tell_end(place, End::Dialled, News::Up { hello }, hook)
    }

    /// A dialler gives its connection up.
    fn give_up<H: Hook<M>>(
        &mut self,
        place: Place,
        number: u32,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let stream = self.streams().get(place);
        if stream.dial != Dial::Up || stream.number != number {
            return Ok(());
        }
        self.send_reset(place, End::Accepted);
        self.lose(place);
        self.retry(place);
        self.tell_end(place, End::Dialled, News::Broken(Break::Stalled), hook)
    }

    /// Tells the host at one end that the other end closed the connection, if it can be told.
    pub(super) fn send_reset(&mut self, place: Place, end: End) {
        let number = self.streams().get(place).number;
        let from = match end {
            End::Dialled => place.to,
            End::Accepted => place.from,
        };
        let to = if from == place.from {
            place.to
        } else {
            place.from
        };
        if self.network.is_connected(from, to)
            && let Some(at) = self.reaches(place, from)
        {
            self.happen(at, Happening::Reset(place, number, end));
        }
    }

    fn reset<H: Hook<M>>(
        &mut self,
        place: Place,
        number: u32,
        end: End,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let stream = self.streams().at(place);
        let is_held = match end {
            End::Dialled => stream.dial == Dial::Up && stream.number == number,
            End::Accepted => stream.accepted == number,
        };
        if !is_held {
            return Ok(());
        }
        match end {
            End::Dialled => {
                self.lose(place);
                self.retry(place);
            }
            End::Accepted => stream.accepted = 0,
        }
        self.tell_end(place, end, News::Broken(Break::Reset), hook)
    }

    /// The connections of a process that died end; its host closes them, unless it lost its
    /// power.
    pub(super) fn crash_streams(&mut self, node: NodeIndex, has_power: bool) {
        let Some(streams) = self.network.streams.as_deref() else {
            return;
        };
        for (from, to) in streams.pairs_of(node) {
            for place in self.streams().lanes(from, to) {
                let stream = self.streams().get(place);
                let is_held = stream.accepted == stream.number && stream.accepted != 0;
                if from == node {
                    if is_held && has_power {
                        self.send_reset(place, End::Accepted);
                    }
                    self.lose(place);
                    self.streams().at(place).dial = Dial::Down;
                } else {
                    if is_held && has_power {
                        self.send_reset(place, End::Dialled);
                    }
                    self.streams().at(place).accepted = 0;
                }
            }
        }
        self.streams().dark[node.at()] = !has_power;
        self.reassess(Some(node));
    }

    /// A process that starts dials everybody.
    pub(super) fn boot_streams(&mut self, node: NodeIndex) {
        let Some(streams) = self.network.streams.as_deref_mut() else {
            return;
        };
        streams.dark[node.at()] = false;
        let now = self.now.as_nanos();
        let dialled = self
            .streams()
            .pairs_of(node)
            .filter(|(from, _)| *from == node);
        for (from, to) in dialled {
            for place in self.streams().lanes(from, to) {
                let stream = self.streams().at(place);
                (stream.dial, stream.failures) = (Dial::Waiting, 0);
                let number = stream.number;
                self.happen(now, Happening::Dial(place, number));
            }
        }
        self.reassess(Some(node));
    }

    /// Tells the node at one end of a connection what happened to it.
    pub(super) fn tell_end<H: Hook<M>>(
        &mut self,
        place: Place,
        end: End,
        news: News,
        hook: &mut H,
    ) -> Result<(), Violation> {
        let (node, peer) = match end {
            End::Dialled => (place.from, place.to),
            End::Accepted => (place.to, place.from),
        };
        let link = Notice {
            peer,
            lane: place.lane,
            end,
            news,
        };
        self.tell(node, link, hook)
    }

    fn tell<H: Hook<M>>(
        &mut self,
        node: NodeIndex,
        link: Notice,
        hook: &mut H,
    ) -> Result<(), Violation> {
        self.digest.fold(LINK | u64::from(node.0), link.word());
        let host = &mut self.hosts[node.at()];
        if host.machine.is_none() {
            return Ok(());
        }
        if host.paused {
            host.drive.parked.push_back(Parked::Link(link));
            return Ok(());
        }
        let peer = link.peer;
        self.step_rare(node, Input::Link(link), Cause::Link { peer }, hook)
    }
}
