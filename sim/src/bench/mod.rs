//! Fixed workloads, each beside a yardstick that does the same work without the engine.
//!
//! A figure without a yardstick says more about the computer than about the code, so ratios are
//! what counts. The command line measures them; see [`w1::workloads`].

pub(crate) mod w1;
pub(crate) mod workload;
mod yardstick;

#[cfg(test)]
mod tests;
