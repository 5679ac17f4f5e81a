//! Messages travel in connections: each in its order, as fast as the bandwidth of the link allows,
//! again and again while the way is shut, until it arrives or its connection ends.

use super::World;
use super::connecting::NEVER;
use crate::connection::{Break, Dial, End, Happening, MS, News, Parcel, Place, WORK};
use crate::draw::Site;
use crate::hook::{Cause, Hook};
use crate::machine::{Input, Machine, Message};
use crate::node::NodeIndex;
use crate::trace::Event;
use crate::violation::Violation;

impl<M: Machine> World<M> {
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
        let (travels, damage) = self.network.travel(&self.draw, from, to, (counter, bytes));
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
    pub(super) fn flow(&mut self, from: NodeIndex, to: NodeIndex) {
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
    pub(super) fn arrive<H: Hook<M>>(
        &mut self,
        place: Place,
        hook: &mut H,
    ) -> Result<(), Violation> {
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
            self.record_in_hand(to, || Event::Refused {
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
    pub(super) fn doubt(&mut self, place: Place) {
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
    pub(super) fn lose(&mut self, place: Place) {
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
}
