//! Deterministic simulation for any sans-IO state machine.
//!
//! A [`machine::Machine`] is stepped by a [`world::World`], which owns time, links, disks and
//! clocks. A [`scenario::Scenario`] says how a seed becomes a [`plan::Plan`] and what has to hold;
//! [`run::run`] turns a plan into a report, [`run::assert_holds`] is the body of a `#[test]`, the
//! feature `harness` makes each scenario and each kept plan a test of its own, the feature
//! `tracing` lets what machines log name the node and the simulated time, and the feature `cli`
//! adds a whole command line, which runs many seeds on all cores.
//! [`prelude`] has what a file with a machine and its scenario needs.

pub mod any;
#[cfg(feature = "cli")]
mod bench;
pub mod check;
#[cfg(feature = "cli")]
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "around runs, not inside: real files and real time"
)]
pub mod cli;
mod clock;
pub mod connection;
mod digest;
pub mod disk;
pub mod draw;
mod explain;
pub mod explore;
pub mod fault;
#[cfg(feature = "harness")]
#[allow(
    clippy::disallowed_methods,
    reason = "around runs, not inside: real files"
)]
pub mod harness;
pub mod hash;
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "around runs, not inside: threads, real files and real time"
)]
mod hold;
pub mod hook;
#[cfg(feature = "tracing")]
mod logs;
pub mod machine;
pub mod machines;
pub mod marks;
mod network;
mod node;
pub mod plan;
pub mod prelude;
mod queue;
mod quiet;
pub mod report;
pub mod run;
pub mod scenario;
mod session;
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "around runs, not inside: threads and real time"
)]
mod shrink;
mod slab;
pub mod storm;
pub mod swarm;
#[cfg(feature = "cli")]
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "around runs, not inside: threads, real files and real time"
)]
mod sweep;
pub mod time;
mod timers;
pub mod trace;
mod twice;
pub mod violation;
pub mod watch;
pub mod weather;
pub mod world;

/// The code in the README is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
