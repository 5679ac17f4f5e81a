//! The operations of a history in words: what, where, by whom and when.

use super::{Answer, Append, Contradiction, History, Outcome, Placed, Read};
use crate::check::moment;
use std::fmt::Debug;

impl<V: Ord + Debug> History<V> {
    /// An operation at its place.
    pub(super) fn told(&self, item: &Placed) -> String {
        match item.is_append {
            true => format!("{} at {}", append(&self.appends[item.index]), item.at),
            false => read(&self.reads[item.index]),
        }
    }

    /// Where an append stands as it is known from there.
    pub(super) fn told_by(&self, source: Option<usize>) -> String {
        match source {
            None => "its answer".to_owned(),
            Some(index) => format!("a {}", read(&self.reads[index])),
        }
    }

    /// When it is known where an append stands.
    pub(super) fn known_at(&self, index: usize, source: Option<usize>) -> u64 {
        match source {
            None => ended(&self.appends[index]),
            Some(read) => self.reads[read].returned,
        }
    }
}

/// An append, its value and its times.
pub(super) fn append<V: Debug>(append: &Append<V>) -> String {
    let Append {
        invoked,
        value,
        answer,
    } = append;
    let invoked = moment(*invoked);
    let times = match answer {
        Answer::Done { returned, .. } => format!("{invoked} to {}", moment(*returned)),
        Answer::Unknown => format!("from {invoked}, not answered"),
        Answer::Refused => format!("from {invoked}, refused"),
    };
    format!("append of {value:?} ({times})")
}

/// A read, who asked, and its times.
pub(super) fn read<V>(read: &Read<V>) -> String {
    let Read {
        invoked,
        returned,
        by,
        from,
        end,
        ..
    } = read;
    let (invoked, returned) = (moment(*invoked), moment(*returned));
    format!("read of {from}..{end} by {by} ({invoked} to {returned})")
}

/// When its client knew as much of an append as it ever would.
pub(super) fn ended<V>(append: &Append<V>) -> u64 {
    match append.answer {
        Answer::Done { returned, .. } => returned,
        Answer::Unknown | Answer::Refused => append.invoked,
    }
}

/// Operations that contradict each other, the last of which ended at that moment.
pub(super) fn violated<T>(at: u64, text: String) -> Result<T, Outcome> {
    Err(Outcome::Violated(Contradiction { at, text }))
}
