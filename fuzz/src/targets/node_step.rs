//! Whatever peers, stores, clients and clocks do, a node goes on within its bounds.

/// Tries one input.
///
/// # Panics
/// If the code under test breaks its word.
pub fn run(bytes: &[u8]) {
    crate::steps::run(bytes);
}
