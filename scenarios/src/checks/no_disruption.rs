//! *no-disruption*: while a leader has live contact to M voters, no message of a non-voter or of
//! a minority changes the chain's epoch.
//!
//! An epoch begins with a candidate that binds itself, which takes the consent of a majority
//! (tallied in `amnesia`); and no voter consents while it hears a live leader, unless that leader
//! itself asked for the transfer. Both together leave a minority without any effect.

use meshos_core::id::NodeId;
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "no-disruption";

/// What a voter had heard of its leader before the step in which it consents.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The leader that it follows.
    pub leader: NodeId,
    /// The number of the epoch in which it follows.
    pub n: u64,
    /// The number of the epoch that the leader last claimed in a row, while it claims to lead.
    pub claimed: Option<u64>,
    /// Nanoseconds of the voter's clock since the leader's last heartbeat arrived.
    pub silence: u64,
}

/// A voter consents to `candidate`, whose request is not a transfer.
///
/// # Errors
/// It hears a live leader.
pub fn observe(heard: Heard, suspicion: u64, candidate: NodeId) -> Result<(), Violation> {
    let is_live = heard.claimed == Some(heard.n) && heard.silence < suspicion;
    if is_live && heard.leader != candidate {
        let Heard {
            leader, n, silence, ..
        } = heard;
        let text = format!(
            "a voter consents to node {candidate} though it heard node {leader}, which leads \
             epoch {n}, {} ms ago",
            silence / 1_000_000
        );
        return Err(Violation::new(ID, text));
    }
    Ok(())
}
