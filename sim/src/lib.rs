//! Deterministic simulation for any sans-IO state machine.

pub mod any;
pub mod bench;
pub mod check;
#[cfg(feature = "cli")]
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "around runs, not inside: real files and real time"
)]
pub mod cli;
pub mod clock;
pub mod digest;
pub mod disk;
pub mod draw;
pub mod fault;
pub mod hook;
pub mod machine;
pub mod machines;
pub mod marks;
mod network;
pub mod plan;
pub mod queue;
mod quiet;
pub mod report;
pub mod run;
pub mod scenario;
mod slab;
pub mod storm;
pub mod swarm;
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "around runs, not inside: threads, real files and real time"
)]
pub mod sweep;
pub mod time;
mod timers;
pub mod trace;
pub mod violation;
pub mod world;
