//! Looks at the files of a store without changing them: what is there, and whether it is whole.

use super::checkpoint::{self, Kept};
use super::entry::LogPosition;
use super::order::{Image, Slot, Vote};
use super::record::{Salt, Scan, Stretch, Unreadable};
use super::recover::{Damage, Files, RecoverError, identity, recover};
use super::segment::{self, Item};
use super::store::{FileName, Identity, Named, Part, StoreLimits};
use super::vote::{self, Ballot, Counted};
use crate::id::{ChainId, Gen, Incarnation, Replica, RunNonce, Seq};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

/// The state of a store, as a boot would find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose store it is.
    pub identity: Identity,
    /// Its latest boot.
    pub incarnation: Incarnation,
    /// Its chains, in ascending order.
    pub chains: Vec<VerifiedChain>,
    /// What is not as it was written.
    pub damage: Vec<Damage>,
    /// Damage in the log of a chain that misses nothing for it: what stood there was repaired,
    /// or is no longer retained.
    pub mended: Vec<Damage>,
    /// Torn ends, which a crash may leave, or a write that is under way.
    pub torn: Vec<Damage>,
}

/// The state of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedChain {
    /// The chain.
    pub chain: ChainId,
    /// Which creation of it.
    pub generation: Gen,
    /// Which membership of the store.
    pub replica: Replica,
    /// The vote record; `None` when it is lost: the replica counts as wiped.
    pub vote: Option<Vote>,
    /// The floor, with the epoch and hash of the entry before it.
    pub floor: LogPosition,
    /// The end of the log, with the epoch and hash of the entry before it.
    pub tip: LogPosition,
    /// End of what the store says was committed. A log that ends below it lost its end.
    pub commit: Seq,
    /// Positions whose entries are damaged.
    pub unknown: Vec<Range<Seq>>,
}

impl VerifiedChain {
    /// What an image says of its chain.
    fn of(image: &Image) -> Self {
        Self {
            chain: image.chain,
            generation: image.generation,
            replica: image.replica,
            vote: image.vote,
            floor: image.checkpoint.floor,
            tip: image.tip,
            commit: image.commit,
            unknown: unknown(image.checkpoint.floor.end, &image.slots),
        }
    }

    /// How many committed entries are lost behind the end of the log.
    pub fn lost(&self) -> u64 {
        self.commit.distance(self.tip.end)
    }

    /// Whether nothing is missing.
    pub fn is_whole(&self) -> bool {
        self.vote.is_some() && self.unknown.is_empty() && self.lost() == 0
    }
}

impl Verified {
    /// Whether nothing that was stored is missing.
    pub fn is_clean(&self) -> bool {
        self.damage.is_empty() && self.chains.iter().all(VerifiedChain::is_whole)
    }
}

/// Reads every record of a store and checks every hash link.
pub fn verify(files: &Files, limits: &StoreLimits) -> Result<Verified, RecoverError> {
    let recovered = recover(files, limits, RunNonce::default())?;
    let images = &recovered.boot.images;
    let (damage, mended) = sort_out(recovered.damage, images);
    let chains = images.iter().map(VerifiedChain::of).collect();
    Ok(Verified {
        identity: recovered.identity,
        incarnation: Incarnation::new(recovered.boot.incarnation.get() - 1),
        chains,
        damage,
        mended,
        torn: recovered.torn,
    })
}

/// Tells damage for which something is missing from that for which nothing is: what stood there was
/// repaired, or is no longer retained.
pub fn sort_out(damage: Vec<Damage>, images: &[Image]) -> (Vec<Damage>, Vec<Damage>) {
    let chains: Vec<VerifiedChain> = images.iter().map(VerifiedChain::of).collect();
    let damage = damage.into_iter();
    damage.partition(|damage| !is_mended(damage, &chains))
}

/// Whether the log that this damage is in has every entry all the same.
fn is_mended(damage: &Damage, chains: &[VerifiedChain]) -> bool {
    match Named::of(&damage.file) {
        Some(Named::Chain {
            chain,
            generation,
            part: Part::Segment(_) | Part::Repairs,
        }) => chains.iter().any(|found| {
            (found.chain, found.generation) == (chain, generation) && found.is_whole()
        }),
        Some(Named::Chain { .. } | Named::Identity(_) | Named::Peers(_)) | None => false,
    }
}

fn unknown(floor: Seq, slots: &[Slot]) -> Vec<Range<Seq>> {
    let mut ranges: Vec<Range<Seq>> = Vec::new();
    let mut seq = floor;
    for slot in slots {
        if *slot == Slot::Unknown {
            match ranges.last_mut() {
                Some(range) if range.end == seq => range.end = seq.next(),
                Some(_) | None => ranges.push(seq..seq.next()),
            }
        }
        seq = seq.next();
    }
    ranges
}

/// One stretch of a file of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file.
    pub file: FileName,
    /// Where.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// What is there.
    pub content: Content,
}

/// What one stretch of a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A place of the vote record.
    Vote(Counted<Ballot>),
    /// The checkpoint.
    Checkpoint(Box<Kept>),
    /// A record of the log or of its repairs.
    Item(Item),
    /// Something else than was expected.
    Damaged(Unreadable),
}

/// Everything that the files of one chain hold, record by record, in the order of their names.
pub fn dump(files: &Files, chain: ChainId) -> Result<Vec<Line>, RecoverError> {
    let (_, counted) = identity(files, &mut Vec::new())?;
    let mut lines = Vec::new();
    for (file, bytes) in files {
        let part = match Named::of(file) {
            Some(Named::Chain {
                chain: of, part, ..
            }) if of == chain => part,
            Some(Named::Chain { .. } | Named::Identity(_) | Named::Peers(_)) | None => continue,
        };
        let salt = Salt::of_store(&counted.value.identity, file);
        let mut whole = |content: Result<Content, Unreadable>| {
            lines.push(Line {
                file: file.clone(),
                offset: 0,
                length: bytes.len() as u64,
                content: content.unwrap_or_else(Content::Damaged),
            });
        };
        match part {
            Part::Vote(_) => whole(vote::read_ballot(bytes, salt).map(Content::Vote)),
            Part::Checkpoint(_) => {
                let kept = checkpoint::read_file(bytes, salt);
                whole(kept.map(|kept| Content::Checkpoint(Box::new(kept))));
            }
            Part::Segment(_) | Part::Repairs => {
                lines.extend(Scan::new(bytes, salt).map(|stretch| line(file, &stretch)));
            }
            Part::Draft => {}
        }
    }
    Ok(lines)
}

fn line(file: &FileName, stretch: &Stretch<'_>) -> Line {
    let (range, content) = match stretch {
        Stretch::Damaged { range, fault } => (range.clone(), Content::Damaged(*fault)),
        Stretch::Intact(frame) => {
            let item = segment::decode(frame);
            let content = item.map_or_else(Content::Damaged, Content::Item);
            (frame.start..frame.end(), content)
        }
    };
    Line {
        file: file.clone(),
        offset: range.start as u64,
        length: (range.end - range.start) as u64,
        content,
    }
}
