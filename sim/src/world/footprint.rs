//! How much a world holds.

use super::World;
use crate::connection::Streams;
use crate::machine::Machine;

/// What a world holds at the moment; flat over time unless the machines let it grow.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Events to come, deadlines apart.
    pub events: usize,
    /// Places for events.
    pub events_capacity: usize,
    /// Messages, operations, faults and alarms to come.
    pub stored: usize,
    /// The most of them at one time.
    pub stored_capacity: usize,
    /// What waits on clogged links, for paused nodes and for disks.
    pub waiting: usize,
    /// Entries of tables that faults fill.
    pub tables: usize,
    /// Bytes on all disks.
    pub disk_bytes: u64,
    /// Operations on all disks that are not synced.
    pub disk_unsynced: usize,
}

impl<M: Machine> World<M> {
    /// Sizes of all containers.
    pub fn footprint(&self) -> Footprint {
        let stored = self.letters.len() + self.ops.len() + self.faults.len() + self.alarms.len();
        let drives = || self.hosts.iter().map(|host| &*host.drive);
        let streams = self.network.streams.as_deref();
        let parked: usize = drives()
            .map(|drive| drive.parked.len() + drive.batches.len())
            .sum();
        Footprint {
            events: self.queue.len(),
            events_capacity: self.queue.capacity(),
            stored,
            stored_capacity: self.letters.high_water()
                + self.ops.high_water()
                + self.faults.high_water()
                + self.alarms.high_water(),
            waiting: self.held.len() + parked + streams.map_or(0, Streams::waiting),
            tables: self.network.tables_len(),
            disk_bytes: drives().map(|drive| drive.disk.size()).sum(),
            disk_unsynced: drives().map(|drive| drive.disk.unsynced()).sum(),
        }
    }
}
