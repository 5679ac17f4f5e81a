//! Every decision of MeshOS as one sans-IO state machine.
//!
//! A run is a list of `(Instant, Event)`; [`node::Node::step`] turns each into [`action::Action`]s.
//! This crate owns no clock, socket, disk, thread or entropy.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod action;
pub mod bandwidth;
pub mod chain;
pub mod client;
pub mod config;
pub mod count;
mod deadline;
pub mod event;
pub mod hash;
pub mod hello;
pub mod id;
pub mod liveness;
pub mod message;
pub mod node;
pub mod replay;
pub mod replica;
mod rng;
pub mod time;
mod turns;
mod window;
pub mod wire;
