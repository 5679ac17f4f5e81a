//! What a run did, for people: the lines that led to a finding.

pub(crate) mod past;
pub(crate) mod window;
