//! Runs the MeshOS core for real.
//!
//! The [`driver`] feeds one node and performs what it orders; it needs futures and the [`ports`],
//! nothing else. Behind the feature `tokio` are the ports of a real machine and the daemon
//! `meshosd`. No decision about the cluster is taken here.

pub mod driver;
pub mod inbox;
pub mod machine;
pub mod ports;
