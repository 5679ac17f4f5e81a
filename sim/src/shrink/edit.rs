//! Changes that make a plan simpler, on the plan as a TOML table.
//!
//! A plan is a tree of tables, lists and numbers whatever the scenario puts into it, so what can be
//! left out or made smaller is found without its types. Whether the result is still a plan, and
//! whether it breaks the same property, is asked afterwards.

use toml::{Table, Value};

/// One step from a value to a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Under a key of a table.
    Key(String),
    /// At a place of a list.
    At(usize),
}

/// The way from a plan to a value in it.
pub(super) type Path = Vec<Step>;

/// A way that names one key of the plan.
pub(super) fn key(name: &str) -> Path {
    vec![Step::Key(name.to_owned())]
}

/// `path` and one step more.
pub(super) fn below(path: &[Step], step: Step) -> Path {
    let mut longer = path.to_vec();
    longer.push(step);
    longer
}

/// A change of a plan.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// A key is left out, so that its default counts.
    Omit(Path),
    /// Items of a list are left out.
    Splice {
        /// The list.
        list: Path,
        /// The first of them.
        from: usize,
        /// How many.
        count: usize,
    },
    /// Items at two places of a list are left out.
    Pair {
        /// The list.
        list: Path,
        /// The places, the smaller one first.
        places: (usize, usize),
    },
    /// A value is another one.
    Put(Path, Value),
    /// The time of an operation or a fault is a number of whole milliseconds.
    Round {
        /// The operation or fault.
        item: Path,
        /// The milliseconds.
        ms: u64,
    },
    /// The run ends earlier: what would happen after its end is left out.
    End {
        /// The end of the safety phase, in milliseconds.
        safety_ms: u64,
        /// The length of the liveness phase, in milliseconds.
        liveness_ms: u64,
    },
    /// The cluster is smaller by a node; those behind it move up.
    WithoutNode(u16),
    /// Whatever the scenario offers.
    Instead(Table),
}

impl Edit {
    /// The plan with all of `edits`; `None` where one of them changes nothing.
    pub(super) fn all(edits: &[Self], plan: &Table) -> Option<Table> {
        let mut plan = plan.clone();
        edits
            .iter()
            .all(|edit| edit.apply(&mut plan))
            .then_some(plan)
    }

    /// Changes `plan`, and says whether it did.
    fn apply(&self, plan: &mut Table) -> bool {
        match self {
            Self::Omit(path) => {
                let Some((Step::Key(key), above)) = path.split_last() else {
                    return false;
                };
                table_at(plan, above).is_some_and(|table| table.remove(key).is_some())
            }
            Self::Splice { list, from, count } => {
                let items = list_at(plan, list);
                items.is_some_and(|items| {
                    let end = (from + count).min(items.len());
                    *from < end && items.drain(*from..end).next().is_some()
                })
            }
            Self::Pair {
                list,
                places: (first, second),
            } => list_at(plan, list).is_some_and(|items| {
                let is_there = first < second && *second < items.len();
                if is_there {
                    items.remove(*second);
                    items.remove(*first);
                }
                is_there
            }),
            Self::Put(path, value) => find_mut(plan, path).is_some_and(|found| {
                let is_other = found != value;
                found.clone_from(value);
                is_other
            }),
            Self::Round { item, ms } => {
                table_at(plan, item).is_some_and(|item| set_time(item, *ms))
            }
            Self::End {
                safety_ms,
                liveness_ms,
            } => end_at(plan, *safety_ms, *liveness_ms),
            Self::WithoutNode(node) => without_node(plan, *node),
            Self::Instead(other) => {
                let is_other = plan != other;
                plan.clone_from(other);
                is_other
            }
        }
    }
}

/// The value at `path`.
pub(super) fn find<'a>(plan: &'a Table, path: &[Step]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let Step::Key(key) = first else { return None };
    rest.iter()
        .try_fold(plan.get(key)?, |value, step| match step {
            Step::Key(key) => value.as_table()?.get(key),
            Step::At(index) => value.as_array()?.get(*index),
        })
}

fn find_mut<'a>(plan: &'a mut Table, path: &[Step]) -> Option<&'a mut Value> {
    let (first, rest) = path.split_first()?;
    let Step::Key(key) = first else { return None };
    rest.iter()
        .try_fold(plan.get_mut(key)?, |value, step| match step {
            Step::Key(key) => value.as_table_mut()?.get_mut(key),
            Step::At(index) => value.as_array_mut()?.get_mut(*index),
        })
}

