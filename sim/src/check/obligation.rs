//! Obligations: while a condition has held without a break for as long as a bound, something has
//! to have come true.
//!
//! Safety is asked after every step and liveness after the faults; an obligation is asked all
//! through a run, while faults last. A hook owns one [`Monitor`] for each property and tells it
//! of each subject (a node, a chain, a request) what the world is like: [`hold`](Monitor::hold)
//! while the condition holds and its consequence is still owed, [`meet`](Monitor::meet) when the
//! consequence comes true, [`release`](Monitor::release) when the condition breaks. Then
//! [`judge`](Monitor::judge) says whether what the subject owes is overdue. A hook looks at its
//! subjects at each [`alarm`](crate::hook::Schedule::alarm) that it sets, at
//! [`due`](Monitor::due) or every so often, so that a violation comes at the bound even if
//! nothing happens any more.
//!
//! Conditions are for ground truth, which [`View`](crate::world::View) shows: links, processes,
//! disks, clocks and the true state of machines; never what a machine believes of another one.
//!
//! How often each property was armed and met is counted for the report of the run. A full sweep
//! in which a property that has a monitor was never armed, or never met, fails: it tested nothing.

use crate::time::Instant;
use crate::violation::Violation;
use core::cell::RefCell;
use core::fmt::Display;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How often an obligation of one property began to count, and how it ended.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Its condition held and its consequence was owed.
    pub armed: u64,
    /// The consequence came true while it was owed.
    pub met: u64,
}

/// The tallies of all properties that have a monitor, by id.
pub type Tallies = BTreeMap<&'static str, Tally>;

thread_local! {
    static TALLIES: RefCell<Tallies> = const { RefCell::new(Tallies::new()) };
}

/// The obligations of one property, one for each subject that owes something.
#[derive(Clone, Debug)]
pub struct Monitor<K> {
    property: &'static str,
    open: BTreeMap<K, Open>,
}

/// Something that is owed.
#[derive(Copy, Clone, Debug)]
struct Open {
    since: Instant,
    due: Instant,
}

impl<K: Ord> Monitor<K> {
    /// A monitor without obligations for the property of that id.
    pub fn new(property: &'static str) -> Self {
        tally(property, |_| {});
        Self {
            property,
            open: BTreeMap::new(),
        }
    }

    /// The id of the property.
    pub const fn property(&self) -> &'static str {
        self.property
    }

    /// The condition has held for `subject` since `since` without a break, and its consequence
    /// has to come true within `bound` of then.
    ///
    /// Told again of the same time, an obligation keeps the later of its bounds: what has to be
    /// done first may turn out to be more. Told of a later time, it begins anew.
    pub fn hold(&mut self, subject: K, since: Instant, bound: Duration) {
        let due = since.after(bound);
        match self.open.get_mut(&subject) {
            Some(open) if open.since >= since => open.due = open.due.max(due),
            Some(open) => {
                *open = Open { since, due };
                tally(self.property, |tally| tally.armed += 1);
            }
            None => {
                self.open.insert(subject, Open { since, due });
                tally(self.property, |tally| tally.armed += 1);
            }
        }
    }

    /// The consequence came true; whether it was owed.
    pub fn meet(&mut self, subject: &K) -> bool {
        let owed = self.open.remove(subject).is_some();
        if owed {
            tally(self.property, |tally| tally.met += 1);
        }
        owed
    }

    /// The condition does not hold any more; whether something was owed.
    pub fn release(&mut self, subject: &K) -> bool {
        self.open.remove(subject).is_some()
    }

    /// Since when something is owed by `subject`.
    pub fn since(&self, subject: &K) -> Option<Instant> {
        self.open.get(subject).map(|open| open.since)
    }

    /// When the first bound passes; `None` when nothing is owed.
    pub fn due(&self) -> Option<Instant> {
        self.open.values().map(|open| open.due).min()
    }

    /// Whether what `subject` owes is overdue at `now`; `tell` says what the condition was and
    /// what did not come true.
    ///
    /// Others are left alone: the condition of one that was not looked at yet may have broken.
    ///
    /// # Errors
    /// Its bound has passed.
    #[track_caller]
    pub fn judge<T: Display>(
        &self,
        subject: &K,
        now: Instant,
        tell: impl FnOnce() -> T,
    ) -> Result<(), Violation> {
        let Some(open) = self.open.get(subject).filter(|open| open.due < now) else {
            return Ok(());
        };
        let text = format!(
            "{}; it has held since {}, for {} ms, and {} ms were allowed",
            tell(),
            open.since,
            now.since(open.since).as_millis(),
            open.due.since(open.since).as_millis()
        );
        Err(Violation::new(self.property, text))
    }

    /// Something happened that the property forbids whatever the time.
    ///
    /// # Errors
    /// Always.
    #[track_caller]
    pub fn forbid(&self, text: impl Into<String>) -> Result<(), Violation> {
        Err(Violation::new(self.property, text))
    }
}

fn tally(property: &'static str, change: impl FnOnce(&mut Tally)) {
    TALLIES.with_borrow_mut(|tallies| change(tallies.entry(property).or_default()));
}

/// Forgets what the current thread has counted so far.
pub(crate) fn clear() {
    TALLIES.with_borrow_mut(Tallies::clear);
}

/// Takes what the current thread has counted since [`clear`].
pub(crate) fn take() -> Tallies {
    TALLIES.with_borrow_mut(core::mem::take)
}

impl Tally {
    /// Adds what another run counted.
    pub const fn add(&mut self, other: Self) {
        self.armed += other.armed;
        self.met += other.met;
    }
}

#[cfg(test)]
mod tests;
