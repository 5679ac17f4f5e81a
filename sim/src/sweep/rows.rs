//! What a sweep knows, by scenario and stripe.
//!
//! Everything that is told of a sweep is a sum over stripes, so it is the same whatever ran
//! where and when: a sweep that goes on later, and results of shards that are put together, take
//! the same stripes and get the same sum. A stripe that did not run to its end counts for nothing but the
//! violations that it found.

use super::bucket::Buckets;
use super::stripes::{Item, Stripes};
use super::tally::Tally;
use crate::report::{Finding, Report};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// What a sweep knows.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    stripes: Stripes,
    columns: Vec<Column>,
}

/// What it knows of one scenario.
#[derive(Clone, Debug)]
struct Column {
    scenario: Arc<str>,
    complete: BTreeMap<u64, Tally>,
    /// Stripes that are running, or were when the sweep ended.
    open: BTreeMap<u64, Tally>,
    /// What stripes found that an earlier sweep did not complete.
    told: BTreeMap<u64, Buckets>,
}

impl Rows {
    /// Nothing yet.
    pub(crate) fn new<'a>(stripes: Stripes, scenarios: impl Iterator<Item = &'a str>) -> Self {
        let columns = scenarios.map(|scenario| Column {
            scenario: scenario.into(),
            complete: BTreeMap::new(),
            open: BTreeMap::new(),
            told: BTreeMap::new(),
        });
        Self {
            stripes,
            columns: columns.collect(),
        }
    }

    /// The stripes of the whole sweep.
    pub(crate) const fn stripes(&self) -> &Stripes {
        &self.stripes
    }

    /// Takes in a run that ended.
    pub(super) fn add(&mut self, item: Item, report: Report) {
        let length = self.stripes.length(item.stripe);
        let tally = self.open(item);
        tally.add(item.seed, report);
        if tally.seeds == length {
            let column = &mut self.columns[item.scenario];
            if let Some(tally) = column.open.remove(&item.stripe) {
                column.insert(item.stripe, tally);
            }
        }
    }

    /// Takes in a run that will not end; its stripe will not be complete.
    pub(super) fn fail(&mut self, item: Item, finding: Finding) {
        self.open(item).fail(item.seed, finding);
    }

    fn open(&mut self, item: Item) -> &mut Tally {
        let seeds = self.stripes.seeds().count();
        let Column { scenario, open, .. } = &mut self.columns[item.scenario];
        let tally = open.entry(item.stripe);
        tally.or_insert_with(|| Tally::new(scenario, seeds))
    }

    /// Takes in a stripe that was complete elsewhere.
    pub(crate) fn insert(&mut self, scenario: usize, stripe: u64, tally: Tally) {
        self.columns[scenario].insert(stripe, tally);
    }

    /// Takes in what a stripe found that was not completed elsewhere.
    pub(crate) fn tell(&mut self, scenario: usize, stripe: u64, found: &Buckets) {
        let column = &mut self.columns[scenario];
        if !column.complete.contains_key(&stripe) {
            column.told.entry(stripe).or_default().unite(found);
        }
    }

    /// Whether all seeds of a stripe ran.
    pub(crate) fn is_done(&self, scenario: usize, stripe: u64) -> bool {
        self.columns[scenario].complete.contains_key(&stripe)
    }

    /// Whether all seeds of all stripes ran.
    pub(crate) fn is_complete(&self) -> bool {
        let count = self.stripes.count();
        let mut columns = self.columns.iter();
        columns.all(|column| column.complete.len() as u64 == count)
    }

    /// The complete stripes, by scenario.
    pub(crate) fn complete(&self) -> impl Iterator<Item = (usize, u64, &Tally)> {
        let columns = self.columns.iter().enumerate();
        columns.flat_map(|(scenario, column)| {
            let complete = column.complete.iter();
            complete.map(move |(stripe, tally)| (scenario, *stripe, tally))
        })
    }

    /// What stripes found that are not complete, by scenario.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = (usize, u64, Buckets)> {
        let columns = self.columns.iter().enumerate();
        columns.flat_map(|(scenario, column)| {
            let unfinished = column.unfinished();
            unfinished.map(move |(stripe, found)| (scenario, stripe, found))
        })
    }

    /// The stripes of a scenario that are not complete, those in a row together.
    pub(crate) fn missing(&self, scenario: usize) -> Vec<Range<u64>> {
        let mut missing: Vec<Range<u64>> = Vec::new();
        for stripe in (0..self.stripes.count()).filter(|stripe| !self.is_done(scenario, *stripe)) {
            match missing.last_mut() {
                Some(last) if last.end == stripe => last.end += 1,
                _ => missing.push(stripe..stripe + 1),
            }
        }
        missing
    }

    /// For each scenario the sum over all seeds that ran.
    pub(crate) fn all(&self) -> Vec<Tally> {
        self.sums(|column, sum| {
            for (stripe, tally) in &column.open {
                let mut tally = tally.clone();
                if let Some(told) = column.told.get(stripe) {
                    tally.buckets.unite(told);
                }
                sum.join(&tally);
            }
            let told = column.told.iter();
            let told = told.filter(|(stripe, _)| !column.open.contains_key(stripe));
            told.for_each(|(_, found)| sum.buckets.join(found));
        })
    }

    /// For each scenario the sum over complete stripes, and what the others found.
    pub(crate) fn kept(&self) -> Vec<Tally> {
        self.sums(|column, sum| {
            let found = column.unfinished();
            found.for_each(|(_, found)| sum.buckets.join(&found));
        })
    }

    fn sums(&self, rest: impl Fn(&Column, &mut Tally)) -> Vec<Tally> {
        let seeds = self.stripes.seeds().count();
        let sum = |column: &Column| {
            let mut sum = Tally::new(&column.scenario, seeds);
            let complete = column.complete.values();
            complete.for_each(|tally| sum.join(tally));
            rest(column, &mut sum);
            sum
        };
        self.columns.iter().map(sum).collect()
    }
}

