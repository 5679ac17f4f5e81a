//! How messages travel on links: latency, loss, copies, damage and bandwidth.

use crate::node::NodeIndex;
use serde::{Deserialize, Serialize};

/// How messages travel on a link.
///
/// Every message draws its own latency, so messages overtake each other wherever the range is
/// wider than their spacing.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weather {
    /// Shortest latency.
    pub latency_us_min: u64,
    /// Longest latency.
    pub latency_us_max: u64,
    /// Messages lost, of a million.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub loss_ppm: u32,
    /// Messages that arrive twice, of a million.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub duplicate_ppm: u32,
    /// Messages delayed by up to eight times the longest latency more, of a million.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reorder_ppm: u32,
    /// Messages whose bytes are damaged on the way, of a million.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub corrupt_ppm: u32,
    /// Bytes that the link carries in a millisecond; 0 is no limit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes_per_ms: u32,
    /// The largest message that gets through, in bytes; 0 is no limit. A larger one is lost, again
    /// and again if it is sent again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub message_bytes_max: u32,
}

impl Default for Weather {
    fn default() -> Self {
        Self::latency_us(1_000, 10_000)
    }
}

impl Weather {
    /// A faultless link with latencies of `min` to `max` microseconds.
    pub const fn latency_us(min: u64, max: u64) -> Self {
        Self {
            latency_us_min: min,
            latency_us_max: max,
            loss_ppm: 0,
            duplicate_ppm: 0,
            reorder_ppm: 0,
            corrupt_ppm: 0,
            bytes_per_ms: 0,
            message_bytes_max: 0,
        }
    }

    /// The worse of two weathers in every respect: what a link has whose own weather is `self`
    /// while there is `other` weather around it.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let least = |one: u32, two: u32| match one.min(two) {
            0 => one.max(two),
            least => least,
        };
        Self {
            latency_us_min: self.latency_us_min.max(other.latency_us_min),
            latency_us_max: self.latency_us_max.max(other.latency_us_max),
            loss_ppm: self.loss_ppm.max(other.loss_ppm),
            duplicate_ppm: self.duplicate_ppm.max(other.duplicate_ppm),
            reorder_ppm: self.reorder_ppm.max(other.reorder_ppm),
            corrupt_ppm: self.corrupt_ppm.max(other.corrupt_ppm),
            bytes_per_ms: least(self.bytes_per_ms, other.bytes_per_ms),
            message_bytes_max: least(self.message_bytes_max, other.message_bytes_max),
        }
    }
}

/// Weather that some links have of their own, such as those between two zones: no fault makes
/// them better than this, and what ends a fault leaves it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkWeather {
    /// The senders; all nodes when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<NodeIndex>,
    /// The receivers; all nodes when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<NodeIndex>,
    /// The weather.
    pub weather: Weather,
}

impl LinkWeather {
    /// The weather between different zones, in both directions.
    pub fn between(zones: &[Vec<NodeIndex>], weather: Weather) -> Vec<Self> {
        let outside = |at: usize| {
            let others = zones
                .iter()
                .enumerate()
                .filter(move |(other, _)| *other != at);
            others.flat_map(|(_, zone)| zone.iter().copied()).collect()
        };
        let zones = zones
            .iter()
            .enumerate()
            .filter(|(_, zone)| !zone.is_empty());
        zones
            .map(|(at, zone)| Self {
                from: zone.clone(),
                to: outside(at),
                weather,
            })
            .filter(|links| !links.to.is_empty())
            .collect()
    }

    /// Whether it is about the link between two nodes.
    pub fn names(&self, from: NodeIndex, to: NodeIndex) -> bool {
        let has = |nodes: &[NodeIndex], node| nodes.is_empty() || nodes.contains(&node);
        has(&self.from, from) && has(&self.to, to)
    }
}

impl Weather {
    /// Whether a message of that many bytes is too large to get through.
    #[inline]
    pub(crate) const fn is_too_large(&self, bytes: u32) -> bool {
        self.message_bytes_max != 0 && bytes > self.message_bytes_max
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
