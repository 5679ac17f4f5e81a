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

use super::{Contradiction, Outcome, moment};
use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

/// A sequential specification.
pub trait Model: Clone + Eq + Hash {
    /// What a client asked for together with the answer it got, if any.
    type Op: Debug;

    /// Applies `op` and says whether its recorded answer is the right one.
    ///
    /// An operation without an answer (its client never learned the outcome) accepts any.
    fn apply(&mut self, op: &Self::Op) -> bool;
}

/// One operation of a concurrent history.
#[derive(Clone, Debug)]
pub struct Call<Op> {
    /// When the client sent it, in nanoseconds of true time.
    pub invoked: u64,
    /// When the answer arrived; `None` when it never did, so that it may have happened or not.
    pub returned: Option<u64>,
    /// Who asked, in words.
    pub by: String,
    /// The operation with its answer.
    pub op: Op,
}

impl<Op: Debug> Call<Op> {
    fn told(&self) -> String {
        let Self {
            invoked,
            returned,
            by,
            op,
        } = self;
        let invoked = moment(*invoked);
        match returned {
            Some(returned) => format!("{op:?} by {by} ({invoked} to {})", moment(*returned)),
            None => format!("{op:?} by {by} (from {invoked}, not answered)"),
        }
    }
}

/// How many operations of the longest legal order are told.
const TOLD_MAX: usize = 4;

/// Searches for a legal order, visiting at most `states_max` distinct states.
pub fn linearizable<M: Model>(initial: M, history: &[Call<M::Op>], states_max: usize) -> Outcome {
    let mut search = Search {
        history,
        seen: HashSet::new(),
        states_max,
        order: Vec::new(),
        deepest: None,
    };
    let mut taken = Taken::new(history.len());
    match search.descend(&initial, &mut taken) {
        Step::Found => Outcome::Holds,
        Step::Dead => Outcome::Violated(search.contradiction()),
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
    /// The legal order that is being tried.
    order: Vec<usize>,
    /// The one with the most operations that returned so far, and their number.
    deepest: Option<(usize, Vec<usize>)>,
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
            self.order.push(index);
            if self.seen.insert((taken.clone(), next.clone())) {
                if self.seen.len() > self.states_max {
                    return Step::Spent;
                }
                self.note();
                match self.descend(&next, taken) {
                    Step::Dead => {}
                    decided @ (Step::Found | Step::Spent) => return decided,
                }
            }
            taken.flip(index);
            self.order.pop();
        }
        Step::Dead
    }

    fn note(&mut self) {
        let returned = |index: &&usize| self.history[**index].returned.is_some();
        let placed = self.order.iter().filter(returned).count();
        if self.deepest.as_ref().is_none_or(|(most, _)| placed > *most) {
            self.deepest = Some((placed, self.order.clone()));
        }
    }

    /// The end of the longest legal order, and the operations of which one would have to come
    /// next: one of them returned before all others that are left began.
    fn contradiction(&self) -> Contradiction {
        let (placed, order) = self.deepest.clone().unwrap_or_default();
        let left = (0..self.history.len()).filter(|index| !order.contains(index));
        let left: Vec<&Call<M::Op>> = left.map(|index| &self.history[index]).collect();
        let at = left.iter().filter_map(|call| call.returned).min();
        let at = at.unwrap_or(u64::MAX);
        let next = left.iter().filter(|call| call.invoked <= at);
        let next: Vec<String> = next.map(|call| call.told()).collect();
        let last = order[order.len().saturating_sub(TOLD_MAX)..].iter();
        let last: Vec<String> = last.map(|index| self.history[*index].told()).collect();
        let longest = match last.is_empty() {
            true => "nothing can come first".to_owned(),
            false => format!(
                "the longest with operations that returned has {placed} of them and ends with {}",
                last.join(", then ")
            ),
        };
        let text = format!(
            "no order of the {} operations is legal: {longest}; next would have to be {}",
            self.history.len(),
            next.join(", or ")
        );
        Contradiction { at, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default, PartialEq, Eq, Hash)]
    struct Register(u8);

    #[derive(Debug)]
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
            by: "bob".to_owned(),
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
        let history = [
            call(0, 1, Op::Write(1)),
            call(1_500_000_000, 2_000_000_000, Op::Read(0)),
            call(3_000_000_000, 4_000_000_000, Op::Read(1)),
        ];
        let outcome = linearizable(Register::default(), &history, 1000);
        let text = "no order of the 3 operations is legal: the longest with operations that \
                    returned has 1 of them and ends with Write(1) by bob (0s to 0.000000001s); \
                    next would have to be Read(0) by bob (1.5s to 2s)";
        let at = 2_000_000_000;
        let text = text.to_owned();
        assert_eq!(outcome, Outcome::Violated(Contradiction { at, text }));
    }

    #[test]
    fn the_order_that_is_told_has_nothing_of_those_that_were_given_up() {
        let history = [
            call(0, 9, Op::Write(1)),
            call(0, 9, Op::Write(2)),
            call(10, 11, Op::Read(1)),
            call(12, 13, Op::Read(7)),
        ];
        let Outcome::Violated(found) = linearizable(Register::default(), &history, 1000) else {
            panic!("nobody wrote 7")
        };
        let told = found.text.split(" by bob ").map(|part| {
            let from = part.rfind(' ').map_or(0, |place| place + 1);
            &part[from..]
        });
        let told: Vec<&str> = told.filter(|word| word.contains('(')).collect();
        let expected = ["Write(2)", "Write(1)", "Read(1)", "Read(7)"];
        assert_eq!(told[..4], expected, "{found}");
        assert!(found.text.contains("has 3 of them"), "{found}");
    }

    #[test]
    fn what_cannot_even_come_first_is_named() {
        let history = [call(0, 5, Op::Read(3)), call(1, 4, Op::Read(2))];
        let Outcome::Violated(found) = linearizable(Register::default(), &history, 1000) else {
            panic!("nobody wrote")
        };
        let named = ["nothing can come first", "Read(3) by bob", "Read(2) by bob"];
        let told = named.map(|part| found.text.contains(part));
        assert_eq!((told, found.at), ([true; 3], 4), "{found}");
    }

    #[test]
    fn a_write_without_an_answer_may_have_happened_or_not() {
        for seen in [0, 1] {
            let unknown = Call {
                invoked: 0,
                returned: None,
                by: "alice".to_owned(),
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
