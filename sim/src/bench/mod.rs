//! Fixed workloads, each beside a yardstick that does the same work without the engine.
//!
//! A figure without a yardstick says more about the computer than about the code, so ratios are
//! what counts. The command line measures them; see [`w1::workloads`].

pub mod w1;
#[cfg(any(test, feature = "cli"))]
mod yardstick;

#[cfg(test)]
mod tests;
