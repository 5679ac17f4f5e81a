//! Runs the MeshOS core for real.
//!
//! The [`driver`] feeds one node and performs what it orders; it needs futures and the [`ports`],
//! nothing else. Behind the feature `tokio` are the ports of a real machine and the daemon
//! `meshosd`. No decision about the cluster is taken here.

#[cfg(feature = "tokio")]
pub mod boot;
#[cfg(feature = "tokio")]
pub mod cli;
#[cfg(feature = "tokio")]
pub mod clock;
#[cfg(feature = "tokio")]
pub mod config;
#[cfg(feature = "tokio")]
pub mod control;
#[cfg(feature = "tokio")]
pub mod daemon;
#[cfg(feature = "tokio")]
pub mod directory;
pub mod driver;
pub mod inbox;
pub mod machine;
#[cfg(feature = "tokio")]
pub mod net;
#[cfg(feature = "tokio")]
pub mod open;
pub mod ports;
#[cfg(feature = "tokio")]
mod rarely;
#[cfg(feature = "tokio")]
pub mod recording;
#[cfg(feature = "tokio")]
pub mod requests;
#[cfg(feature = "tokio")]
pub mod run_error;
#[cfg(feature = "tokio")]
mod stop;
pub mod store;
#[cfg(test)]
mod store_double;
pub mod store_gauge;
pub mod store_threads;
#[cfg(feature = "tokio")]
pub mod tasks;
