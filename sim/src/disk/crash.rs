//! The fate of what was not synced, when a node crashes.

use super::Disk;
use super::file::{Fate, File};
use super::names::NameOp;
use crate::draw::{Draws, Site, mix, scale};
use crate::fault::Unsynced;

/// Lanes of one node: its files by inode, and one for the names.
const NAMES: u64 = 0xffff_ffff;

/// Settles bytes and names, and returns which fate they met.
pub(super) fn crash(
    disk: &mut Disk,
    style: Unsynced,
    draw: &Draws,
    lane: u64,
    counter: u64,
) -> Unsynced {
    let style = drawn(style, draw, lane, counter);
    if style == Unsynced::Kept {
        // The process died, the operating system did not: what was not synced is still there
        // and still not synced, so a later crash may take it.
        return style;
    }
    for (inode, file) in &mut disk.inodes {
        let lane = lane << 32 | u64::from(*inode);
        settle_file(file, style, draw, lane, counter);
    }
    settle_names(disk, style, draw, lane, counter);
    style
}

fn drawn(style: Unsynced, draw: &Draws, lane: u64, counter: u64) -> Unsynced {
    if style != Unsynced::Drawn {
        return style;
    }
    match draw.below(Site::Unsynced, lane, counter, 4) {
        0 => Unsynced::Lost,
        1 => Unsynced::Kept,
        2 => Unsynced::Reordered,
        _ => Unsynced::Torn,
    }
}

fn settle_file(file: &mut File, style: Unsynced, draw: &Draws, lane: u64, counter: u64) {
    if file.unsynced() == 0 {
        return;
    }
    let bits = draw.bits(Site::Unsynced, lane, counter);
    match style {
        Unsynced::Kept => {}
        Unsynced::Lost => file.settle(|_, _| Fate::Lost),
        Unsynced::Reordered => file.settle(|index, _| {
            if kept(bits, index) {
                Fate::Kept
            } else {
                Fate::Lost
            }
        }),
        Unsynced::Torn | Unsynced::Drawn => {
            let (whole, part) = tear(file.pending_sizes(), bits);
            // One in four tears keeps the later bytes: sectors reach the medium in any order.
            let tail = mix(bits).is_multiple_of(4);
            file.settle(|index, _| match index.cmp(&whole) {
                core::cmp::Ordering::Less => Fate::Kept,
                core::cmp::Ordering::Equal if tail => Fate::Tail(part),
                core::cmp::Ordering::Equal => Fate::Head(part),
                core::cmp::Ordering::Greater => Fate::Lost,
            });
        }
    }
}

/// Whether one of several reordered operations reached the medium.
const fn kept(bits: u64, index: usize) -> bool {
    mix(bits.wrapping_add(index as u64)) & 1 == 1
}

/// Chooses a byte of the unsynced ones: how many operations are before it, and how much of the
/// next one. Every operation, however small, has a point of its own before its first byte.
fn tear(sizes: impl Iterator<Item = usize> + Clone, bits: u64) -> (usize, u64) {
    let points: u64 = sizes.clone().map(|size| size as u64 + 1).sum();
    let mut point = scale(bits, points + 1);
    let mut whole = 0;
    for size in sizes {
        if point <= size as u64 {
            return (whole, point);
        }
        point -= size as u64 + 1;
        whole += 1;
    }
    (whole, 0)
}

/// Settles the names; each change is atomic.
pub(super) fn settle_names(
    disk: &mut Disk,
    style: Unsynced,
    draw: &Draws,
    lane: u64,
    counter: u64,
) {
    let bits = draw.bits(Site::Unsynced, lane << 32 | NAMES, counter);
    let ops: Vec<NameOp> = disk.name_ops.drain(..).collect();
    let whole = scale(bits, ops.len() as u64 + 1) as usize;
    for (index, op) in ops.iter().enumerate() {
        let survives = match style {
            Unsynced::Lost => false,
            Unsynced::Kept => true,
            Unsynced::Reordered => kept(bits, index),
            Unsynced::Torn | Unsynced::Drawn => index < whole,
        };
        if survives {
            op.apply(&mut disk.durable_names);
        }
    }
    disk.names.clone_from(&disk.durable_names);
    disk.collect();
}
