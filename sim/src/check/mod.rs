//! Checks that any scenario can use over the history that it collected.

pub mod linear;
pub mod obligation;
pub mod search;

/// What a check over a whole history found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The history obeys the specification.
    Holds,
    /// It does not; the text names the operations that contradict each other.
    Violated(String),
    /// The check could not decide; the text says why. This is never a pass.
    NotChecked(String),
}
