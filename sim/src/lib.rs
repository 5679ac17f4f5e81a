//! Deterministic simulation for any sans-IO state machine.

pub mod clock;
pub mod digest;
pub mod disk;
pub mod draw;
pub mod fault;
pub mod hook;
pub mod machine;
pub mod machines;
mod network;
mod queue;
mod slab;
pub mod time;
mod timers;
pub mod trace;
pub mod violation;
pub mod world;
