//! What a file with a machine and its scenario needs.

pub use crate::disk::{Disk, DiskError, FileOp};
pub use crate::fault::{Fault, Unsynced};
pub use crate::hash::stable_hash;
pub use crate::hook::{Hook, Schedule, Step};
pub use crate::machine::{Boot, Effect, Input, Machine, Message, NodeIndex, Outbox};
pub use crate::marks::Mark;
pub use crate::plan::{InvalidPlan, Nothing, Plan};
pub use crate::reached;
pub use crate::run::{assert_holds, first_violation, run};
pub use crate::scenario::{Blocked, NotChecked, PlanOf, Scenario};
pub use crate::storm::Family;
pub use crate::swarm::{Draw, Swarm};
pub use crate::time::{Instant, Now};
pub use crate::violation::Violation;
pub use crate::weather::Weather;
pub use crate::world::{View, World};
pub use std::time::Duration;
