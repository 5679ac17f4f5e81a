//! Chains as data: entries, checkpoints, orders to the store, and the bytes they become.

pub mod boots;
pub mod checkpoint;
pub mod clients;
pub mod entry;
mod fields;
pub mod files;
pub mod identity;
mod layout;
pub mod order;
pub mod payload;
pub mod peers;
pub mod read;
pub mod record;
pub mod recording;
pub mod recover;
pub mod segment;
pub mod store;
pub mod vote;

#[cfg(test)]
mod tests;
