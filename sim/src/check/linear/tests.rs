//! Small histories by hand, and random ones against the search.

use super::super::search::{Call, Model, linearizable};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn done(invoked: u64, returned: u64, value: u8, position: u64) -> Append<u8> {
    Append {
        invoked,
        value,
        answer: Answer::Done { returned, position },
    }
}

fn unknown(invoked: u64, value: u8) -> Append<u8> {
    Append {
        invoked,
        value,
        answer: Answer::Unknown,
    }
}

fn read(invoked: u64, returned: u64, end: u64, entries: &[(u64, u8)]) -> Read<u8> {
    Read {
        invoked,
        returned,
        by: "bob".to_owned(),
        from: 0,
        end,
        entries: entries.to_vec(),
    }
}

fn dense(appends: Vec<Append<u8>>, reads: Vec<Read<u8>>) -> Outcome {
    History {
        positions: Positions::Dense { first: 0 },
        appends,
        reads,
    }
    .check()
}

fn sparse(appends: Vec<Append<u8>>, reads: Vec<Read<u8>>) -> Outcome {
    History {
        positions: Positions::Sparse,
        appends,
        reads,
    }
    .check()
}

fn assert_violated(outcome: Outcome, part: &str) {
    let Outcome::Violated(found) = &outcome else {
        panic!("{outcome:?}")
    };
    assert!(found.text.contains(part), "{found}");
}

#[test]
fn positions_against_real_time() {
    assert_eq!(
        dense(vec![done(0, 9, 1, 1), done(0, 9, 2, 0)], vec![]),
        Outcome::Holds
    );
    let outcome = dense(vec![done(0, 3, 1, 1), done(4, 9, 2, 0)], vec![]);
    assert_violated(
        outcome,
        "the append of 1 (0s to 0.000000003s) at 1 stands behind the append of 2 (0.000000004s to \
         0.000000009s) at 0, which was invoked after it had returned",
    );
}

#[test]
fn a_read_that_misses_an_acknowledged_append() {
    let appends = vec![done(0, 3, 1, 5)];
    assert_violated(
        sparse(appends.clone(), vec![read(4, 6, 5, &[])]),
        "the append of 1 (0s to 0.000000003s) at 5 stands behind the read of 0..5 by bob",
    );
    assert_violated(
        sparse(appends.clone(), vec![read(4, 6, 9, &[])]),
        "read of 0..9 by bob (0.000000004s to 0.000000006s) lacks the append of 1 (0s to 0.000000003s) at 5",
    );
    assert_eq!(sparse(appends, vec![read(2, 6, 5, &[])]), Outcome::Holds);
}

#[test]
fn two_reads_that_go_back() {
    let appends = vec![unknown(0, 1)];
    let reads = vec![read(1, 2, 1, &[(0, 1)]), read(3, 4, 0, &[])];
    assert_violated(
        dense(appends, reads),
        "stands behind the read of 0..0 by bob (0.000000003s to 0.000000004s)",
    );
}

#[test]
fn one_position_two_entries_and_one_entry_two_positions() {
    assert_violated(
        sparse(vec![done(0, 1, 1, 4), done(0, 1, 2, 4)], vec![]),
        "position 4 holds the append of 1 (0s to 0.000000001s), by its answer, and the append of 2",
    );
    let reads = vec![read(0, 9, 8, &[(7, 1)])];
    assert_violated(
        sparse(vec![done(0, 1, 1, 4)], reads),
        "stands at 4, by its answer, and at 7, by a read of 0..8 by bob (0s to 0.000000009s)",
    );
}

#[test]
fn refused_and_invented_entries() {
    let refused = Append {
        invoked: 0,
        value: 1,
        answer: Answer::Refused,
    };
    assert_violated(
        sparse(vec![refused], vec![read(5, 6, 3, &[(2, 1)])]),
        "shows 1 at 2, the append of 1 (from 0s, refused)",
    );
    assert_violated(
        sparse(vec![], vec![read(5, 6, 3, &[(2, 1)])]),
        "a read of 0..3 by bob (0.000000005s to 0.000000006s) shows 1 at 2, which was never appended",
    );
}

