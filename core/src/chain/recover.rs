//! From the bytes of a store back to chains (*recover*, *durable-tail*, *gap-free*, *amnesia*).
//!
//! Recovery is a pure function over the files. It never invents and never drops: bytes behind
//! the last sealed batch that do not read are torn and are cut; damage inside the sealed part
//! leaves *unknown* positions that keep their place until a peer repairs them (D13f). What it
//! cannot explain at all it leaves untouched, and reports the replica as wiped.
//!
//! Recovery names everything that has to be made durable before the node may speak
//! ([`Recovered::repairs`]). A crash anywhere in it leaves a store that recovers to the same.

mod assemble;
mod chain;
mod log;
mod settle;

use super::boots::Boots;
pub use super::files::{Damage, Files};
use super::peers::{self, PeerMemory};
use super::record::{Salt, Unreadable};
use super::store::{
    FileName, FileOp, Identity, Layout, Named, Part, StoreLimits, identity_name, peers_name,
    write_identity,
};
use super::vote::{self, Booted, Counted, Place};
use crate::event::Boot;
use crate::id::{ChainId, FormatNonce, Gen, RunNonce};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;

/// A store as recovery found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Whose store it is.
    pub identity: Identity,
    /// Which formatting of the store it is.
    pub format: FormatNonce,
    /// Its boots, the one that begins here included.
    pub boots: Boots,
    /// What earlier runs learned of the stores of peers.
    pub peers: PeerMemory,
    /// What the node starts from; its incarnation is already raised.
    pub boot: Boot,
    /// Plans the operations of this run.
    pub layout: Layout,
    /// What has to be performed, in order, before the first step.
    pub repairs: Vec<FileOp>,
    /// What is not as it was written.
    pub damage: Vec<Damage>,
    /// The torn ends that a crash left, which is normal; nothing in them was reported durable.
    pub torn: Vec<Damage>,
}

/// Why a directory is not a store that a node can start on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// It has no identity: it was never formatted, or formatting was interrupted.
    #[error("there is no store here: expected the files identity.a and identity.b")]
    Unformatted,
    /// Neither place of the identity is readable.
    #[error("the identity of the store is lost: {a}; {b}")]
    Identity {
        /// The first place.
        a: Damage,
        /// The second place.
        b: Damage,
    },
}

