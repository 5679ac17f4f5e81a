//! `reached!` marks: proof that a sweep has seen the states it claims to test.
//!
//! A green run that never reached the interesting state proves nothing. A check, a host model or
//! a machine says `reached!("leader crash during catch-up")` where that state occurs; the run
//! counts it, the sweep adds the counts up, and a full default sweep in which a required mark was
//! never seen fails. Marks influence nothing inside a run: they live outside the world, and the
//! numbers that identify them never leave this file.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts that the given state was reached in the current run.
///
/// The name is a string literal. Outside a run the call does nothing that anybody sees.
#[macro_export]
macro_rules! reached {
    ($name:literal) => {{
        static MARK: $crate::marks::Site = $crate::marks::Site::new($name);
        MARK.hit();
    }};
}

/// A state that a scenario, or a whole registry of scenarios, has to reach.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The name given to [`reached!`](crate::reached).
    pub name: &'static str,
    /// Why the present configuration can never reach it; such a mark is listed, not demanded.
    pub dormant: Option<&'static str>,
}

impl Mark {
    /// A mark that a full sweep must see.
    pub const fn required(name: &'static str) -> Self {
        Self {
            name,
            dormant: None,
        }
    }

    /// A mark that cannot be seen for the stated reason.
    pub const fn dormant(name: &'static str, why: &'static str) -> Self {
        Self {
            name,
            dormant: Some(why),
        }
    }
}

/// How often each mark was hit in one run, by name.
pub type Counts = BTreeMap<&'static str, u64>;

/// One place in the code that says [`reached!`](crate::reached).
#[derive(Debug)]
pub struct Site {
    name: &'static str,
    /// Index into the table of names plus one; zero until the first hit.
    slot: AtomicUsize,
}

static NAMES: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

thread_local! {
    static HITS: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl Site {
    /// A site that was not hit yet.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            slot: AtomicUsize::new(0),
        }
    }

    /// Counts one visit on the current thread.
    pub fn hit(&self) {
        let slot = match self.slot.load(Ordering::Relaxed) {
            0 => self.register(),
            slot => slot,
        };
        HITS.with_borrow_mut(|hits| {
            if hits.len() < slot {
                hits.resize(slot, 0);
            }
            hits[slot - 1] += 1;
        });
    }

    /// Finds or adds the name; two sites with one name share one slot.
    #[cold]
    fn register(&self) -> usize {
        let mut names = names();
        let index = names
            .iter()
            .position(|name| *name == self.name)
            .unwrap_or_else(|| {
                names.push(self.name);
                names.len() - 1
            });
        self.slot.store(index + 1, Ordering::Relaxed);
        index + 1
    }
}

/// Forgets what the current thread has counted so far.
pub(crate) fn clear() {
    HITS.with_borrow_mut(|hits| hits.fill(0));
}

/// Takes what the current thread has counted since [`clear`].
pub(crate) fn take() -> Counts {
    let names = names();
    HITS.with_borrow_mut(|hits| {
        let counts = hits
            .iter()
            .zip(names.iter())
            .filter(|(count, _)| **count > 0);
        let counts = counts.map(|(count, name)| (*name, *count)).collect();
        hits.fill(0);
        counts
    })
}

/// The table of names; a panic elsewhere while it was locked leaves it intact.
fn names() -> std::sync::MutexGuard<'static, Vec<&'static str>> {
    NAMES
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #[test]
    #[allow(
        clippy::disallowed_methods,
        reason = "another thread is what is tested"
    )]
    fn counts_belong_to_the_thread_and_are_taken_once() {
        super::clear();
        for _ in 0..3 {
            reached!("first state");
        }
        reached!("second state");
        std::thread::spawn(|| reached!("first state"))
            .join()
            .expect("no panic");
        let counts = super::take();
        assert_eq!(counts.get("first state"), Some(&3));
        assert_eq!(counts.get("second state"), Some(&1));
        assert!(super::take().is_empty());
    }

    #[test]
    fn two_sites_of_one_name_share_a_count() {
        super::clear();
        reached!("shared");
        reached!("shared");
        assert_eq!(super::take().get("shared"), Some(&2));
    }
}
