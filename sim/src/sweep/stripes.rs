//! How seeds are dealt out.
//!
//! The seeds of a sweep are cut into at most a thousand stripes of consecutive seeds; where the cuts are
//! depends on the seeds alone. A shard owns every N-th stripe, so that shards cost about the
//! same even when the seeds at one end cost more, and a result knows which stripes it has.

use super::seeds::Seeds;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// The seeds of a sweep, cut into stripes of equal length; the last one may be shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stripes {
    seeds: Seeds,
    length: u64,
}

/// One part of a sweep, of so many.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// From one on.
    number: u64,
    of: u64,
}

/// A run of a sweep: a scenario by index, and a seed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) scenario: usize,
    pub(crate) stripe: u64,
    pub(crate) seed: u64,
}

/// All runs that a sweep makes, in the order in which they are taken.
#[derive(Debug)]
pub(crate) struct Deal {
    stripes: Stripes,
    units: Vec<Unit>,
    runs: u64,
}

/// A stripe, and the scenarios that run its seeds by turns.
#[derive(Debug)]
struct Unit {
    /// The number of its first run.
    start: u64,
    stripe: u64,
    scenarios: Vec<usize>,
}

/// A stripe costs memory and a place in results, whatever the number of seeds.
const STRIPES_MAX: u64 = 1_000;

impl Stripes {
    /// Cuts seeds into stripes.
    pub(crate) fn new(seeds: Seeds) -> Self {
        let length = seeds.count().div_ceil(STRIPES_MAX).max(1);
        Self { seeds, length }
    }

    /// All seeds.
    pub(crate) const fn seeds(&self) -> &Seeds {
        &self.seeds
    }

    /// How many stripes there are.
    pub(crate) fn count(&self) -> u64 {
        self.seeds.count().div_ceil(self.length)
    }

    /// The seeds of some stripes in a row, by their places among all seeds.
    fn places(&self, stripes: Range<u64>) -> Range<u64> {
        let end = (stripes.end * self.length).min(self.seeds.count());
        stripes.start * self.length..end
    }

    /// How many seeds a stripe has.
    pub(crate) fn length(&self, stripe: u64) -> u64 {
        let places = self.places(stripe..stripe + 1);
        places.end - places.start
    }

    /// The seeds of some stripes in a row.
    pub(crate) fn part(&self, stripes: Range<u64>) -> Seeds {
        self.seeds.part(self.places(stripes))
    }
}

impl Shard {
    /// The only part there is.
    pub(crate) const WHOLE: Self = Self { number: 1, of: 1 };

    /// Part `number`, from one on, of so many; `None` if there is no such part.
    pub(crate) fn new(number: u64, of: u64) -> Option<Self> {
        (1..=of).contains(&number).then_some(Self { number, of })
    }

    /// Whether there is no other part.
    pub(crate) const fn is_whole(self) -> bool {
        self.of == 1
    }

