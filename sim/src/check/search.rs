//! Linearizability of any small history by search.
//!
//! Looks for an order of the operations that a sequential [`Model`] accepts and that respects
//! real time (an operation that returned before another was invoked comes first). The search is
//! exponential in the worst case, so it counts the states that it visits and gives up at a bound:
//! a search that ran out says so and claims nothing. For logs whose append returns its position
//! [`linear`](super::linear) decides exactly and almost in linear time; this one is for every
//! other machine, and the judge that the exact check is tested against.

#![allow(
    clippy::disallowed_types,
    reason = "never iterated; a model need not be ordered"
)]

use super::Outcome;
use std::collections::HashSet;
use std::hash::Hash;

/// A sequential specification.
pub trait Model: Clone + Eq + Hash {
    /// What a client asked for together with the answer it got, if any.
    type Op;

    /// Applies `op` and says whether its recorded answer is the right one.
    ///
    /// An operation without an answer (its client never learned the outcome) accepts any.
    fn apply(&mut self, op: &Self::Op) -> bool;
}

/// One operation of a concurrent history.
#[derive(Clone, Debug)]
pub struct Call<Op> {
    /// When the client sent it, in any unit that orders all moments of the run.
    pub invoked: u64,
    /// When the answer arrived; `None` when it never did, so that it may have happened or not.
    pub returned: Option<u64>,
    /// The operation with its answer.
    pub op: Op,
}

/// Searches for a legal order, visiting at most `states_max` distinct states.
pub fn linearizable<M: Model>(initial: M, history: &[Call<M::Op>], states_max: usize) -> Outcome {
    let mut search = Search {
        history,
        seen: HashSet::new(),
        states_max,
        deepest: Vec::new(),
    };
    let mut taken = Taken::new(history.len());
    match search.descend(&initial, &mut taken) {
        Step::Found => Outcome::Holds,
        Step::Dead => Outcome::Violated(format!(
            "no order of the {} operations is legal; at most {} of those that returned fit",
            history.len(),
            search.deepest.len()
        )),
        Step::Spent => Outcome::NotChecked(format!("more than {states_max} states")),
    }
}

/// The set of operations already placed in the order.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Taken(Vec<u64>);

impl Taken {
    fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    fn has(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 == 1
    }

    fn flip(&mut self, index: usize) {
        self.0[index / 64] ^= 1 << (index % 64);
    }
}

enum Step {
    Found,
    Dead,
    Spent,
}

struct Search<'a, M: Model> {
    history: &'a [Call<M::Op>],
    #[allow(
        clippy::disallowed_types,
        reason = "never iterated; a model need not be ordered"
    )]
    seen: HashSet<(Taken, M)>,
    states_max: usize,
    /// The longest legal order found so far, by index.
    deepest: Vec<usize>,
}

impl<M: Model> Search<'_, M> {
    fn descend(&mut self, state: &M, taken: &mut Taken) -> Step {
        let open: Vec<usize> = (0..self.history.len())
            .filter(|index| !taken.has(*index))
            .collect();
        let returned = |index: &usize| self.history[*index].returned;
        // An operation may come next unless another one returned before it was invoked.
        let Some(first_return) = open.iter().filter_map(returned).min() else {
            return Step::Found;
        };
        for index in open
            .iter()
            .copied()
            .filter(|i| self.history[*i].invoked <= first_return)
        {
            let mut next = state.clone();
            if !next.apply(&self.history[index].op) {
                continue;
            }
            taken.flip(index);
            if self.seen.insert((taken.clone(), next.clone())) {
                if self.seen.len() > self.states_max {
                    return Step::Spent;
                }
                self.note(taken);
                match self.descend(&next, taken) {
                    Step::Dead => {}
                    decided @ (Step::Found | Step::Spent) => return decided,
                }
            }
            taken.flip(index);
        }
        Step::Dead
    }

    fn note(&mut self, taken: &Taken) {
        let placed = (0..self.history.len())
            .filter(|index| taken.has(*index) && self.history[*index].returned.is_some());
        let placed: Vec<usize> = placed.collect();
        if placed.len() > self.deepest.len() {
            self.deepest = placed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default, PartialEq, Eq, Hash)]
    struct Register(u8);

    enum Op {
        Write(u8),
        Read(u8),
    }

    impl Model for Register {
        type Op = Op;

        fn apply(&mut self, op: &Op) -> bool {
            match *op {
                Op::Write(value) => {
                    self.0 = value;
                    true
                }
                Op::Read(value) => self.0 == value,
            }
        }
    }

    fn call(invoked: u64, returned: u64, op: Op) -> Call<Op> {
        Call {
            invoked,
            returned: Some(returned),
            op,
        }
    }

    #[test]
    fn a_read_during_a_write_may_see_either_value() {
        for seen in [0, 1] {
            let history = [call(0, 10, Op::Write(1)), call(2, 8, Op::Read(seen))];
            assert_eq!(
                linearizable(Register::default(), &history, 1000),
                Outcome::Holds
            );
        }
    }

    #[test]
    fn a_read_after_a_write_may_not_see_the_old_value() {
        let history = [call(0, 1, Op::Write(1)), call(2, 3, Op::Read(0))];
        let outcome = linearizable(Register::default(), &history, 1000);
        assert!(matches!(outcome, Outcome::Violated(_)), "{outcome:?}");
    }

    #[test]
    fn a_write_without_an_answer_may_have_happened_or_not() {
        for seen in [0, 1] {
            let unknown = Call {
                invoked: 0,
                returned: None,
                op: Op::Write(1),
            };
            let history = [unknown, call(5, 6, Op::Read(seen))];
            assert_eq!(
                linearizable(Register::default(), &history, 1000),
                Outcome::Holds
            );
        }
    }

    #[test]
    fn a_search_that_runs_out_is_not_a_pass() {
        let history: Vec<_> = (0..12)
            .map(|value| call(0, 100, Op::Write(value)))
            .collect();
        let outcome = linearizable(Register::default(), &history, 5);
        assert!(matches!(outcome, Outcome::NotChecked(_)), "{outcome:?}");
    }
}
