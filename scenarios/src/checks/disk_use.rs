//! *disk-use*: what a log takes of a disk follows what it retains, whatever the limit of its files.

use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "disk-use";

/// Bytes of the records of a log: payloads, and what is around each.
pub const fn of_records(entries: u64, payload_bytes: u64) -> u64 {
    payload_bytes.saturating_add(entries.saturating_mul(RECORD_HEAD))
}

/// The files of a node's logs take `found` bytes. `most` is what the records of each log took when it
/// retained most.
///
/// # Errors
/// It is more than twice that, and one shortest file for each: the first file of a log has at most a
/// quarter of what was retained when it was written, and what retention drops goes with it.
#[track_caller]
pub fn observe(found: u64, most: impl IntoIterator<Item = u64>) -> Result<(), Violation> {
    let each = most
        .into_iter()
        .map(|most| most.saturating_mul(2) + SHORTEST);
    let limit = each.sum();
    if found <= limit {
        return Ok(());
    }
    let text = format!("logs take {found} bytes, and {limit} are enough for all they retained");
    Err(Violation::new(ID, text))
}

/// Head, seal and padding of a record with its share of a batch.
const RECORD_HEAD: u64 = 256;
/// The length up to which a file always grows, with its header and the batch that ends it.
const SHORTEST: u64 = (64 << 10) + 4_096;
