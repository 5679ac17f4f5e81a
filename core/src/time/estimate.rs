//! What time it is by several wall clocks of which a minority may be wrong.
//!
//! No safety property depends on it: it stamps entries and tells their age. It decides from the
//! samples alone, so whoever has the same samples comes to the same time.

use super::{Instant, Wall};
use crate::config::VOTERS_MAX;
use core::time::Duration;

/// What a wall clock showed, and when that was heard here.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Sample {
    /// What it showed.
    pub wall: Wall,
    /// When it was heard, by the own monotonic clock.
    pub heard: Instant,
}

/// The time by the clocks of `voters` voters, as far as `samples` hold one of each: the
/// (N − M + 1)-th largest, where N are the voters and M are a majority of them. Every sample is
/// aged by the own monotonic clock, and one older than `age_max` is left out. `None` when fewer
/// than M are left.
///
/// So it is never ahead of every clock of a majority, and not behind all of them when each voter
/// was heard.
///
/// # Panics
/// When there are more samples than voters, or more than [`VOTERS_MAX`].
pub fn estimate(
    voters: usize,
    samples: impl IntoIterator<Item = Sample>,
    now: Instant,
    age_max: Duration,
) -> Option<Wall> {
    let mut walls = [Wall::default(); VOTERS_MAX];
    let mut count = 0;
    for sample in samples {
        let age = now.since(sample.heard);
        if age <= age_max {
            assert!(count < voters, "each voter has one clock");
            walls[count] = sample.wall.after(age);
            count += 1;
        }
    }
    let majority = voters / 2 + 1;
    if count < majority {
        return None;
    }
    walls[..count].sort_unstable_by(|a, b| b.cmp(a));
    Some(walls[voters - majority])
}
