//! The bandwidth budget: one token bucket, three classes (D22).
//!
//! The bucket holds one second's worth of the rate and starts full. `Foreground` may empty it,
//! `Background` may use only its top share, and `Realtime` may overdraw it by half. A request
//! larger than what its class may use passes when the bucket is full and leaves it in debt, so
//! over any window of length `w`, the first one included, the bytes granted are at most `rate * (w + 1.5 s)`, plus what the largest single request has above that.
//!
//! No class starves: one that was refused and kept asking for longer than its patience has its
//! turn, and until it passed, or ceased to ask, the other classes wait. This module moves no
//! bytes and sets no timers; it upholds *rate-limits* and *fair*.

use crate::time::Instant;
use core::time::Duration;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// The traffic class of a chain's entries.
#[derive(
    Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Ordinary traffic.
    #[default]
    Foreground,
    /// Only what the others leave over, but never nothing.
    Background,
    /// Ahead of the others, up to half of the budget.
    Realtime,
}

/// What a sender may send.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes per second.
    pub rate_bytes_per_s: u64,
    /// The share of it that background traffic may use, per million; at most one million counts.
    pub background_ppm: u32,
    /// How long a class may be refused before the others wait for it.
    pub patience: Duration,
    /// The same for background traffic.
    pub background_patience: Duration,
}

/// The budget of one sender, as far as it is used.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bucket {
    /// Bytes per second; one token is a billionth of a byte, so this many per nanosecond.
    rate: u64,
    background_ppm: u32,
    /// Tokens; negative while in debt.
    level: i128,
    refilled: Instant,
    /// How long a class may be refused before the others wait for it, by its discriminant.
    patience: [Duration; 3],
    /// Which class has been refused since when, by its discriminant.
    waiting: [Option<Wait>; 3],
}

/// A class that was refused and is expected to ask again.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Wait {
    since: Instant,
    /// When it was told to ask again.
    retry: Instant,
    /// How many tokens it then needs to find to have its turn.
    needed: i128,
}

impl Bucket {
    /// A full bucket. A rate of 0 counts as 1.
    pub fn new(budget: Budget, now: Instant) -> Self {
        let rate = budget.rate_bytes_per_s.max(1);
        let mut patience = [budget.patience; 3];
        patience[Class::Background as usize] = budget.background_patience;
        Self {
            rate,
            background_ppm: budget.background_ppm.min(MILLION),
            level: capacity(rate),
            refilled: now,
            patience,
            waiting: [None; 3],
        }
    }

    /// Takes `bytes` for `class`, or says when to ask again.
    ///
    /// A class is one line: its oldest chunk is asked for first, and no other before that one
    /// passed. A class that does not ask again when it was told to loses its place.
    pub fn admit(&mut self, class: Class, bytes: u64, now: Instant) -> Result<(), Instant> {
        if bytes == 0 {
            return Ok(());
        }
        self.refill(now);
        let waited = self.waiting[class as usize].filter(|wait| !wait.has_lapsed(now));
        let turn = self.turn(now);
        let other = turn.filter(|(other, _)| *other != class);
        let needed = self.needed(class, bytes, turn.is_some() && other.is_none());
        if other.is_none() && self.level >= needed {
            self.level -= tokens(bytes);
            self.waiting[class as usize] = None;
            return Ok(());
        }
        let first = other.map_or(needed, |(_, wait)| wait.needed);
        let retry = self.when(needed.max(first)).max(now.after(RETRY_MIN));
        self.waiting[class as usize] = Some(Wait {
            since: waited.map_or(now, |wait| wait.since),
            retry,
            needed: self.needed(class, bytes, true),
        });
        Err(retry)
    }

    /// Tokens that have to be there for `bytes` to pass; in its turn `Background` is not held
    /// to its share.
    fn needed(&self, class: Class, bytes: u64, in_turn: bool) -> i128 {
        let capacity = capacity(self.rate);
        let share = capacity * i128::from(self.background_ppm) / i128::from(MILLION);
        let floor = match class {
            Class::Foreground => 0,
            Class::Background if in_turn => 0,
            Class::Background => capacity - share,
            Class::Realtime => -capacity / 2,
        };
        (floor + tokens(bytes)).min(capacity)
    }

    /// The class that has been refused for longer than its patience and still asks; of several
    /// the one whose patience ended first.
    fn turn(&self, now: Instant) -> Option<(Class, Wait)> {
        let impatient = |class: Class| {
            let wait = self.waiting[class as usize].filter(|wait| !wait.has_lapsed(now))?;
            (wait.since.after(self.patience[class as usize]) <= now).then_some((class, wait))
        };
        let end = |(class, wait): &(Class, Wait)| {
            (wait.since.after(self.patience[*class as usize]), *class)
        };
        CLASSES.into_iter().filter_map(impatient).min_by_key(end)
    }

    fn refill(&mut self, now: Instant) {
        let nanos = now.since(self.refilled).as_nanos() as i128;
        let flown = i128::from(self.rate).saturating_mul(nanos);
        self.level = self.level.saturating_add(flown).min(capacity(self.rate));
        self.refilled = self.refilled.max(now);
    }

    /// When `needed` tokens are there if nothing is taken before.
    fn when(&self, needed: i128) -> Instant {
        let missing = (needed - self.level).max(0) as u128;
        let nanos = missing.div_ceil(u128::from(self.rate));
        self.refilled.after(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        ))
    }
}

impl Wait {
    fn has_lapsed(&self, now: Instant) -> bool {
        now > self.retry.after(LAPSE)
    }
}

const fn tokens(bytes: u64) -> i128 {
    bytes as i128 * TOKENS_PER_BYTE
}

/// One second's worth of the rate.
const fn capacity(rate: u64) -> i128 {
    tokens(rate)
}

const CLASSES: [Class; 3] = [Class::Foreground, Class::Background, Class::Realtime];
const MILLION: u32 = 1_000_000;
const TOKENS_PER_BYTE: i128 = 1_000_000_000;
/// A refused class is not asked to come back sooner.
const RETRY_MIN: Duration = Duration::from_millis(1);
/// How late a refused class may come back and keep its place.
const LAPSE: Duration = Duration::from_secs(1);