fn table_at<'a>(plan: &'a mut Table, path: &[Step]) -> Option<&'a mut Table> {
    match path.is_empty() {
        true => Some(plan),
        false => find_mut(plan, path)?.as_table_mut(),
    }
}

fn list_at<'a>(plan: &'a mut Table, path: &[Step]) -> Option<&'a mut Vec<Value>> {
    find_mut(plan, path)?.as_array_mut()
}

/// A number of the plan that is not negative.
pub(super) fn number(plan: &Table, key: &str) -> Option<u64> {
    u64::try_from(plan.get(key)?.as_integer()?).ok()
}

/// The keys of times, and how many nanoseconds one of each is.
const TIMES: [(&str, u64); 3] = [("at_ms", 1_000_000), ("at_us", 1_000), ("at_ns", 1)];

/// The time of an operation or a fault, in nanoseconds.
pub(super) fn time_of(item: &Value) -> Option<u64> {
    let item = item.as_table()?;
    let mut times = TIMES.iter();
    times.find_map(|(key, unit)| number(item, key)?.checked_mul(*unit))
}

fn set_time(item: &mut Table, ms: u64) -> bool {
    let Ok(ms) = i64::try_from(ms) else {
        return false;
    };
    // In the place of the old one, so that the time goes on standing first.
    let others = item.iter().filter(|(key, _)| !is_time(key));
    let others: Vec<_> = others
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if item.get("at_ms") == Some(&Value::Integer(ms)) || others.len() == item.len() {
        return false;
    }
    item.clear();
    item.insert("at_ms".to_owned(), Value::Integer(ms));
    item.extend(others);
    true
}

pub(super) fn is_time(key: &str) -> bool {
    TIMES.iter().any(|(name, _)| *name == key)
}

fn end_at(plan: &mut Table, safety_ms: u64, liveness_ms: u64) -> bool {
    let (Some(safety), Some(liveness)) = (number(plan, "safety_ms"), number(plan, "liveness_ms"))
    else {
        return false;
    };
    let is_shorter = safety_ms <= safety && liveness_ms <= liveness;
    if !is_shorter || (safety_ms, liveness_ms) == (safety, liveness) {
        return false;
    }
    for (key, ms) in [("safety_ms", safety_ms), ("liveness_ms", liveness_ms)] {
        plan.insert(key.to_owned(), Value::Integer(ms as i64));
    }
    for (list, end_ms) in [("faults", safety_ms), ("ops", safety_ms + liveness_ms)] {
        if let Some(items) = list_at(plan, &key(list)) {
            items.retain(|item| time_of(item).is_none_or(|at| at <= end_ms * 1_000_000));
        }
    }
    true
}

/// Takes a node out of everything that the engine knows to name one; what a scenario's own part
/// says of nodes, the scenario judges.
fn without_node(plan: &mut Table, node: u16) -> bool {
    let (gone, Some(nodes)) = (i64::from(node), number(plan, "nodes")) else {
        return false;
    };
    if nodes < 2 || u64::from(node) >= nodes {
        return false;
    }
    plan.insert("nodes".to_owned(), Value::Integer(nodes as i64 - 1));
    if let Some(rates) = list_at(plan, &key("clock_ppm"))
        && usize::from(node) < rates.len()
    {
        rates.remove(usize::from(node));
    }
    for list in ["absent", "core"] {
        if let Some(nodes) = list_at(plan, &key(list)) {
            renumber(nodes, gone);
        }
    }
    for list in ["ops", "faults", "matrix"] {
        if let Some(items) = list_at(plan, &key(list)) {
            items.retain_mut(|item| item.as_table_mut().is_none_or(|item| moved_up(item, gone)));
        }
    }
    true
}

/// Whether an operation, fault or link still means something without node `gone`.
fn moved_up(item: &mut Table, gone: i64) -> bool {
    for name in ["node", "from", "to"] {
        match item.get_mut(name) {
            Some(Value::Integer(node)) if *node == gone => return false,
            Some(Value::Integer(node)) => *node -= i64::from(*node > gone),
            // A link of the matrix names many, and none means all.
            Some(Value::Array(nodes)) if !nodes.is_empty() => {
                renumber(nodes, gone);
                if nodes.is_empty() {
                    return false;
                }
            }
            Some(_) | None => {}
        }
    }
    if let Some(Value::Array(groups)) = item.get_mut("groups") {
        groups
            .iter_mut()
            .filter_map(Value::as_array_mut)
            .for_each(|group| renumber(group, gone));
        groups.retain(|group| group.as_array().is_none_or(|group| !group.is_empty()));
    }
    true
}

