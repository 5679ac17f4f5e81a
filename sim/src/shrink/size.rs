//! How large a plan is, for people.

use super::edit::{find, key, number};
use serde::Serialize;
use toml::{Table, Value};

/// What makes a plan long to read and long to run.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Size {
    /// Faults.
    pub faults: usize,
    /// Operations.
    pub ops: usize,
    /// Nodes.
    pub nodes: u64,
    /// Simulated milliseconds, at most.
    pub ms: u64,
    /// Numbers, words and flags of the scenario's own part.
    pub cfg: usize,
}

impl Size {
    pub(crate) fn of(plan: &Table) -> Self {
        let length = |list| {
            let items = find(plan, &key(list)).and_then(Value::as_array);
            items.map_or(0, Vec::len)
        };
        let ms = |name| number(plan, name).unwrap_or_default();
        Self {
            faults: length("faults"),
            ops: length("ops"),
            nodes: number(plan, "nodes").unwrap_or_default(),
            ms: ms("safety_ms").saturating_add(ms("liveness_ms")),
            cfg: plan.get("cfg").map_or(0, leaves),
        }
    }
}

fn leaves(value: &Value) -> usize {
    match value {
        Value::Table(table) => table.values().map(leaves).sum(),
        Value::Array(items) => items.iter().map(leaves).sum(),
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => 1,
    }
}
