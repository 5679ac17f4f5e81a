//! The changes that are tried, in groups.

use super::Search;
use super::edit::{Edit, Path, Step, below, find, is_time, key, number, time_of};
use crate::report::Found;
use toml::Value;

/// A group of changes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    End,
    Whole,
    Faults,
    Ops,
    Nodes,
    Scenario,
    Values,
    Times,
}

impl Pass {
    /// All, in the order in which they help most.
    pub(super) const ALL: [Self; 8] = [
        Self::End,
        Self::Whole,
        Self::Faults,
        Self::Ops,
        Self::Nodes,
        Self::Scenario,
        Self::Values,
        Self::Times,
    ];

    /// In a word, for a progress bar.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Whole => "weather",
            Self::Faults => "faults",
            Self::Ops => "operations",
            Self::Nodes => "nodes",
            Self::Scenario => "scenario",
            Self::Values => "values",
            Self::Times => "times",
        }
    }
}

/// Keys of a plan that have a default, and that other changes do not make smaller.
const OPTIONAL: [&str; 11] = [
    "weather",
    "matrix",
    "connections",
    "codec",
    "disk_us",
    "wall_ms",
    "absent",
    "clock_ppm",
    "origin_ms_max",
    "keep",
    "core",
];
/// Up to this many items, any two are tried together.
const PAIRS_MAX: usize = 12;
/// Keys whose numbers name something, so that no number is simpler than another.
const NAMES: [&str; 6] = ["node", "from", "to", "groups", "nodes", "message"];

impl Search<'_> {
    pub(super) fn run(&mut self, pass: Pass) {
        match pass {
            Pass::End => self.cut_end(),
            Pass::Whole => self.leave_out_wholes(),
            Pass::Faults => self.thin_out(&key("faults")),
            Pass::Ops => self.thin_out(&key("ops")),
            Pass::Nodes => self.take_nodes(),
            Pass::Scenario => self.ask_scenario(),
            Pass::Values => ["cfg", "ops", "faults", "matrix", "weather", "connections"]
                .into_iter()
                .for_each(|name| self.simplify(&key(name))),
            Pass::Times => self.round_times(),
        }
    }

    /// Ends the run with what it found, or as early as it still finds it.
    fn cut_end(&mut self) {
        let (Some(safety), Some(liveness)) = (
            number(&self.plan, "safety_ms"),
            number(&self.plan, "liveness_ms"),
        ) else {
            return;
        };
        let end = |safety_ms, liveness_ms| Edit::End {
            safety_ms,
            liveness_ms,
        };
        let parts = |safety: u64| [safety / 8, safety / 4, safety / 2, safety - safety / 4];
        if self.goal.is_converging() {
            let earlier = parts(safety).map(|safety_ms| end(safety_ms, liveness));
            self.take_first(earlier.to_vec());
            return;
        }
        let finding = self.report.finding.as_ref();
        let at_ms = finding.map_or(0, |finding| finding.at.as_nanos().div_ceil(1_000_000));
        if finding.is_some_and(|finding| finding.found == Found::Running) {
            // What is found in the liveness phase ends the run there, whatever its bound; a shorter
            // one would ask a mended machine to converge in less time than it needs.
            if at_ms <= safety {
                self.take_first(vec![end(at_ms, 0), end(safety, 0)]);
            }
            return;
        }
        self.take_first(vec![end(safety, 0)]);
        while let Some(safety) = number(&self.plan, "safety_ms") {
            let liveness = number(&self.plan, "liveness_ms").unwrap_or_default();
            let earlier = parts(safety).map(|safety_ms| end(safety_ms, liveness));
            if self.take_first(earlier.to_vec()).is_none() {
                return;
            }
        }
    }

    /// Leaves out what is a part of its own.
    fn leave_out_wholes(&mut self) {
        for list in ["faults", "ops"] {
            let count = self.length(&key(list));
            if count > 0 {
                self.take_first(vec![Edit::Splice {
                    list: key(list),
                    from: 0,
                    count,
                }]);
            }
        }
        for name in OPTIONAL {
            self.take_first(vec![Edit::Omit(key(name))]);
        }
    }

    /// Leaves items out of a list, in halves, then in smaller parts, then one by one.
    fn thin_out(&mut self, list: &Path) {
        let mut count = self.length(list).div_ceil(2);
        while count > 0 {
            let mut from = 0;
            loop {
                let places = (from..self.length(list)).step_by(count);
                let places: Vec<_> = places
                    .filter(|from| self.may_go(list, *from, count))
                    .collect();
                let splice = |from| Edit::Splice {
                    list: list.clone(),
                    from,
                    count,
                };
                let edits = places.iter().copied().map(splice).collect();
                match self.take_first(edits) {
                    // Those before it stay; what moved into its place is tried next.
                    Some(index) => from = places[index],
                    None => break,
                }
            }
            count /= 2;
        }
        let length = self.length(list);
        if length <= PAIRS_MAX {
            let pair = |first, second| Edit::Pair {
                list: list.clone(),
                places: (first, second),
            };
            let pairs = (0..length)
                .flat_map(|first| (first + 1..length).map(move |second| (first, second)))
                .filter(|(first, second)| {
                    self.may_go(list, *first, 1) && self.may_go(list, *second, 1)
                })
                .map(|(first, second)| pair(first, second));
            self.take_first(pairs.collect());
        }
    }

    fn length(&self, list: &[Step]) -> usize {
        let items = find(&self.plan, list).and_then(Value::as_array);
        items.map_or(0, Vec::len)
    }

    /// Whether items of a list may be left out: not what ends a fault that would otherwise stay
    /// for the liveness phase and keep a sound cluster from converging.
    fn may_go(&self, list: &[Step], from: usize, count: usize) -> bool {
        if !self.goal.is_converging() || self.length(&key("keep")) == 0 || list != key("faults") {
            return true;
        }
        let items = find(&self.plan, list).and_then(Value::as_array);
        let mut items = items.into_iter().flatten().skip(from).take(count);
        !items.any(|item| {
            let kind = item.get("kind").and_then(Value::as_str);
            kind.is_some_and(|kind| STAYING.contains(&kind))
        })
    }

    fn take_nodes(&mut self) {
        loop {
            let nodes = number(&self.plan, "nodes").unwrap_or_default() as u16;
            let core = find(&self.plan, &key("core")).and_then(Value::as_array);
            let core: Vec<_> = core.into_iter().flatten().map(Value::as_integer).collect();
            // A core that loses a node may be too small to converge.
            let may_go = |node: &u16| {
                !self.goal.is_converging()
                    || !core.is_empty() && !core.contains(&Some(i64::from(*node)))
            };
            let all = (0..nodes).rev().filter(may_go).map(Edit::WithoutNode);
            if self.take_first(all.collect()).is_none() {
                return;
            }
        }
    }

    fn ask_scenario(&mut self) {
        loop {
            let simpler = self.trial.simpler(&self.plan).into_iter();
            if self
                .take_first(simpler.map(Edit::Instead).collect())
                .is_none()
            {
                return;
            }
        }
    }

    /// Brings the value at `path` and all in it to what is simpler.
    fn simplify(&mut self, path: &Path) {
        let Some(value) = find(&self.plan, path).cloned() else {
            return;
        };
        match value {
            Value::Table(table) => {
                let parts = table.keys().filter(|part| !is_time(part));
                for part in parts {
                    let part = below(path, Step::Key(part.clone()));
                    if self.take_first(vec![Edit::Omit(part.clone())]).is_none() {
                        self.simplify(&part);
                    }
                }
            }
            Value::Array(_) => {
                let is_named = matches!(path.last(), Some(Step::Key(name)) if is_name(name));
                if is_named {
                    return;
                }
                self.thin_out(path);
                for index in 0..self.length(path) {
                    self.simplify(&below(path, Step::At(index)));
                }
            }
            Value::Boolean(true) => {
                self.take_first(vec![Edit::Put(path.clone(), Value::Boolean(false))]);
            }
            Value::Integer(number) => self.lower(path, number),
            Value::Boolean(false) | Value::String(_) | Value::Float(_) | Value::Datetime(_) => {}
        }
    }

    /// Makes a number smaller, or rounder.
    fn lower(&mut self, path: &Path, mut number: i64) {
        let is_named = matches!(path.last(), Some(Step::Key(name)) if is_name(name));
        // A bound that nobody can keep to would be no finding.
        while !is_named && !self.goal.is_converging() {
            let simpler = simpler_numbers(number);
            let put = |number: &i64| Edit::Put(path.clone(), Value::Integer(*number));
            match self.take_first(simpler.iter().map(put).collect()) {
                Some(index) => number = simpler[index],
                None => return,
            }
        }
    }

    fn round_times(&mut self) {
        for list in ["faults", "ops"] {
            for index in 0..self.length(&key(list)) {
                let item = below(&key(list), Step::At(index));
                let Some(at) = find(&self.plan, &item).and_then(time_of) else {
                    continue;
                };
                let round = |ms| Edit::Round {
                    item: item.clone(),
                    ms,
                };
                let rounder = rounder_times(at).into_iter().map(round);
                self.take_first(rounder.collect());
            }
        }
    }
}

