//! Copies of a world: going back in time is going on with an earlier copy.

use super::World;
use crate::hook::Schedule;
use crate::machine::{Machine, Outbox};

/// A snapshot: the copy goes on exactly as the original would.
impl<M: Machine + Clone> Clone for World<M> {
    fn clone(&self) -> Self {
        let mut schedule = Schedule::new();
        schedule.traced = self.schedule.traced;
        Self {
            now: self.now,
            steps: self.steps,
            steps_max: self.steps_max,
            instant_steps: self.instant_steps,
            instant_steps_max: self.instant_steps_max,
            digest: self.digest,
            draw: self.draw,
            queue: self.queue.clone(),
            timers: self.timers.clone(),
            hosts: self.hosts.clone(),
            network: self.network.clone(),
            letters: self.letters.clone(),
            ops: self.ops.clone(),
            faults: self.faults.clone(),
            effects: self.effects.clone(),
            alarms: self.alarms.clone(),
            held: self.held.clone(),
            numbered: self.numbered,
            // Both are empty between events.
            out: Outbox::new(),
            schedule,
            configs: self.configs.clone(),
            weather: self.weather,
            disk_us: self.disk_us,
            wall_ms: self.wall_ms,
            seed: self.seed,
            codec: self.codec,
            acting: self.acting,
            trace: self.trace.clone(),
        }
    }
}

impl<M: Machine> core::fmt::Debug for World<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .field("seed", &self.seed)
            .field("steps", &self.steps)
            .field("nodes", &self.hosts.len())
            .field("footprint", &self.footprint())
            .finish_non_exhaustive()
    }
}