#[test]
fn holes_need_an_append_that_came_in_time() {
    let late = vec![done(0, 3, 1, 1), unknown(4, 2)];
    assert_violated(
        dense(late, vec![]),
        "nothing can stand at 0, before the append of 1 (0s to 0.000000003s) at 1: no append",
    );
    assert_eq!(
        dense(vec![done(0, 3, 1, 1), unknown(3, 2)], vec![]),
        Outcome::Holds
    );
    assert_eq!(
        sparse(vec![done(0, 3, 1, 1), unknown(4, 2)], vec![]),
        Outcome::Holds
    );
    let huge = Read {
        invoked: 0,
        returned: 9,
        by: "bob".to_owned(),
        from: 1 << 60,
        end: 1 << 60,
        entries: vec![],
    };
    assert_violated(dense(vec![], vec![huge]), "nothing can stand at 0");
}

#[test]
fn a_contradiction_has_the_moment_at_which_the_last_operation_ended() {
    let at = |outcome| {
        let Outcome::Violated(found) = outcome else {
            panic!("{outcome:?}")
        };
        found.at
    };
    // An append behind a later one, a read that goes back, a late read of two positions.
    assert_eq!(
        at(dense(vec![done(0, 3, 1, 1), done(4, 9, 2, 0)], vec![])),
        9
    );
    let reads = vec![read(1, 2, 1, &[(0, 1)]), read(3, 4, 0, &[])];
    assert_eq!(at(dense(vec![unknown(0, 1)], reads)), 4);
    let reads = vec![read(0, 7, 8, &[(7, 1)])];
    assert_eq!(at(sparse(vec![done(0, 1, 1, 4)], reads)), 7);
}

#[test]
fn equal_values_are_not_checked() {
    let outcome = dense(vec![done(0, 1, 1, 0), unknown(0, 1)], vec![]);
    assert!(matches!(outcome, Outcome::NotChecked(_)), "{outcome:?}");
}

#[test]
fn a_long_history_is_cheap() {
    let appends = (0..200_000).map(|n| Append {
        invoked: n * 10,
        value: n,
        answer: Answer::Done {
            returned: n * 10 + 15,
            position: n,
        },
    });
    let reads = (0..200_000).map(|n| Read {
        invoked: n * 10 + 16,
        returned: n * 10 + 18,
        by: String::new(),
        from: n,
        end: n + 1,
        entries: vec![(n, n)],
    });
    let history = History {
        positions: Positions::Dense { first: 0 },
        appends: appends.collect(),
        reads: reads.collect(),
    };
    assert_eq!(history.check(), Outcome::Holds);
}

/// The log as a sequential machine: what stands where, and where the next entry may stand.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Sequential {
    dense: bool,
    end: u64,
    entries: Vec<(u64, u8)>,
}

#[derive(Clone, Debug)]
enum Op {
    /// An append; the position is `None` when the client never learned it.
    Append(u8, Option<u64>),
    Read(u64, u64, Vec<(u64, u8)>),
}

impl Model for Sequential {
    type Op = Op;

    fn apply(&mut self, op: &Op) -> bool {
        match op {
            Op::Append(value, position) => {
                let position = position.unwrap_or(self.end);
                let end = std::mem::replace(&mut self.end, position + 1);
                self.entries.push((position, *value));
                if self.dense {
                    position == end
                } else {
                    position >= end
                }
            }
            Op::Read(from, read_end, seen) => {
                let end = std::mem::replace(&mut self.end, *read_end);
                let fits = if self.dense {
                    *read_end == end
                } else {
                    *read_end >= end
                };
                let shown = self.entries.iter().filter(|(position, _)| position >= from);
                fits && shown.eq(seen.iter())
            }
        }
    }
}

fn calls(history: &History<u8>, positions: &[Option<u64>]) -> Vec<Call<Op>> {
    let appends = history
        .appends
        .iter()
        .zip(positions)
        .filter_map(|(append, position)| {
            let (returned, position) = match append.answer {
                Answer::Done { returned, position } => (Some(returned), Some(position)),
                Answer::Unknown => (None, *position),
                Answer::Refused => return None,
            };
            Some(Call {
                invoked: append.invoked,
                returned,
                by: "alice".to_owned(),
                op: Op::Append(append.value, position),
            })
        });
    let reads = history.reads.iter().map(|read| Call {
        invoked: read.invoked,
        returned: Some(read.returned),
        by: read.by.clone(),
        op: Op::Read(read.from, read.end, read.entries.clone()),
    });
    appends.chain(reads).collect()
}

