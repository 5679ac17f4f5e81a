//! One chain on one node.

pub mod role;
