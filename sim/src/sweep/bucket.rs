//! Violations of one cause, told once.
//!
//! A bug that many seeds find is one bug: findings are put together by property and site (and, as
//! a tally belongs to one scenario, by scenario), and the smallest seed stands for the rest.

use crate::report::Finding;
use std::collections::BTreeMap;

/// The findings of one scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buckets(BTreeMap<(String, String), Bucket>);

/// Findings of one property at one site.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// The smallest seed that found it.
    pub seed: u64,
    /// What that seed found.
    pub finding: Finding,
    /// Number of seeds that found it.
    pub count: u64,
}

impl Buckets {
    pub(crate) fn add(&mut self, seed: u64, finding: Finding) {
        let key = (finding.property.clone(), finding.site.clone());
        match self.0.get_mut(&key) {
            None => {
                self.0.insert(
                    key,
                    Bucket {
                        seed,
                        finding,
                        count: 1,
                    },
                );
            }
            Some(bucket) => {
                bucket.count += 1;
                if seed < bucket.seed {
                    *bucket = Bucket {
                        seed,
                        finding,
                        count: bucket.count,
                    };
                }
            }
        }
    }

    /// All buckets by property, then site.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bucket> {
        self.0.values()
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
