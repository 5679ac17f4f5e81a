//! The one record framing of every file MeshOS writes: logs, checkpoints, votes, recordings.
//!
//! ```text
//! magic     4  D7 'M' 'R' 1A
//! version   1  2
//! kind      1  see [`RecordKind`]
//! check     2  low half of the CRC32 of all the head but magic and CRC, so that a length is
//!              believed before the body is there
//! length    4  of the body
//! crc       4  CRC32 of version, kind, length and body
//! body      length
//! ```
//!
//! All integers are little endian. Both checksums start from the file's [`Salt`] and the offset
//! of the record, so bytes that were once a valid record elsewhere (in another file, at another
//! place, or inside a payload) are not one here. That is what makes looking for the next record
//! behind damage safe.

use super::identity::Identity;
use alloc::vec::Vec;
use core::ops::Range;

const MAGIC: [u8; 4] = [0xd7, b'M', b'R', 0x1a];
const VERSION: u8 = 2;

/// Length of a record without its body.
pub const HEAD: usize = 16;

/// What a record holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// The first record of a segment; seals what is before it.
    Segment,
    /// The head of a batch; seals what is before it.
    Seal,
    /// An entry of a log.
    Entry,
    /// An entry that replaces a damaged one.
    Repair,
    /// A checkpoint.
    Checkpoint,
    /// One place of a vote record.
    Vote,
    /// One place of the store's identity.
    Identity,
    /// One place of what is remembered of peers.
    Peers,
    /// The first record of a recording's file.
    Recording,
    /// An event fed to a node.
    Event,
    /// What a node did with the event before.
    Outcome,
    /// A recorded run stopped in order.
    End,
}

impl RecordKind {
    const ALL: [Self; 12] = [
        Self::Segment,
        Self::Seal,
        Self::Entry,
        Self::Repair,
        Self::Checkpoint,
        Self::Vote,
        Self::Identity,
        Self::Peers,
        Self::Recording,
        Self::Event,
        Self::Outcome,
        Self::End,
    ];

    /// The byte that stands for it.
    pub const fn code(self) -> u8 {
        match self {
            Self::Segment => 1,
            Self::Seal => 2,
            Self::Entry => 3,
            Self::Repair => 4,
            Self::Checkpoint => 5,
            Self::Vote => 6,
            Self::Identity => 7,
            Self::Peers => 8,
            Self::Recording => 16,
            Self::Event => 17,
            Self::Outcome => 18,
            Self::End => 19,
        }
    }

    fn of(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// Why no record can be read at some place; each names what was expected there.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The bytes end inside the record.
    #[error("expected a record of {expected} bytes, found {found}")]
    Short {
        /// Length of the record as far as it is known.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// No record starts here.
    #[error("expected the magic bytes of a record")]
    Magic,
    /// The head does not match its own check.
    #[error("expected a record head with a matching check")]
    Head,
    /// A newer or damaged version.
    #[error("expected record version 2, found {found}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// A kind that this version does not know.
    #[error("expected a known record kind, found {found}")]
    RecordKind {
        /// The code found.
        found: u8,
    },
    /// A kind that does not belong into this place.
    #[error("expected a record of another kind here, found {found:?}")]
    Misplaced {
        /// The kind found.
        found: RecordKind,
    },
    /// The body does not match its checksum.
    #[error("expected a record with checksum {expected:08x}, found {found:08x}")]
    Crc {
        /// What the head says.
        expected: u32,
        /// What the bytes have.
        found: u32,
    },
    /// The body is intact and means nothing.
    #[error("expected {expected}")]
    Body {
        /// What was expected.
        expected: &'static str,
    },
}

/// Where the checksums of one file start.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Salt(u32);

impl Salt {
    /// The salt of a file that belongs to a formatted store.
    pub fn of_store(identity: &Identity, file: &str) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&identity.cluster.get().to_le_bytes());
        hasher.update(&identity.store.get().to_le_bytes());
        hasher.update(file.as_bytes());
        Self(hasher.finalize())
    }

    /// The salt of a file that stands alone.
    pub fn of_file(file: &str) -> Self {
        Self(crc32fast::hash(file.as_bytes()))
    }

    fn head(self, offset: u64, version: u8, kind: u8, length: u32) -> crc32fast::Hasher {
        let mut head = [0; 14];
        head[..8].copy_from_slice(&offset.to_le_bytes());
        head[8] = version;
        head[9] = kind;
        head[10..].copy_from_slice(&length.to_le_bytes());
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        hasher.update(&head);
        hasher
    }
}

/// Appends one record to `out`; `offset` is where it starts in its file.
///
/// # Panics
/// If the body is 4 GiB or more.
pub fn write(
    out: &mut Vec<u8>,
    salt: Salt,
    offset: u64,
    kind: RecordKind,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    body(out);
    let length = u32::try_from(out.len() - start - HEAD).expect("a record body is far below 4 GiB");
    seal(&mut out[start..], salt, offset, kind.code(), length);
}