/// Faults that may stay for the liveness phase, or end one that would.
const STAYING: [&str; 6] = [
    "mend",
    "heal",
    "weather",
    "disk_latency",
    "clock_rate",
    "recover",
];

fn is_name(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Numbers that are simpler, the simplest first: nearer to zero, or with fewer digits that are not.
fn simpler_numbers(number: i64) -> Vec<i64> {
    let leading = |digits| {
        let size = number.unsigned_abs();
        let scale = 10u64.pow(size.checked_ilog10().unwrap_or(0).saturating_sub(digits));
        (size / scale * scale) as i64 * number.signum()
    };
    let all = [0, number.signum(), number / 2, leading(0), leading(1)];
    let mut simpler = Vec::new();
    for other in all {
        let is_nearer = other.unsigned_abs() < number.unsigned_abs();
        if is_nearer && !simpler.contains(&other) {
            simpler.push(other);
        }
    }
    simpler
}

/// Times near `at` that are rounder, in milliseconds, the roundest first.
fn rounder_times(at: u64) -> Vec<u64> {
    let mut rounder = Vec::new();
    for unit_ms in [1_000, 100, 10, 1] {
        let unit = unit_ms * 1_000_000;
        if at.is_multiple_of(unit) {
            break;
        }
        rounder.push(at / unit * unit_ms);
        rounder.push(at.div_ceil(unit) * unit_ms);
    }
    rounder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simpler_numbers_come_to_an_end() {
        assert!(simpler_numbers(0).is_empty());
        assert_eq!(simpler_numbers(1), [0]);
        assert_eq!(simpler_numbers(-1_234), [0, -1, -617, -1_000, -1_200]);
        assert_eq!(simpler_numbers(1_000), [0, 1, 500]);
        assert!(
            simpler_numbers(i64::MIN)
                .iter()
                .all(|number| *number > i64::MIN)
        );
    }

    #[test]
    fn round_times_are_left_alone() {
        assert!(rounder_times(3_000_000_000).is_empty());
        assert_eq!(rounder_times(3_100_000_000), [3_000, 4_000]);
        let all = [3_000, 4_000, 3_100, 3_200, 3_120, 3_130, 3_123, 3_124];
        assert_eq!(rounder_times(3_123_400_000), all);
    }
}
