//! Connections between nodes on loopback.
#![cfg(feature = "tokio")]

mod common;
mod connections;
mod slow;