/// Fills in the head of the record that is `record`.
fn seal(record: &mut [u8], salt: Salt, offset: u64, kind: u8, length: u32) {
    let (head, body) = record.split_at_mut(HEAD);
    let mut hasher = salt.head(offset, VERSION, kind, length);
    let check = hasher.clone().finalize() as u16;
    hasher.update(body);
    head[..4].copy_from_slice(&MAGIC);
    head[4] = VERSION;
    head[5] = kind;
    head[6..8].copy_from_slice(&check.to_le_bytes());
    head[8..12].copy_from_slice(&length.to_le_bytes());
    head[12..16].copy_from_slice(&hasher.finalize().to_le_bytes());
}

/// Makes the checksums of all records right, from the first as far as their lengths lead. For
/// tests that change bodies on purpose.
pub fn reseal(file: &mut [u8], salt: Salt) {
    let mut at = 0;
    while let Some(head) = file.get(at..).and_then(|rest| rest.first_chunk::<HEAD>()) {
        let kind = head[5];
        let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        let end = at + HEAD + length as usize;
        let Some(record) = file.get_mut(at..end) else {
            return;
        };
        seal(record, salt, at as u64, kind, length);
        at = end;
    }
}

/// One intact record.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it holds.
    pub kind: RecordKind,
    /// Its body.
    pub body: &'a [u8],
    /// Offset of its head in the file.
    pub start: usize,
}

impl Frame<'_> {
    /// Offset behind it.
    pub fn end(&self) -> usize {
        self.start + HEAD + self.body.len()
    }
}

/// How long a record with this head is, if the head is intact.
pub(super) fn length(head: &[u8; HEAD]) -> u64 {
    let body = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    HEAD as u64 + u64::from(body)
}

/// Reads the record that starts at `start`.
pub fn read(file: &[u8], salt: Salt, start: usize) -> Result<Frame<'_>, Unreadable> {
    let rest = file.get(start..).unwrap_or_default();
    let Some((head, behind)) = rest.split_first_chunk::<HEAD>() else {
        // What is there of a torn head has to be the start of one.
        let magic = rest.len().min(MAGIC.len());
        if rest[..magic] != MAGIC[..magic] {
            return Err(Unreadable::Magic);
        }
        return Err(Unreadable::Short {
            expected: HEAD as u64,
            found: rest.len() as u64,
        });
    };
    if head[..4] != MAGIC {
        return Err(Unreadable::Magic);
    }
    let (version, code) = (head[4], head[5]);
    let check = u16::from_le_bytes([head[6], head[7]]);
    let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    let expected = u32::from_le_bytes([head[12], head[13], head[14], head[15]]);
    let mut hasher = salt.head(start as u64, version, code, length);
    if hasher.clone().finalize() as u16 != check {
        return Err(Unreadable::Head);
    }
    if version != VERSION {
        return Err(Unreadable::Version { found: version });
    }
    let kind = RecordKind::of(code).ok_or(Unreadable::RecordKind { found: code })?;
    let Some(body) = behind.get(..length as usize) else {
        return Err(Unreadable::Short {
            expected: HEAD as u64 + u64::from(length),
            found: rest.len() as u64,
        });
    };
    hasher.update(body);
    let found = hasher.finalize();
    if found != expected {
        return Err(Unreadable::Crc { expected, found });
    }
    Ok(Frame { kind, body, start })
}

/// One stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stretch<'a> {
    /// An intact record.
    Intact(Frame<'a>),
    /// Bytes up to the next intact record, or to the end of the file, that are none.
    Damaged {
        /// Where.
        range: Range<usize>,
        /// What was expected at the start of the range.
        fault: Unreadable,
    },
}

/// Walks a file from record to record, and over damage to the next intact one.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    file: &'a [u8],
    salt: Salt,
    at: usize,
}

impl<'a> Scan<'a> {
    /// A walk from the start of `file`.
    pub fn new(file: &'a [u8], salt: Salt) -> Self {
        Self { file, salt, at: 0 }
    }

    fn resume(&self, from: usize) -> usize {
        let mut at = from;
        while let Some(ahead) = self
            .file
            .get(at..)
            .and_then(|rest| rest.iter().position(|&byte| byte == MAGIC[0]))
        {
            at += ahead;
            if read(self.file, self.salt, at).is_ok() {
                return at;
            }
            at += 1;
        }
        self.file.len()
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Stretch<'a>;

    fn next(&mut self) -> Option<Stretch<'a>> {
        if self.at >= self.file.len() {
            return None;
        }
        match read(self.file, self.salt, self.at) {
            Ok(frame) => {
                self.at = frame.end();
                Some(Stretch::Intact(frame))
            }
            Err(fault) => {
                let start = self.at;
                self.at = self.resume(start + 1);
                Some(Stretch::Damaged {
                    range: start..self.at,
                    fault,
                })
            }
        }
    }
}