/// Judges by search; in a sparse log every position that a read showed is tried for every append
/// of unknown position.
fn brute(history: &History<u8>) -> bool {
    let model = Sequential {
        dense: history.positions != Positions::Sparse,
        ..Sequential::default()
    };
    let unknown: Vec<usize> = (0..history.appends.len())
        .filter(|index| history.appends[*index].answer == Answer::Unknown)
        .collect();
    let shown = history.reads.iter().flat_map(|read| &read.entries);
    let shown: BTreeSet<u64> = shown.map(|(position, _)| *position).collect();
    let candidates: Vec<Option<u64>> = match model.dense {
        true => vec![None],
        false => shown.into_iter().map(Some).chain([None]).collect(),
    };
    (0..candidates.len().pow(unknown.len() as u32)).any(|mut choice| {
        let mut positions = vec![None; history.appends.len()];
        for index in &unknown {
            positions[*index] = candidates[choice % candidates.len()];
            choice /= candidates.len();
        }
        let outcome = linearizable(model.clone(), &calls(history, &positions), 1_000_000);
        assert!(!matches!(outcome, Outcome::NotChecked(_)));
        outcome == Outcome::Holds
    })
}

/// A history that a real log produced, some answers of which were then changed at random.
fn histories() -> impl Strategy<Value = History<u8>> {
    let op = (0u64..12, 0u64..6, 0u64..6, any::<bool>(), 0u8..8, 0u64..3);
    let ops = prop::collection::vec(op, 0..6);
    let twists = prop::collection::vec((any::<prop::sample::Index>(), 0u64..6, 0u8..4), 0..4);
    (any::<bool>(), ops, twists).prop_map(|(dense, ops, twists)| {
        let mut history = History::new(Positions::Sparse);
        let mut log: Vec<(u64, u8)> = Vec::new();
        let mut end = 0;
        let mut ops: Vec<_> = ops.into_iter().enumerate().collect();
        // Each operation takes effect at its own moment, somewhere inside its interval.
        ops.sort_by_key(|(index, op)| (op.0, *index));
        if dense {
            history.positions = Positions::Dense { first: 0 };
        }
        for (value, (moment, before, after, is_read, kind, gap)) in ops {
            let moment = moment + 6;
            let (invoked, returned) = (moment - before, moment + after);
            let gap = if dense { 0 } else { gap.min(1) };
            if is_read {
                let from = if kind == 0 { end } else { u64::from(kind) % 3 };
                let entries = log.iter().filter(|(position, _)| *position >= from);
                let entries = entries.copied().collect();
                history.reads.push(Read {
                    invoked,
                    returned,
                    by: "bob".to_owned(),
                    from,
                    end: end + gap,
                    entries,
                });
                end += gap;
                continue;
            }
            let position = end + gap;
            let answer = match kind {
                0 | 1 => Answer::Unknown,
                2 => Answer::Refused,
                _ => Answer::Done { returned, position },
            };
            if !matches!(kind, 1 | 2) {
                log.push((position, value as u8));
                end = position + 1;
            }
            history.appends.push(Append {
                invoked,
                value: value as u8,
                answer,
            });
        }
        twist(&mut history, &twists);
        history
    })
}

fn twist(history: &mut History<u8>, twists: &[(prop::sample::Index, u64, u8)]) {
    for (which, number, kind) in twists {
        let len = if kind % 2 == 0 {
            history.appends.len()
        } else {
            history.reads.len()
        };
        if len == 0 {
            continue;
        }
        let index = which.index(len);
        match kind {
            0 => history.appends[index].invoked = *number * 4,
            1 => history.reads[index].end = *number,
            2 => {
                if let Answer::Done { position, .. } = &mut history.appends[index].answer {
                    *position = *number;
                }
            }
            _ => {
                history.reads[index].entries.pop();
            }
        }
    }
    // A call returns after it began, whatever was changed.
    for append in &mut history.appends {
        if let Answer::Done { returned, .. } = &mut append.answer {
            *returned = (*returned).max(append.invoked);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_search(history in histories()) {
        let exact = history.check();
        prop_assert!(!matches!(exact, Outcome::NotChecked(_)));
        prop_assert_eq!(exact == Outcome::Holds, brute(&history), "{:?}", exact);
    }
}
