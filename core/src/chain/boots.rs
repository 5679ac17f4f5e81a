//! The boots of a store: how many there were, and which runs the newest of them were.
//!
//! A store that was set back to an older image boots to numbers that its peers heard before, or,
//! after enough boots, to numbers that nobody heard. Its number alone cannot tell; the nonces of
//! its runs do, for a peer remembers the one that it heard last.

use crate::id::{Incarnation, RunNonce};
use alloc::collections::VecDeque;

/// How many boots are remembered. A store that booted more often since a peer heard it is not
/// known to be older than what the peer remembers.
pub const REMEMBERED_MAX: usize = 256;

/// The boots of one store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Boots {
    newest: Incarnation,
    /// The runs of the newest boots, the newest last.
    runs: VecDeque<RunNonce>,
}

impl Boots {
    /// Those up to the boot `newest`, of which the last ones were `runs`; `None` where they are
    /// more than there were boots, or than are remembered.
    pub(super) fn read(newest: Incarnation, runs: VecDeque<RunNonce>) -> Option<Self> {
        let is_possible = runs.len() <= REMEMBERED_MAX && runs.len() as u64 <= newest.get();
        is_possible.then_some(Self { newest, runs })
    }

    /// The newest boot; 0 before the first.
    pub fn newest(&self) -> Incarnation {
        self.newest
    }

    /// The run of the newest boot.
    pub fn run(&self) -> RunNonce {
        self.runs.back().copied().unwrap_or_default()
    }

    /// The runs that are remembered, the newest last.
    pub(super) fn runs(&self) -> impl Iterator<Item = RunNonce> {
        self.runs.iter().copied()
    }

    /// These and one more.
    #[must_use]
    pub fn with(&self, run: RunNonce) -> Self {
        let mut runs = self.runs.clone();
        if runs.len() == REMEMBERED_MAX {
            runs.pop_front();
        }
        runs.push_back(run);
        Self {
            newest: Incarnation::new(self.newest.get() + 1),
            runs,
        }
    }

    /// Whether the boot `incarnation` was, as far as is remembered, the run `run` of this store.
    pub fn may_hold(&self, incarnation: Incarnation, run: RunNonce) -> bool {
        let Some(back) = self.newest.get().checked_sub(incarnation.get()) else {
            return false;
        };
        let mut newest_first = self.runs.iter().rev();
        let there = usize::try_from(back).ok().and_then(|n| newest_first.nth(n));
        there.is_none_or(|there| *there == run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_is_known_by_its_run_until_it_is_forgotten() {
        let (at, run) = (Incarnation::new, RunNonce::new);
        let mut boots = Boots::default();
        assert!(!boots.may_hold(at(1), run(1)));
        for number in 1..=REMEMBERED_MAX as u64 + 1 {
            boots = boots.with(run(number));
            assert_eq!((boots.newest(), boots.run()), (at(number), run(number)));
        }
        let last = REMEMBERED_MAX as u64 + 1;
        assert!(boots.may_hold(at(last), run(last)) && !boots.may_hold(at(last), run(1)));
        assert!(boots.may_hold(at(2), run(2)) && !boots.may_hold(at(2), run(3)));
        assert!(boots.may_hold(at(1), run(77)), "boot 1 is forgotten");
        assert!(!boots.may_hold(at(last + 1), run(last)), "it is to come");
    }
}
