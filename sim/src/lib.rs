//! Deterministic simulation for any sans-IO state machine.
