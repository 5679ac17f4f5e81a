//! What the fuzz targets and the generator of their seeds share.

#[cfg(test)]
mod corpora;
pub mod steps;
pub mod targets;

use bytes::Bytes;
use meshos_core::chain::record::{Salt, reseal};
use meshos_core::chain::recover::Files;
use meshos_core::chain::store::{FileName, FileOp, identity_name, peers_name};
use meshos_core::chain::vote::{Place, read_identity};
use meshos_core::id::ChainId;

/// The chain that the files belong to.
pub const CHAIN: &str = "orders";

/// Its generation.
pub const GENERATION: u64 = 3;

/// The names that a packed file may have, by their code.
pub fn names() -> Vec<FileName> {
    let prefix = format!("{}-{GENERATION}", ChainId::of(CHAIN));
    let parts = [
        "vote.a",
        "vote.b",
        "checkpoint.a",
        "checkpoint.b",
        "repairs",
        "checkpoint.a.tmp",
        "checkpoint.b.tmp",
    ];
    let parts = parts.map(String::from).into_iter();
    let segments = (1..12).map(|number| format!("segment-{number:08}"));
    let places = [Place::A, Place::B];
    let node = places
        .map(identity_name)
        .into_iter()
        .chain(places.map(peers_name));
    let files = parts
        .chain(segments)
        .map(|part| format!("{prefix}.{part}").into());
    node.chain(files).collect()
}

/// Files as one input: a byte that says whether checksums are made right, then for each file
/// the code of its name, two bytes of length, the bytes.
pub fn pack(files: &Files) -> Vec<u8> {
    let mut out = vec![1];
    for (code, name) in names().iter().enumerate() {
        if let Some(bytes) = files.get(name) {
            out.push(code as u8);
            out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
            out.extend_from_slice(bytes);
        }
    }
    out
}

/// The files of an input.
pub fn unpack(input: &[u8]) -> Files {
    let names = names();
    let mut files = Files::new();
    let Some((&mode, mut rest)) = input.split_first() else {
        return files;
    };
    while let [code, low, high, behind @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(behind.len());
        let (bytes, behind) = behind.split_at(length);
        let name = names[usize::from(*code) % names.len()].clone();
        files.insert(name, Bytes::copy_from_slice(bytes));
        rest = behind;
    }
    if mode % 2 == 1 {
        reseal_all(&mut files);
    }
    files
}

/// Makes all checksums right, so that changed bodies are looked at.
fn reseal_all(files: &mut Files) {
    let mut owner = None;
    for place in [Place::A, Place::B] {
        let name = identity_name(place);
        if let Some(bytes) = files.get_mut(&name) {
            let salt = Salt::of_file(&name);
            resealed(bytes, salt);
            let identity = read_identity(bytes, salt).ok();
            owner = owner.or(identity.map(|counted| counted.value.identity));
        }
    }
    let Some(owner) = owner else { return };
    for (name, bytes) in files.iter_mut() {
        if !name.starts_with("identity") {
            resealed(bytes, Salt::of_store(&owner, name));
        }
    }
}

fn resealed(bytes: &mut Bytes, salt: Salt) {
    let mut changed = bytes.to_vec();
    reseal(&mut changed, salt);
    *bytes = changed.into();
}

/// Performs an operation on files in memory.
pub fn perform(files: &mut Files, op: &FileOp) {
    match op {
        FileOp::Append { file, bytes } => {
            edit(files, file, |whole| whole.extend_from_slice(bytes));
        }
        FileOp::Write {
            file,
            offset,
            bytes,
        } => edit(files, file, |whole| {
            let (start, end) = (*offset as usize, *offset as usize + bytes.len());
            whole.resize(whole.len().max(end), 0);
            whole[start..end].copy_from_slice(bytes);
        }),
        FileOp::Truncate { file, length } => {
            edit(files, file, |whole| whole.truncate(*length as usize));
        }
        FileOp::Rename { from, to } => {
            let bytes = files.remove(from).expect("what is renamed is there");
            files.insert(to.clone(), bytes);
        }
        FileOp::Remove { file } => {
            files.remove(file);
        }
        FileOp::Sync { .. } | FileOp::SyncDir => {}
    }
}

fn edit(files: &mut Files, file: &FileName, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = files
        .get(file)
        .map(|bytes| bytes.to_vec())
        .unwrap_or_default();
    change(&mut bytes);
    files.insert(file.clone(), Bytes::from(bytes));
}
