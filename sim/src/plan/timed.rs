//! Operations and faults with their times.
//!
//! A file says `at_ms`, `at_us` or `at_ns`; a plan that is written uses the coarsest that is
//! exact.

use crate::fault::Fault;
use crate::node::NodeIndex;
use crate::time::Instant;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An operation handed to a node at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct OpAt<Op> {
    /// When.
    pub at: Instant,
    /// To which node.
    pub node: NodeIndex,
    /// What.
    pub op: Op,
}

/// A fault that takes effect at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultAt {
    /// When.
    pub at: Instant,
    /// What.
    pub fault: Fault,
}

/// An instant as a file writes it: exactly one of the three is there.
#[derive(Copy, Clone, Default)]
struct At {
    ns: Option<u64>,
    us: Option<u64>,
    ms: Option<u64>,
}

impl At {
    const fn new(at: Instant) -> Self {
        let ns = at.as_nanos();
        match (ns % 1_000_000, ns % 1_000) {
            (0, _) => Self {
                ns: None,
                us: None,
                ms: Some(ns / 1_000_000),
            },
            (_, 0) => Self {
                ns: None,
                us: Some(ns / 1_000),
                ms: None,
            },
            (_, _) => Self {
                ns: Some(ns),
                us: None,
                ms: None,
            },
        }
    }

    fn instant<E: Error>(self) -> Result<Instant, E> {
        let (number, unit) = match (self.ns, self.us, self.ms) {
            (Some(ns), None, None) => (ns, 1),
            (None, Some(us), None) => (us, 1_000),
            (None, None, Some(ms)) => (ms, 1_000_000),
            (None, None, None) => return Err(E::missing_field("at_ms")),
            (_, _, _) => {
                return Err(E::custom(
                    "found several, expected one of at_ms, at_us, at_ns",
                ));
            }
        };
        let nanos: Option<u64> = number.checked_mul(unit);
        let nanos = nanos.filter(|nanos| *nanos <= i64::MAX as u64);
        nanos.map(Instant::from_nanos).ok_or_else(|| {
            E::custom(format!(
                "found time {number}, expected one within 292 years"
            ))
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "Op: DeserializeOwned"))]
struct RawOp<Op> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_ms: Option<u64>,
    node: NodeIndex,
    op: Op,
}

/// The fault stands beside the time, in the same table; it refuses the fields it does not know.
#[derive(Serialize, Deserialize)]
struct RawFault {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_ms: Option<u64>,
    #[serde(flatten)]
    fault: Fault,
}

impl<Op: Serialize> Serialize for OpAt<Op> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let At { ns, us, ms } = At::new(self.at);
        let (node, op) = (self.node, &self.op);
        RawOp {
            at_ns: ns,
            at_us: us,
            at_ms: ms,
            node,
            op,
        }
        .serialize(serializer)
    }
}

impl<'de, Op: DeserializeOwned> Deserialize<'de> for OpAt<Op> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let RawOp {
            at_ns: ns,
            at_us: us,
            at_ms: ms,
            node,
            op,
        } = RawOp::deserialize(deserializer)?;
        Ok(Self {
            at: At { ns, us, ms }.instant()?,
            node,
            op,
        })
    }
}

impl Serialize for FaultAt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let At { ns, us, ms } = At::new(self.at);
        let fault = self.fault.clone();
        RawFault {
            at_ns: ns,
            at_us: us,
            at_ms: ms,
            fault,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FaultAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawFault::deserialize(deserializer)?;
        let RawFault {
            at_ns: ns,
            at_us: us,
            at_ms: ms,
            fault,
        } = raw;
        Ok(Self {
            at: At { ns, us, ms }.instant()?,
            fault,
        })
    }
}
