//! The sum over some seeds of one scenario.

use super::bucket::Buckets;
use super::digests::Digests;
use crate::check::obligation;
use crate::report::{Finding, Report};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Names that the code gave, or a result that was read.
pub(crate) type Name = Cow<'static, str>;

/// For each property with a monitor, how often its obligations were armed and met.
pub(crate) type Duties = BTreeMap<Name, obligation::Tally>;

/// The sum over some seeds of one scenario; all of it but the digests needs no memory for a seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tally {
    /// The scenario's name.
    pub scenario: Arc<str>,
    /// Seeds that ran.
    pub seeds: u64,
    /// Steps of all seeds.
    pub steps: u64,
    /// Simulated time of all seeds.
    #[serde(rename = "simulated_ns", with = "nanos")]
    pub simulated: Duration,
    /// The longest time that a seed took to converge.
    #[serde(rename = "converged_ns_max", with = "nanos::optional")]
    pub converged_max: Option<Duration>,
    /// Violations by property and site.
    #[serde(rename = "violations")]
    pub buckets: Buckets,
    /// For each mark, the number of seeds that hit it.
    pub marks: BTreeMap<Name, u64>,
    /// Faults that were applied in all seeds.
    pub faults: u64,
    /// How many of them changed nothing.
    pub faults_inert: u64,
    /// What was owed, and what came true.
    pub obligations: Duties,
    /// For each reason, the number of seeds with a check that could not decide.
    pub not_checked: BTreeMap<String, u64>,
    /// The digests of all seeds that ran to their end.
    pub digests: Digests,
}

impl Tally {
    /// Nothing yet, of a sweep of so many seeds.
    pub(super) fn new(scenario: &Arc<str>, seeds_all: u64) -> Self {
        Self {
            scenario: Arc::clone(scenario),
            seeds: 0,
            steps: 0,
            simulated: Duration::ZERO,
            converged_max: None,
            buckets: Buckets::default(),
            marks: BTreeMap::new(),
            faults: 0,
            faults_inert: 0,
            obligations: Duties::new(),
            not_checked: BTreeMap::new(),
            digests: Digests::new(seeds_all),
        }
    }

    /// Takes in a seed that ran.
    pub(super) fn add(&mut self, seed: u64, report: Report) {
        self.steps += report.steps;
        self.simulated += report.simulated;
        self.faults += report.faults;
        self.faults_inert += report.faults_inert;
        self.converged_max = self.converged_max.max(report.converged_after);
        for mark in report.marks.into_keys() {
            *self.marks.entry(Name::Borrowed(mark)).or_default() += 1;
        }
        for (property, tally) in report.obligations {
            let property = Name::Borrowed(property);
            self.obligations.entry(property).or_default().add(tally);
        }
        for reason in report.not_checked {
            *self.not_checked.entry(reason).or_default() += 1;
        }
        self.digests.add(seed, report.digest);
        match report.finding {
            Some(finding) => self.fail(seed, finding),
            None => self.seeds += 1,
        }
    }

    /// Takes in a seed in which a property broke.
    pub(super) fn fail(&mut self, seed: u64, finding: Finding) {
        self.seeds += 1;
        self.buckets.add(seed, finding);
    }

    /// Takes in the sum over other seeds.
    pub(super) fn join(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.simulated += other.simulated;
        self.converged_max = self.converged_max.max(other.converged_max);
        self.buckets.join(&other.buckets);
        self.faults += other.faults;
        self.faults_inert += other.faults_inert;
        for (mark, count) in &other.marks {
            *self.marks.entry(mark.clone()).or_default() += count;
        }
        for (property, tally) in &other.obligations {
            let own = self.obligations.entry(property.clone()).or_default();
            own.add(*tally);
        }
        for (reason, count) in &other.not_checked {
            *self.not_checked.entry(reason.clone()).or_default() += count;
        }
        self.digests.join(&other.digests);
    }

    /// Seeds in which a property broke.
    pub(crate) fn failed(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }
}

/// Durations as whole nanoseconds.
mod nanos {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use std::time::Duration;

    fn of(span: Duration) -> u64 {
        u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(of(*span))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_nanos)
    }

    pub(super) mod optional {
        use super::{Deserializer, Duration, Serializer, of};
        use serde::{Deserialize as _, Serialize as _};

        pub(in super::super) fn serialize<S: Serializer>(
            span: &Option<Duration>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            span.map(of).serialize(to)
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Duration>, D::Error> {
            Option::<u64>::deserialize(from).map(|nanos| nanos.map(Duration::from_nanos))
        }
    }
}
