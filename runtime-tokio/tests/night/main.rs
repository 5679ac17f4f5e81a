//! What takes longer than a landing may: real processes, each on a machine of its own.
//!
//! Every test has a goal in seconds, prints what it measured, and fails when the goal is missed.
//! `.ci/night` runs them one after the other, as root in a network namespace of its own: each node
//! has a namespace and a cable to a common switch.
#![cfg(feature = "tokio")]

mod bulk;
mod failover;
mod full;
mod machines;
mod reads;

#[path = "../meshosd/common.rs"]
mod common;
