//! A fixed amount of work, and what it is compared with.

use std::time::Duration;

/// What a workload did.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Steps, the unit of the comparison.
    pub steps: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Runs.
    pub seeds: u64,
}

/// A fixed amount of work.
pub struct Workload {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) work: Box<dyn Fn() -> Measure>,
    pub(crate) yardstick: Option<Yardstick>,
}

pub(crate) struct Yardstick {
    pub(crate) name: &'static str,
    pub(crate) work: Box<dyn Fn() -> Measure>,
    pub(crate) floor_permille: u64,
}

impl std::fmt::Debug for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workload")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Workload {
    /// A workload without a yardstick.
    pub fn new(
        name: &'static str,
        about: &'static str,
        work: impl Fn() -> Measure + 'static,
    ) -> Self {
        Self {
            name,
            about,
            work: Box::new(work),
            yardstick: None,
        }
    }

    /// Compares it with `work`; the ratio should be at least `floor_permille` of a thousand.
    #[must_use]
    pub fn yardstick(
        mut self,
        name: &'static str,
        floor_permille: u64,
        work: impl Fn() -> Measure + 'static,
    ) -> Self {
        self.yardstick = Some(Yardstick {
            name,
            work: Box::new(work),
            floor_permille,
        });
        self
    }
}
