//! What a run did, for people: the lines that led to a finding.

#[cfg(feature = "cli")]
pub(crate) mod filter;
pub(crate) mod past;
pub(crate) mod window;
