//! What clients are woken for, as a number that the engine keeps for them.

/// What an alarm of a client is about.
#[derive(Copy, Clone, Debug)]
pub(super) enum Alarm {
    /// It is time for the next request.
    Next,
    /// The attempt of this number took too long.
    Patience(u64),
    /// The pause before another attempt is over.
    Open,
    Retry(u64),
    /// An acknowledged request is asked for once more.
    Again(u64),
    /// The faults are over: what was written is read once more.
    Close,
}

impl Alarm {
    /// The number for the client at `index`.
    pub(super) fn tag(self, index: u32) -> u64 {
        let (kind, detail) = match self {
            Self::Next => (0, 0),
            Self::Patience(number) => (1, number),
            Self::Open => (2, 0),
            Self::Retry(number) => (3, number),
            Self::Again(number) => (4, number),
            Self::Close => (5, 0),
        };
        // 16 bits of session are enough for any plan, and leave 2^36 for the detail.
        NAMESPACE | u64::from(index as u16) << 40 | kind << 36 | (detail & 0xf_ffff_ffff)
    }

    /// The client that a number is for, unless it is for somebody else.
    pub(super) fn untag(tag: u64) -> Option<(usize, Self)> {
        if tag & (0xff << 56) != NAMESPACE {
            return None;
        }
        let session = (tag >> 40 & 0xffff) as usize;
        let detail = tag & 0xf_ffff_ffff;
        let alarm = match tag >> 36 & 0xf {
            0 => Self::Next,
            1 => Self::Patience(detail),
            2 => Self::Open,
            3 => Self::Retry(detail),
            4 => Self::Again(detail),
            _ => Self::Close,
        };
        Some((session, alarm))
    }
}

/// What sets these numbers apart from those of others.
const NAMESPACE: u64 = 0xc1 << 56;
