//! *commit-stable*: the set of committed entries of a chain instance only grows; within one
//! incarnation a replica's commit never goes back; what a node calls committed is committed; no
//! cut or reset removes a committed entry, but one that a majority without this replica stores where
//! a checkpoint is to replace the whole log.
//!
//! What a store has taken down as committed a restart knows again, as far as the entries are
//! there, though no peer is there to say so.
//!
//! Committed is what a leader declared of its own epoch while a majority of the founding
//! replicas held it durably. Nobody but that leader may be the first to say so.

use super::replica_state::ReplicaState;
use super::truth::{Truth, Walk};
use meshos_core::chain::entry::LogPosition;
use meshos_core::id::Seq;
use meshos_core::replica::role::Role;
use meshos_sim::violation::Violation;

/// Id of the property.
pub const ID: &str = "commit-stable";

/// A replica raised its commit to `tip`, the end of a prefix of its log.
///
/// `durable` holds what each founding replica had made durable; a store that was wiped counts
/// with what it held. Returns the positions that are committed by this.
///
/// # Errors
/// It contradicts what is committed, or nothing of the kind is.
pub fn observe(
    truth: &mut Truth,
    replica: &ReplicaState,
    tip: LogPosition,
    durable: &[LogPosition],
) -> Result<std::ops::Range<u64>, Violation> {
    let committed = truth.committed();
    if tip.end <= committed.end {
        let known = truth.committed_tip(tip.end);
        if known.is_some_and(|known| known.hash != tip.hash) {
            let text = format!("what ends at {} is not what is committed there", tip.end);
            return Err(Violation::new(ID, text));
        }
        return Ok(committed.end.get()..committed.end.get());
    }
    let leads = replica.role == Role::Leader;
    if !leads || tip.epoch.n != replica.epoch.n {
        let text = format!(
            "{:?} of epoch {} calls an entry of epoch {} committed up to {}, and no leader of \
             that epoch had",
            replica.role, replica.epoch, tip.epoch, tip.end
        );
        return Err(Violation::new(ID, text));
    }
    let holds = |held: &&LogPosition| truth.holds(**held, tip) != Some(false);
    let holders = durable.iter().filter(holds).count();
    if holders < durable.len() / 2 + 1 {
        let text = format!(
            "committed up to {} in epoch {} with {holders} of {} durable copies",
            tip.end,
            replica.epoch,
            durable.len()
        );
        return Err(Violation::new(ID, text));
    }
    truth.commit(tip).ok_or_else(|| {
        let text = format!(
            "the log committed up to {} does not continue the prefix committed up to {}",
            tip.end, committed.end
        );
        Violation::new(ID, text)
    })
}

/// A replica's commit or log changed within one run. `durable` holds what each founding replica has
/// made durable, this one what it has left.
///
/// # Errors
/// Commit went back, or a committed entry was dropped.
pub fn kept(
    truth: &Truth,
    before: &ReplicaState,
    after: &ReplicaState,
    durable: &[LogPosition],
) -> Result<(), Violation> {
    if after.commit < before.commit {
        let text = format!(
            "commit went back from {} to {}",
            before.commit, after.commit
        );
        return Err(Violation::new(ID, text));
    }
    if after.truncations == before.truncations {
        return Ok(());
    }
    let agreed = truth.agreed(before.tip);
    if agreed <= after.floor.end {
        return Ok(());
    }
    let still = after.tip.end >= agreed
        && match truth.walk(after.tip, agreed) {
            Walk::LogPosition(tip) => truth
                .committed_tip(agreed)
                .is_none_or(|committed| committed.hash == tip.hash),
            Walk::Lost => true,
        };
    let is_spare = after.resetting
        && truth.committed_tip(agreed).is_some_and(|tip| {
            let holds = |held: &&LogPosition| truth.holds(**held, tip) != Some(false);
            durable.iter().filter(holds).count() > durable.len() / 2
        });
    if still || is_spare {
        return Ok(());
    }
    let text = format!(
        "a cut to {} removed committed entries up to {agreed}",
        after.tip.end
    );
    Err(Violation::new(ID, text))
}

/// A crash left `found` of what a store had taken down as committed.
///
/// # Errors
/// It is less than that.
pub fn survived(stored: Seq, found: Seq) -> Result<(), Violation> {
    if found >= stored {
        return Ok(());
    }
    let text = format!("{stored} was stored as committed, and a crash left {found}");
    Err(Violation::new(ID, text))
}

/// A run starts with this commit on a log of which everything below `known` is known, on a store
/// that had taken down `stored` as committed.
///
/// # Errors
/// It knows less than its store.
pub fn restarted(stored: Seq, known: Seq, commit: Seq) -> Result<(), Violation> {
    if commit >= stored.min(known) {
        return Ok(());
    }
    let text = format!("a run starts with commit {commit}, and {stored} was stored as committed");
    Err(Violation::new(ID, text))
}
