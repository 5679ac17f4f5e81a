//! What a run did, for people: the lines that led to a finding.

#[cfg(feature = "cli")]
pub(crate) mod diagram;
#[cfg(feature = "cli")]
pub(crate) mod filter;
#[cfg(feature = "cli")]
pub(crate) mod page;
pub(crate) mod past;
#[cfg(feature = "cli")]
pub(crate) mod perfetto;
pub(crate) mod window;
