//! How far a search goes.

/// What bounds a search; `None` bounds nothing.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// Most choices of one run.
    pub depth: Option<u32>,
    /// Most states that are told apart.
    pub states: Option<u32>,
    /// Most bytes of memory.
    pub memory: Option<u64>,
    /// Crashes of one run.
    pub crashes: u8,
    /// Deadlines that are reached in one run.
    pub timeouts: Option<u8>,
    /// How many of them while something else is under way: a message, an answer of a disk.
    pub early: Option<u8>,
    /// Messages of one run that are lost.
    pub losses: u8,
    /// Messages of one run that arrive once more.
    pub duplicates: u8,
}

/// What of the budgets one run has spent; what has no bound is not counted.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) crashes: u8,
    pub(super) timeouts: u8,
    pub(super) early: u8,
    pub(super) losses: u8,
    pub(super) duplicates: u8,
}

impl Spent {
    /// Spends a deadline that is reached, early or not; `None` if the budgets do not allow it.
    pub(super) fn expire(self, budgets: &Budgets, is_early: bool) -> Option<Self> {
        let one = |spent: u8, budget: Option<u8>| match budget {
            None => Some(spent),
            Some(budget) => (spent < budget).then(|| spent + 1),
        };
        let early = match is_early {
            true => one(self.early, budgets.early)?,
            false => self.early,
        };
        Some(Self {
            timeouts: one(self.timeouts, budgets.timeouts)?,
            early,
            ..self
        })
    }

    /// One word that tells it from any other.
    pub(super) fn word(self) -> u64 {
        let Self {
            crashes,
            timeouts,
            early,
            losses,
            duplicates,
        } = self;
        let bytes = [crashes, timeouts, early, losses, duplicates, 0, 0, 0];
        u64::from_le_bytes(bytes)
    }
}
