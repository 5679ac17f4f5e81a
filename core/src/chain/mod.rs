//! Chains as data: entries, checkpoints, orders to the store, and the bytes they become.

pub mod clients;
pub mod entry;
pub mod order;
pub mod payload;