/// The files of one chain.
#[derive(Clone, Debug, Default)]
struct Parts<'a> {
    votes: [Option<&'a Bytes>; 2],
    checkpoints: [Option<&'a Bytes>; 2],
    segments: BTreeMap<u64, (&'a FileName, &'a Bytes)>,
    repairs: Option<&'a Bytes>,
    drafts: Vec<FileName>,
}

/// Recovers a store from the bytes of its files for the run `run`. Files with foreign names are
/// ignored.
///
/// # Errors
/// When the files are no store that a node can start on.
pub fn recover(
    files: &Files,
    limits: &StoreLimits,
    run: RunNonce,
) -> Result<Recovered, RecoverError> {
    let (mut damage, mut torn) = (Vec::new(), Vec::new());
    let (place, counted) = identity(files, &mut damage)?;
    let booted = Booted {
        identity: counted.value.identity,
        format: counted.value.format,
        boots: counted.value.boots.with(run),
    };
    // The place that holds the newest record is overwritten last, and nothing before that record
    // is durable: when the process died and the machine did not, it may only be in memory yet.
    let newest = identity_name(place);
    let mut repairs = alloc::vec![FileOp::Sync { file: newest }, FileOp::SyncDir];
    for place in [place.other(), place] {
        write_identity(&mut repairs, place, counted.counter + 1, &booted);
    }
    let mut peers = peers::read(files, &booted.identity, &mut damage);
    if !peers.is_empty() {
        let places = [peers_name(Place::A), peers_name(Place::B)];
        let there = places.into_iter().filter(|file| files.contains_key(file));
        repairs.extend(there.map(|file| FileOp::Sync { file }));
        repairs.extend(peers.write(&booted.identity));
    }
    // Names may only be in memory yet, when the process died and the machine did not. Nothing
    // is removed for the sake of a file whose name could still be lost.
    repairs.push(FileOp::SyncDir);
    let mut layout = Layout {
        identity: booted.identity,
        limits: *limits,
        chains: BTreeMap::new(),
    };
    let (mut images, mut behind) = (Vec::new(), Vec::new());
    for ((chain, generation), parts) in group(files) {
        let cx = chain::ChainFiles {
            identity: &booted.identity,
            limits,
            chain,
            generation,
        };
        let recovered = cx.recover(&parts, &mut damage, &mut torn);
        images.push(recovered.image);
        repairs.extend(recovered.clearing);
        behind.extend(recovered.repairs);
        layout.chains.insert((chain, generation), recovered.layout);
    }
    // What takes room waits until nothing is left that makes some, in any chain.
    repairs.push(FileOp::SyncDir);
    repairs.extend(behind);
    repairs.push(FileOp::SyncDir);
    Ok(Recovered {
        identity: booted.identity,
        format: booted.format,
        peers,
        boot: Boot {
            store: booted.identity.store,
            incarnation: booted.boots.newest(),
            images,
        },
        boots: booted.boots,
        layout,
        repairs,
        damage,
        torn,
    })
}

/// The newest identity, and which place holds it.
pub(super) fn identity(
    files: &Files,
    damage: &mut Vec<Damage>,
) -> Result<(Place, Counted<Booted>), RecoverError> {
    let read = |place| {
        let file = identity_name(place);
        let bytes = files.get(&file)?;
        let salt = Salt::of_file(&file);
        Some(vote::read_identity(bytes, salt).map_err(|fault| Damage {
            file,
            offset: 0,
            length: bytes.len() as u64,
            fault,
        }))
    };
    let lost = |place| Damage {
        file: identity_name(place),
        offset: 0,
        length: 0,
        fault: Unreadable::Short {
            expected: vote::IDENTITY_BYTES,
            found: 0,
        },
    };
    let (a, b) = match (read(Place::A), read(Place::B)) {
        // Formatting writes the places one after the other and makes both names durable last, so
        // a store that was ever used has both: one place that is damaged while the other is
        // missing was left by formatting that a crash interrupted.
        (None, None | Some(Err(_))) | (Some(Err(_)), None) => {
            return Err(RecoverError::Unformatted);
        }
        (a, b) => (
            a.unwrap_or_else(|| Err(lost(Place::A))),
            b.unwrap_or_else(|| Err(lost(Place::B))),
        ),
    };
    let Some(newest) = vote::newest(&a, &b) else {
        let (Err(a), Err(b)) = (a, b) else {
            unreachable!("of two places one of which is readable, one is the newest");
        };
        return Err(RecoverError::Identity { a, b });
    };
    damage.extend([a.err(), b.err()].into_iter().flatten());
    Ok(newest)
}

fn group(files: &Files) -> BTreeMap<(ChainId, Gen), Parts<'_>> {
    let mut chains: BTreeMap<_, Parts<'_>> = BTreeMap::new();
    for (name, bytes) in files {
        let Some(Named::Chain {
            chain,
            generation,
            part,
        }) = Named::of(name)
        else {
            continue;
        };
        let parts = chains.entry((chain, generation)).or_default();
        match part {
            Part::Vote(Place::A) => parts.votes[0] = Some(bytes),
            Part::Vote(Place::B) => parts.votes[1] = Some(bytes),
            Part::Checkpoint(Place::A) => parts.checkpoints[0] = Some(bytes),
            Part::Checkpoint(Place::B) => parts.checkpoints[1] = Some(bytes),
            Part::Segment(number) => {
                parts.segments.insert(number, (name, bytes));
            }
            Part::Repairs => parts.repairs = Some(bytes),
            Part::Draft => parts.drafts.push(name.clone()),
        }
    }
    chains
}
