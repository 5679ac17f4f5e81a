//! All marks, by name.

use meshos_sim::marks::Mark;

/// Everything that a full sweep has to see in some scenario.
pub(crate) fn all() -> Vec<Mark> {
    let required = REQUIRED.iter().map(|name| Mark::required(name));
    let dormant = DORMANT.iter().map(|(name, why)| Mark::dormant(name, why));
    required.chain(dormant).collect()
}

const REQUIRED: &[&str] = &[
    "two leaders of different epochs alive",
    "leader crash with an uncommitted suffix",
    "uncommitted suffix of a crashed leader later truncated",
    "uncommitted suffix of a crashed leader later committed",
    "vote granted while a log write was in flight",
    "write overtaken by a cut",
    "duplicate conflict after an acknowledgement",
    "duplicate reset after an acknowledgement",
    "commit named above an unverified suffix",
    "retry against a new leader while the first copy is uncommitted",
    "retry after retention and reset",
    "request repeated",
    "request that a leader could not answer in time",
    "wiped voter while the leader dies",
    "half-deaf leader stepping down",
    "confirm asked for by a replaced leader",
    "crash during catch-up",
    "crash during a reset",
    "crash between write and sync",
    "torn record repaired on reopen",
    "one copy of a small record damaged",
    "older image of a store refused",
    "store formatted anew refused",
    "node with other limits refused",
    "commit known again after a restart",
    "corrupt entry repaired from a peer",
    "entries of another member than the leader appended",
    "suspicion armed again after a pause",
    "clock stepped back while leading",
    "chunk held back by the bandwidth budget",
    "store full",
    "leadership handed over on request",
    "another node than the target of a transfer elected",
    "leader without progress handed over",
    "early election after a process was gone",
    "forward ended with its leadership",
    "read asked again of the next leader",
    "prefix dropped by retention",
    "log dropped before the checkpoint that replaces it",
    "entries dropped by age",
    "retention before entries that wait",
    "clock leapt past the age bound while leading",
    "checkpoint continued behind the parts that came",
    "late chunk of an older request taken",
    "bulk that may be on its way not sent again",
    "bulk that should have come sent again",
];

const CONFIG: &str = "members of a chain do not change yet";

const AVAILABLE: &str = "chains have quorum mode only";

const DORMANT: &[(&str, &str)] = &[
    ("leader change with an uncommitted config entry", CONFIG),
    ("crash during a membership change", CONFIG),
    (
        "returning replica of an older generation",
        "chains are not created anew yet",
    ),
    ("fork quarantined", AVAILABLE),
];
