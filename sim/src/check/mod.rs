//! Checks that any scenario can use over the history that it collected.

pub mod linear;
pub mod obligation;
pub mod search;

use std::fmt;

/// Operations that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Moment at which the last of them ended, in nanoseconds of true time.
    pub at: u64,
    /// Which they are: what each did, where, by whom and when.
    pub text: String,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// A moment in seconds, as exact as it is.
pub(crate) fn moment(nanos: u64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}s")
}

/// What a check over a whole history found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The history obeys the specification.
    Holds,
    /// It does not.
    Violated(Contradiction),
    /// The check could not decide; the text says why. This is never a pass.
    NotChecked(String),
}
