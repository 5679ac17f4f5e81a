//! What happens to connections: dialling, hellos, travel in order, stalls and breaks.
//!
//! Whatever a real host would do for its processes happens here: a host that runs refuses whom no
//! process listens to, and resets what a dead process held; one that is cut off, paused or without
//! power says nothing.

use super::World;
use super::host::Parked;
use crate::connection::{
    Break, Dial, End, Happening, MS, News, Notice, Parcel, Place, Streams, WORK,
};
use crate::draw::Site;
use crate::hook::{Cause, Hook};
use crate::machine::{Input, Machine, Message, NodeIndex};
use crate::queue::Class;
use crate::time::Instant;
use crate::trace::Event;
use crate::violation::Violation;

const NEVER: u64 = u64::MAX;
/// What the digest takes in beside the content of news.
const LINK: u64 = 5 << 32;

impl<M: Machine> World<M> {
    fn streams(&mut self) -> &mut Streams {
        let streams = self.network.streams.as_deref_mut();
        streams.expect("only runs with connections have anything happen to one")
    }

    fn happen(&mut self, at: u64, happening: Happening) {
        let handle = self.streams().happenings.insert(happening);
        self.push_numbered(Instant::from_nanos(at), Class::Link, handle);
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

    /// Puts a message into its connection and returns how often it will arrive.
    #[cold]
    pub(super) fn post_stream(
        &mut self,
        (from, to): (NodeIndex, NodeIndex),
        (kind, bytes): (u16, u32),
        counter: u32,
        handle: u32,
    ) -> u32 {
        let now = self.now.as_nanos();
        let lane = self.letters.get_mut(handle).message.lane();
        assert!(lane < M::Message::LANES, "{lane} is a lane of the message");
        let place = Place { from, to, lane };
        let (travels, damage) = self.network.travel(&self.draw, from, to, counter);
        let rules = self.streams().rules;
        let stream = self.streams().at(place);
        let bytes_after = stream.bytes + u64::from(bytes);
        let is_full = !stream.queue.is_empty() && bytes_after > rules.queue_bytes_max;
        if stream.dial != Dial::Up || is_full {
            self.record_lost(from, to, handle);
            return 0;
        }
        stream.bytes = bytes_after;
        let number = stream.number;
        stream.queue.push_back(Parcel {
            handle,
            bytes,
            kind,
            travels,
            at: NEVER,
            damage,
        });
        let limit = rules.stall_ms_max.saturating_mul(MS);
        if travels >= limit {
            self.happen(now.saturating_add(limit), Happening::Doomed(place, number));
        }
        self.flow(from, to);
        self.doubt(place);
        1
    }

    /// Lets the messages of a pair leave, as far as its bandwidth has carried them.
    fn flow(&mut self, from: NodeIndex, to: NodeIndex) {
        let now = self.now.as_nanos();
        let rate = self.network.bytes_per_ms(from, to);
        let streams = self.streams();
        streams.work(from, to, now);
        streams.pipe(from, to).rate = rate;
        for place in streams.lanes(from, to) {
            self.leave(place, rate);
        }
        let due = self.streams().leaves_at(from, to);
        let pipe = self.streams().pipe(from, to);
        if pipe.due != due {
            pipe.due = due;
            if due != NEVER {
                self.happen(due, Happening::Leave(from, to));
            }
        }
    }

    /// Lets the messages of one lane leave whose work is done, and begins with the next one.
    fn leave(&mut self, place: Place, rate: u64) {
        let now = self.now.as_nanos();
        let stream = self.streams().at(place);
        let was_empty = stream.flown == 0;
        while let Some(parcel) = stream.queue.get_mut(stream.flown).filter(|_| !stream.stuck) {
            let left = stream.left.unwrap_or(u64::from(parcel.bytes) * WORK);
            if rate > 0 && left > 0 {
                stream.left = Some(left);
                break;
            }
            stream.left = None;
            parcel.at = stream.last_at.max(now.saturating_add(parcel.travels));
            stream.last_at = parcel.at;
            stream.flown += 1;
        }
        if was_empty {
            self.await_first(place);
        }
    }

    /// Waits for the first message on its way.
    fn await_first(&mut self, place: Place) {
        let now = self.now.as_nanos();
        let stream = self.streams().at(place);
        let first = stream.queue.front().filter(|_| stream.flown > 0);
        stream.due = first.map_or(NEVER, |parcel| parcel.at.max(now));
        let due = stream.due;
        if due != NEVER {
            self.happen(due, Happening::Arrive(place));
        }
    }

    /// The first message of a stream arrives, unless it was lost or delayed since.
    fn arrive<H: Hook<M>>(&mut self, place: Place, hook: &mut H) -> Result<(), Violation> {
        let Place { from, to, .. } = place;
        let now = self.now.as_nanos();
        let stream = self.streams().at(place);
        if stream.due != now {
            return Ok(());
        }
        stream.due = NEVER;
        let Some(kind) = stream.queue.front().map(|parcel| parcel.kind) else {
            return Ok(());
        };
        if self.network.is_filtered(kind, from, to) {
            // It is sent again and again, and what is behind it waits.
            self.streams().work(from, to, now);
            self.streams().at(place).stuck = true;
            self.flow(from, to);
            self.doubt(place);
            return Ok(());
        }
        let stream = self.streams().at(place);
        let Some(parcel) = stream.queue.pop_front() else {
            return Ok(());
        };
        stream.flown -= 1;
        stream.bytes -= u64::from(parcel.bytes);
        let is_held = stream.accepted == stream.number;
        self.await_first(place);
        self.doubt(place);
        let message = self.take_letter(parcel.handle);
        if !is_held {
            // Whoever accepted the connection is gone, and its host says so.
            self.record(Some(to), || Event::Refused {
                what: format!("{message:?} from {from}"),
            });
            self.send_reset(place, End::Dialled);
            return Ok(());
        }
        let message = match parcel.damage {
            Some(bits) => message.corrupt(bits),
            None => Some(message),
        };
        match message.filter(|message| !self.refuses(from, to, message)) {
            Some(message) => {
                let cause = Cause::Message { from };
                self.step_rare(to, Input::Message { from, message }, cause, hook)
            }
            None => {
                self.streams().at(place).accepted = 0;
                self.send_reset(place, End::Dialled);
                let news = News::Broken(Break::Unreadable);
                self.tell_end(place, End::Accepted, news, hook)
            }
        }
    }

    /// Begins or ends to doubt that what was sent is acknowledged.
    fn doubt(&mut self, place: Place) {
        let now = self.now.as_nanos();
        let answers = self.network.is_connected(place.to, place.from);
        let limit = self.streams().rules.stall_ms_max.saturating_mul(MS);
        let stream = self.streams().at(place);
        if answers && !stream.stuck {
            stream.doubt = None;
        } else if stream.doubt.is_none() && !stream.queue.is_empty() {
            stream.doubt = Some(now);
            let number = stream.number;
            self.happen(now.saturating_add(limit), Happening::GiveUp(place, number));
        }
    }

    /// Looks again at the ways between all nodes, or from and to one of them.
    pub(super) fn reassess(&mut self, node: Option<NodeIndex>) {
        let Some(streams) = self.network.streams.as_deref() else {
            return;
        };
        match node {
            Some(node) => streams
                .pairs_of(node)
                .for_each(|pair| self.reassess_pair(pair)),
            None => streams.pairs().for_each(|pair| self.reassess_pair(pair)),
        }
    }

    fn reassess_pair(&mut self, (from, to): (NodeIndex, NodeIndex)) {
        let now = self.now.as_nanos();
        let is_silent = self.hosts[to.at()].paused || self.streams().dark[to.at()];
        let is_open = self.network.is_connected(from, to) && !is_silent;
        self.streams().work(from, to, now);
        for place in self.streams().lanes(from, to) {
            let stream = self.streams().get(place);
            let (was, on_its_way) = (stream.stuck, stream.flown > 0);
            let first = stream.queue.front().filter(|_| on_its_way);
            let kind = first.map(|parcel| parcel.kind);
            let is_filtered = kind.is_some_and(|kind| self.network.is_filtered(kind, from, to));
            let is_stuck = !is_open || is_filtered;
            let stream = self.streams().at(place);
            stream.stuck = is_stuck;
            if is_stuck && !was {
                stream.due = NEVER;
            } else if was && !is_stuck {
                self.resume_stream(place);
            }
            self.doubt(place);
        }
        self.flow(from, to);
    }

    /// What was on its way is sent again, some time after that became possible: the longer
    /// nothing got through, the more rarely it is tried.
    fn resume_stream(&mut self, place: Place) {
        let now = self.now.as_nanos();
        let lane = u64::from(place.from.0) << 16 | u64::from(place.to.0);
        let stream = self.streams().at(place);
        stream.draws += 1;
        let counter = u64::from(stream.draws) << 8 | u64::from(place.lane);
        let silent = stream.doubt.map_or(0, |since| now - since);
        let again = now + self.draw.below(Site::Resend, lane, counter, silent);
        let stream = self.streams().at(place);
        stream.last_at = 0;
        for parcel in stream.queue.iter_mut().take(stream.flown) {
            parcel.at = stream.last_at.max(again.saturating_add(parcel.travels));
            stream.last_at = parcel.at;
        }
        self.await_first(place);
    }

    /// Everything in a connection is lost.
    fn lose(&mut self, place: Place) {
        let Place { from, to, .. } = place;
        let now = self.now.as_nanos();
        self.streams().work(from, to, now);
        let stream = self.streams().at(place);
        let queue = core::mem::take(&mut stream.queue);
        (stream.flown, stream.left, stream.bytes) = (0, None, 0);
        (stream.last_at, stream.due, stream.doubt) = (0, NEVER, None);
        for parcel in queue {
            self.record_lost(from, to, parcel.handle);
            drop(self.take_letter(parcel.handle));
        }
        self.flow(from, to);
    }

    /// Waits before the next attempt to dial.
    fn retry(&mut self, place: Place) {
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
            let news = News::Unfit { by: to, reason };
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
            let news = News::Unfit { by: from, reason };
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
    fn send_reset(&mut self, place: Place, end: End) {
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
    fn tell_end<H: Hook<M>>(
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
