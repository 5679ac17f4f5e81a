//! Violations of one cause, told once.
//!
//! A bug that many seeds find is one bug: findings are put together by property and site (and, as
//! a tally belongs to one scenario, by scenario), and the smallest seed stands for the rest.

use crate::report::Finding;
use std::collections::BTreeMap;

/// The findings of one scenario.
#[derive(Clone, Debug, Default)]
pub struct Buckets(BTreeMap<(String, String), Bucket>);

/// Findings of one property at one site.
#[derive(Clone, Debug)]
pub struct Bucket {
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
    pub fn iter(&self) -> impl Iterator<Item = &Bucket> {
        self.0.values()
    }

    /// True when nothing broke.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(property: &str, site: &str, message: &str) -> Finding {
        let at = crate::time::Instant::ZERO;
        let (property, site, message) = (property.into(), site.into(), message.into());
        Finding {
            property,
            site,
            node: None,
            at,
            message,
        }
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
