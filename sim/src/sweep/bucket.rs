//! Violations of one cause, told once.
//!
//! A bug that many seeds find is one bug: findings are put together by property and site (and, as
//! a tally belongs to one scenario, by scenario), and the smallest seed stands for the rest.

use crate::node::NodeIndex;
use crate::report::{Finding, Found};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The findings of one scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Written>", into = "Vec<Written>")]
pub(crate) struct Buckets(BTreeMap<(String, String), Bucket>);

/// Findings of one property at one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// The smallest seed that found it.
    pub seed: u64,
    /// What that seed found.
    pub finding: Finding,
    /// Number of seeds that found it.
    pub count: u64,
}

impl Buckets {
    /// Takes in what one more seed found.
    pub(crate) fn add(&mut self, seed: u64, finding: Finding) {
        let count = 1;
        self.put(
            Bucket {
                seed,
                finding,
                count,
            },
            |own, other| own + other,
        );
    }

    /// Takes in what other seeds found.
    pub(crate) fn join(&mut self, other: &Self) {
        for bucket in other.iter() {
            self.put(bucket.clone(), |own, other| own + other);
        }
    }

    /// Takes in what a part of the same seeds found, here or elsewhere.
    pub(crate) fn unite(&mut self, other: &Self) {
        for bucket in other.iter() {
            self.put(bucket.clone(), u64::max);
        }
    }

    fn put(&mut self, bucket: Bucket, count: impl Fn(u64, u64) -> u64) {
        let finding = &bucket.finding;
        let key = (finding.property.clone(), finding.site.clone());
        match self.0.get_mut(&key) {
            None => {
                self.0.insert(key, bucket);
            }
            Some(own) => {
                let count = count(own.count, bucket.count);
                if bucket.seed < own.seed {
                    *own = bucket;
                }
                own.count = count;
            }
        }
    }

    /// All buckets by property, then site.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bucket> {
        self.0.values()
    }
}

/// A bucket in a file. Stacks are left out: they are asked for anew.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    seed: u64,
    count: u64,
    property: String,
    site: String,
    node: Option<NodeIndex>,
    at_ns: u64,
    found: Part,
    message: String,
    input: Option<Box<str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Running,
    Converging,
    Finished,
}

impl From<Buckets> for Vec<Written> {
    fn from(buckets: Buckets) -> Self {
        let written = |Bucket {
                           seed,
                           finding,
                           count,
                       }| Written {
            seed,
            count,
            property: finding.property,
            site: finding.site,
            node: finding.node,
            at_ns: finding.at.as_nanos(),
            found: match finding.found {
                Found::Running => Part::Running,
                Found::Converging => Part::Converging,
                Found::Finished => Part::Finished,
            },
            message: finding.message,
            input: finding.input,
        };
        buckets.0.into_values().map(written).collect()
    }
}

impl From<Vec<Written>> for Buckets {
    fn from(written: Vec<Written>) -> Self {
        let mut buckets = Self::default();
        for one in written {
            let finding = Finding {
                site: one.site,
                node: one.node,
                at: Instant::from_nanos(one.at_ns),
                found: match one.found {
                    Part::Running => Found::Running,
                    Part::Converging => Found::Converging,
                    Part::Finished => Found::Finished,
                },
                input: one.input,
                ..Finding::new(one.property, one.message)
            };
            let (seed, count) = (one.seed, one.count);
            buckets.put(
                Bucket {
                    seed,
                    finding,
                    count,
                },
                |own, other| own + other,
            );
        }
        buckets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::violation::Violation;

    fn finding(property: &str, site: &str, message: &str) -> Finding {
        let site = site.into();
        Finding {
            site,
            ..Finding::new(property, message)
        }
    }

    /// A check that finds two defects of one property by way of one function.
    fn check(number: u64) -> Result<(), Violation> {
        #[track_caller]
        fn broken(detail: &str) -> Result<(), Violation> {
            Err(Violation::new("a", detail))
        }
        match number {
            0 => broken("too few"),
            1 => broken("too many"),
            2 => Err("none").map_err(|detail| Violation::new("a", detail).named("none")),
            _ => Err("all").map_err(|detail| Violation::new("a", detail).named("all")),
        }
    }

    #[test]
    fn two_defects_of_one_property_are_two_buckets() {
        let mut buckets = Buckets::default();
        for seed in 0..8 {
            let violation = check(seed % 4).expect_err("it is broken");
            buckets.add(seed, finding("a", &violation.place(), &violation.detail));
        }
        let mut all: Vec<_> = buckets
            .iter()
            .map(|b| (b.count, &*b.finding.message))
            .collect();
        all.sort_unstable();
        assert_eq!(
            all,
            [(2, "all"), (2, "none"), (2, "too few"), (2, "too many")]
        );
    }

    #[test]
    fn parts_of_the_same_seeds_are_not_counted_twice() {
        let buckets = |seeds: &[u64]| {
            let mut buckets = Buckets::default();
            for seed in seeds {
                buckets.add(*seed, finding("a", "x", &seed.to_string()));
            }
            buckets
        };
        let (some, others) = (buckets(&[4, 9]), buckets(&[6, 7, 9]));
        let (mut one, mut other) = (some.clone(), others.clone());
        one.unite(&others);
        other.unite(&some);
        assert_eq!(one, other);
        one.unite(&some);
        assert_eq!(one, other);
        let smallest = one.iter().next().expect("it was added");
        assert_eq!((smallest.seed, smallest.count), (4, 3));
        assert_eq!(smallest.finding.message, "4");
    }

    #[test]
    fn what_was_written_is_read() {
        let mut buckets = Buckets::default();
        let one = Finding {
            node: Some(NodeIndex(2)),
            at: Instant::from_nanos(u64::MAX),
            found: Found::Converging,
            input: Some("wake".into()),
            ..finding("a", "x", "\"quoted\"")
        };
        buckets.add(7, one);
        buckets.add(8, finding("b", "", ""));
        let text = serde_json::to_string(&buckets).expect("it can be written");
        let read: Buckets = serde_json::from_str(&text).expect("it can be read");
        assert_eq!(read, buckets);
    }

    #[test]
    fn the_smallest_seed_stands_for_its_bucket() {
        let mut buckets = Buckets::default();
        buckets.add(9, finding("a", "x", "nine"));
        buckets.add(4, finding("a", "x", "four"));
        buckets.add(6, finding("a", "x", "six"));
        buckets.add(5, finding("a", "y", "five"));
        let all: Vec<_> = buckets
            .iter()
            .map(|b| (b.seed, b.count, &*b.finding.message))
            .collect();
        assert_eq!(all, [(4, 3, "four"), (5, 1, "five")]);
    }
}