    const fn owns(self, stripe: u64) -> bool {
        stripe % self.of == self.number - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let numbers = parts.and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        let shard = numbers.and_then(|(number, of)| Self::new(number, of));
        shard.ok_or_else(|| format!("found `{text}`, expected K/N with K from 1 to N"))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Deal {
    /// The runs of a shard, without the stripes of scenarios that ran already.
    pub(crate) fn new(
        stripes: Stripes,
        shard: Shard,
        scenarios: usize,
        is_done: impl Fn(usize, u64) -> bool,
    ) -> Self {
        let (mut units, mut runs) = (Vec::new(), 0);
        for stripe in (0..stripes.count()).filter(|stripe| shard.owns(*stripe)) {
            let left = (0..scenarios).filter(|scenario| !is_done(*scenario, stripe));
            let unit = Unit {
                start: runs,
                stripe,
                scenarios: left.collect(),
            };
            runs += stripes.length(stripe) * unit.scenarios.len() as u64;
            if !unit.scenarios.is_empty() {
                units.push(unit);
            }
        }
        Self {
            stripes,
            units,
            runs,
        }
    }

    /// How many runs there are.
    pub(crate) const fn runs(&self) -> u64 {
        self.runs
    }

    /// The first seed of the whole sweep.
    pub(crate) fn first_seed(&self) -> u64 {
        self.stripes.seeds.nth(0)
    }

    /// Run number `index`; `None` behind the last one.
    ///
    /// Scenarios take turns with each seed, so a sweep that is cut short has run about equally many
    /// of each.
    pub(crate) fn item(&self, index: u64) -> Option<Item> {
        if index >= self.runs {
            return None;
        }
        let behind = self.units.partition_point(|unit| unit.start <= index);
        let unit = self.units.get(behind.checked_sub(1)?)?;
        let (index, count) = (index - unit.start, unit.scenarios.len() as u64);
        let place = self.stripes.places(unit.stripe..unit.stripe + 1).start + index / count;
        Some(Item {
            scenario: unit.scenarios[(index % count) as usize],
            stripe: unit.stripe,
            seed: self.stripes.seeds.nth(place),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripes(first: u64, count: u64) -> Stripes {
        Stripes::new(Seeds::Range { first, count })
    }

    fn items(deal: &Deal) -> Vec<(usize, u64)> {
        let items = (0..).map_while(|index| deal.item(index));
        items.map(|item| (item.scenario, item.seed)).collect()
    }

    #[test]
    fn few_seeds_are_stripes_of_one_and_many_are_a_thousand() {
        assert_eq!((stripes(5, 7).count(), stripes(5, 7).length(6)), (7, 1));
        assert_eq!(stripes(0, 1_000).count(), 1_000);
        let many = stripes(0, 10_000_001);
        assert_eq!((many.count(), many.length(0)), (1_000, 10_001));
        assert_eq!(many.length(999), 10_000_001 - 999 * 10_001);
        assert_eq!(
            many.part(1..3),
            Seeds::Range {
                first: 10_001,
                count: 20_002
            }
        );
        let list = Stripes::new(Seeds::List(vec![3, 7, 9]));
        assert_eq!(list.part(1..3), Seeds::List(vec![7, 9]));
    }

    #[test]
    fn shards_run_every_seed_once_and_about_equally_many() {
        let stripes = stripes(3, 2_345);
        let nothing = |_, _| false;
        let mut all = Vec::new();
        for number in 1..=7 {
            let shard = Shard::new(number, 7).expect("there is one");
            let part = items(&Deal::new(stripes.clone(), shard, 2, nothing));
            assert!((660..=680).contains(&part.len()), "{}", part.len());
            all.extend(part);
        }
        all.sort_by_key(|(scenario, seed)| (*seed, *scenario));
        let whole = Deal::new(stripes, Shard::WHOLE, 2, nothing);
        assert_eq!(items(&whole), all);
        assert_eq!(whole.runs(), 2 * 2_345);
    }

    #[test]
    fn what_is_done_is_not_dealt_out_again() {
        let done = |scenario, stripe| (scenario, stripe) == (0, 1) || stripe == 2;
        let deal = Deal::new(stripes(10, 4), Shard::WHOLE, 2, done);
        let expected = [(0, 10), (1, 10), (1, 11), (0, 13), (1, 13)];
        assert_eq!(items(&deal), expected);
        assert_eq!(deal.runs(), 5);
    }

    #[test]
    fn a_shard_is_a_part_that_there_is() {
        assert_eq!(
            "3/7".parse::<Shard>().map(|shard| shard.to_string()),
            Ok("3/7".to_owned())
        );
        for text in ["0/7", "8/7", "7", "1/0", "a/b", "1/2/3"] {
            let problem = text.parse::<Shard>().expect_err("no part");
            assert_eq!(
                problem,
                format!("found `{text}`, expected K/N with K from 1 to N")
            );
        }
    }
}