impl Column {
    fn insert(&mut self, stripe: u64, tally: Tally) {
        self.told.remove(&stripe);
        self.complete.insert(stripe, tally);
    }

    fn unfinished(&self) -> impl Iterator<Item = (u64, Buckets)> {
        let stripes: BTreeSet<u64> = self.open.keys().chain(self.told.keys()).copied().collect();
        let found = stripes.into_iter().map(|stripe| {
            let own = self.open.get(&stripe).map(|tally| tally.buckets.clone());
            let mut found = own.unwrap_or_default();
            if let Some(told) = self.told.get(&stripe) {
                found.unite(told);
            }
            (stripe, found)
        });
        found.filter(|(_, found)| found.iter().next().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::super::seeds::Seeds;
    use super::*;
    use proptest::prelude::*;

    /// Stripes of two seeds.
    fn rows() -> Rows {
        let seeds = Seeds::Range {
            first: 0,
            count: 2_000,
        };
        Rows::new(Stripes::new(seeds), ["one", "other"].into_iter())
    }

    fn item(seed: u64) -> Item {
        Item {
            scenario: 1,
            stripe: seed / 2,
            seed,
        }
    }

    fn missing(rows: &Rows) -> Vec<(u64, u64)> {
        let missing = rows.missing(1).into_iter();
        missing
            .map(|stripes| (stripes.start, stripes.end))
            .collect()
    }

    /// What a seed does: every third one breaks something.
    fn report(seed: u64) -> Report {
        let broken = || Finding::new("a", seed.to_string());
        Report {
            finding: seed.is_multiple_of(3).then(broken),
            digest: seed * 7,
            steps: seed,
            ..Report::default()
        }
    }

    proptest! {
        #[test]
        fn the_sum_is_that_of_the_seeds_in_any_order(
            seeds in Just((0..40).collect::<Vec<u64>>()).prop_shuffle()
        ) {
            let (mut ordered, mut shuffled) = (rows(), rows());
            (0..40).for_each(|seed| ordered.add(item(seed), report(seed)));
            seeds.iter().for_each(|seed| shuffled.add(item(*seed), report(*seed)));
            prop_assert_eq!(ordered.all(), shuffled.all());
            prop_assert_eq!(ordered.kept(), shuffled.all());
            prop_assert_eq!(missing(&ordered), [(20, 1_000)]);
        }
    }

    #[test]
    fn of_a_stripe_that_is_not_complete_only_violations_are_kept() {
        let mut first = rows();
        for seed in [0, 1, 2, 6] {
            first.add(item(seed), report(seed));
        }
        let sums = |tallies: Vec<Tally>| (tallies[1].seeds, tallies[1].steps, tallies[1].failed());
        assert_eq!(sums(first.all()), (4, 9, 2));
        assert_eq!(sums(first.kept()), (2, 1, 2));
        assert_eq!(missing(&first), [(1, 1_000)]);
        let unfinished: Vec<_> = first.unfinished().collect();
        let [(1, 3, found)] = &unfinished[..] else {
            panic!("the stripe of seed 6 found something: {unfinished:?}");
        };
        // Elsewhere it counts once, until the stripe is complete.
        let mut later = rows();
        later.tell(1, 3, found);
        later.tell(1, 3, found);
        assert_eq!(sums(later.all()), (0, 0, 1));
        later.add(item(6), report(6));
        assert_eq!(sums(later.all()), (1, 6, 1));
        assert_eq!(sums(later.kept()), (0, 0, 1));
        later.add(item(7), report(7));
        assert!(later.unfinished().next().is_none());
        later.tell(1, 3, found);
        assert_eq!(sums(later.kept()), (2, 13, 1));
    }
}
