//! *rate-limits*: over any window of length w, the first one included, a run sends at most
//! rate * (w + 1.5 s) bytes of entries, but for what its largest single request has above that.
//!
//! The check is that bound turned into a bucket: it holds 1.5 s worth of the rate, is full at the
//! start, and only a request that finds it full may leave it in debt.

use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "rate-limits";

/// What one run of a node may still send; one token is a billionth of a byte.
#[derive(Copy, Clone, Debug, Default)]
pub struct Budget {
    rate: i128,
    level: i128,
    at: u64,
}

impl Budget {
    /// A full budget at `now` nanoseconds of the node's own clock.
    pub fn new(rate_bytes_per_s: u64, now: u64) -> Self {
        let rate = i128::from(rate_bytes_per_s.max(1));
        Self {
            rate,
            level: capacity(rate),
            at: now,
        }
    }

    /// `bytes` of entries leave at `now`.
    ///
    /// # Errors
    /// The budget does not allow it.
    pub fn observe(&mut self, bytes: u64, now: u64) -> Result<(), Violation> {
        if bytes == 0 {
            return Ok(());
        }
        let capacity = capacity(self.rate);
        let gained = self.rate * i128::from(now.saturating_sub(self.at));
        self.at = now;
        let before = (self.level + gained).min(capacity);
        self.level = before - i128::from(bytes) * 1_000_000_000;
        if self.level < 0 && before < capacity {
            let text = format!(
                "{bytes} bytes of entries leave with a budget of {} bytes",
                before / 1_000_000_000
            );
            return Err(Violation::new(ID, text));
        }
        Ok(())
    }
}

const fn capacity(rate: i128) -> i128 {
    rate * 1_500_000_000
}
