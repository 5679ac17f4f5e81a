//! *bounded*: every queue, table and message is within its declared limit.

use meshos_core::config::Limits;
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "bounded";

/// Something that has a declared limit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Bytes of one encoded peer message.
    MessageBytes,
    /// Rows in one heartbeat.
    Rows,
    /// Clients in a request table.
    Clients,
    /// Entries above the committed prefix of a leader.
    Uncommitted,
    /// Bytes of one payload in a log.
    EntryBytes,
    /// Bytes of payload that one read answers with, when it answers with more than one entry.
    ReadBytes,
    /// Requests of a chain that wait at a node which does not lead it.
    Requests,
    /// Bytes of entries or of a checkpoint before which heartbeats would have to wait.
    ControlBytes,
    /// Bytes of one file with entries of a chain.
    SegmentBytes,
}

/// `found` of `what` were seen.
///
/// # Errors
/// The limit is lower.
#[inline]
#[track_caller]
pub fn observe(what: Measure, found: u64, limits: &Limits) -> Result<(), Violation> {
    let limit = match what {
        Measure::MessageBytes => limits.message_bytes_max,
        Measure::Rows => limits.rows_max,
        Measure::Clients => limits.clients_max,
        // The entry that begins a leadership is appended whatever is waiting.
        Measure::Uncommitted => limits.uncommitted_max.saturating_add(UNCOMMITTED_SLACK),
        Measure::EntryBytes => limits.entry_bytes_max,
        Measure::ReadBytes => limits.read_bytes_max,
        Measure::Requests => limits.requests_max,
        Measure::ControlBytes => 0,
        // A batch that is larger than that gets a file of its own, and one message or one turn of
        // a leader, which is no larger, fills it.
        Measure::SegmentBytes => limits
            .segment_bytes_max
            .max(limits.message_bytes_max.max(limits.batch_bytes_max))
            .saturating_add(SEGMENT_SLACK),
    };
    if found <= u64::from(limit) {
        return Ok(());
    }
    let text = format!("{what:?}: {found}, and the limit is {limit}");
    Err(Violation::new(ID, text))
}

/// Heads of records, and the batch that ends a segment.
const SEGMENT_SLACK: u32 = 4_096;
/// Entries that leaderships began with and never committed.
const UNCOMMITTED_SLACK: u32 = 1_024;