fn renumber(nodes: &mut Vec<Value>, gone: i64) {
    nodes.retain(|node| node.as_integer() != Some(gone));
    for node in nodes {
        if let Value::Integer(node) = node {
            *node -= i64::from(*node > gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Table {
        text.parse().expect("it is TOML")
    }

    fn edited(edit: Edit, text: &str) -> Option<String> {
        Edit::all(&[edit], &plan(text)).map(|plan| plan.to_string())
    }

    const PLAN: &str = "seed = 3\nnodes = 4\nsafety_ms = 900\nliveness_ms = 100\ncore = [0, 2, 3]\n\
        absent = [2, 3]\nclock_ppm = [5, 6, 7, 8]\n\
        ops = [{ at_ms = 5, node = 2, op = 1 }, { at_us = 600500, node = 3, op = { bytes = 7 } }]\n\
        faults = [{ at_ms = 500, kind = \"partition\", groups = [[2], [1, 3]] },\n\
        { at_ms = 700, kind = \"cut\", from = 1, to = 2 }]\n";

    #[test]
    fn an_edit_that_changes_nothing_says_so() {
        let nothing = [
            Edit::Omit(key("matrix")),
            Edit::Splice {
                list: key("ops"),
                from: 2,
                count: 1,
            },
            Edit::Pair {
                list: key("ops"),
                places: (1, 2),
            },
            Edit::Put(key("seed"), Value::Integer(3)),
            Edit::Round {
                item: below(&key("ops"), Step::At(0)),
                ms: 5,
            },
            Edit::End {
                safety_ms: 901,
                liveness_ms: 0,
            },
            Edit::WithoutNode(4),
            Edit::Instead(plan(PLAN)),
        ];
        for edit in nothing {
            assert_eq!(edited(edit.clone(), PLAN), None, "{edit:?}");
        }
    }

    #[test]
    fn what_happens_after_the_end_goes_with_it() {
        let edit = Edit::End {
            safety_ms: 600,
            liveness_ms: 0,
        };
        let plan = Edit::all(&[edit], &plan(PLAN)).expect("it is shorter");
        assert_eq!(
            find(&plan, &key("ops"))
                .and_then(Value::as_array)
                .map(Vec::len),
            Some(1)
        );
        assert_eq!(
            find(&plan, &key("faults"))
                .and_then(Value::as_array)
                .map(Vec::len),
            Some(1)
        );
        assert_eq!(
            (number(&plan, "safety_ms"), number(&plan, "liveness_ms")),
            (Some(600), Some(0))
        );
    }

    #[test]
    fn a_node_goes_with_all_that_names_it_and_the_others_move_up() {
        let plan = Edit::all(&[Edit::WithoutNode(2)], &plan(PLAN)).expect("there is such a node");
        let expected = "seed = 3\nnodes = 3\nsafety_ms = 900\nliveness_ms = 100\ncore = [0, 2]\n\
            absent = [2]\nclock_ppm = [5, 6, 8]\n\
            ops = [{ at_us = 600500, node = 2, op = { bytes = 7 } }]\n\
            faults = [{ at_ms = 500, kind = \"partition\", groups = [[1, 2]] }]\n";
        assert_eq!(plan, self::plan(expected));
    }

    #[test]
    fn a_rounded_time_stands_where_the_old_one_stood() {
        let item = below(&key("ops"), Step::At(1));
        let plan = Edit::all(
            &[Edit::Round {
                item: item.clone(),
                ms: 600,
            }],
            &plan(PLAN),
        );
        let plan = plan.expect("it was not round");
        let item = find(&plan, &item)
            .and_then(Value::as_table)
            .expect("it is there");
        assert_eq!(item.keys().collect::<Vec<_>>(), ["at_ms", "node", "op"]);
        assert_eq!(time_of(&Value::Table(item.clone())), Some(600_000_000));
    }

    #[test]
    fn pairs_and_runs_of_items_go() {
        let text = "faults = [0, 1, 2, 3]\ncfg = { a = 1 }\n";
        let list = key("faults");
        let pair = Edit::Pair {
            list: list.clone(),
            places: (0, 2),
        };
        let runs = Edit::Splice {
            list,
            from: 2,
            count: 5,
        };
        let omit = Edit::Omit(below(&key("cfg"), Step::Key("a".to_owned())));
        let told = |edit| edited(edit, text).expect("it changes something");
        assert!(told(pair).starts_with("faults = [1, 3]"));
        assert!(told(runs).starts_with("faults = [0, 1]"));
        assert_eq!(
            told(omit).parse::<Table>(),
            Ok(plan("faults = [0, 1, 2, 3]\n[cfg]\n"))
        );
    }
}
