//! Whatever a plan asks for, the engine runs it to an end, and to the same end every time.
//!
//! The bytes are a plan as text, or a seed and edits to the plan that follows from it. The
//! machine is the engine's own, for this crate knows no others.

use meshos_sim::machines::rally::Rally;
use meshos_sim::plan::Plan;
use meshos_sim::report::PANIC;
use meshos_sim::run;
use meshos_sim::scenario::{PlanOf, Scenario};
use meshos_sim::time::Instant;
use meshos_sim::weather::Weather;
use std::path::Path;

/// Tries one input.
///
/// # Panics
/// If the code under test breaks its word.
pub fn run(bytes: &[u8]) {
    let read = core::str::from_utf8(bytes).map(|text| Plan::read(&Rally, Path::new("p"), text));
    let mut plan = match read {
        Ok(Ok(plan)) => plan,
        Ok(Err(_)) | Err(_) => edited(bytes),
    };
    // Short runs, to try many; one whose faults name other nodes now is refused.
    plan.nodes = plan.nodes.min(16);
    plan.steps_max = plan.steps_max.min(5_000);
    let (first, second) = (run::run(&Rally, &plan), run::run(&Rally, &plan));
    let panicked = first
        .finding
        .as_ref()
        .is_some_and(|finding| finding.property == PANIC);
    assert!(!panicked, "the engine runs every plan");
    assert_eq!(
        first.digest, second.digest,
        "a run is a function of its plan"
    );
    assert_eq!(first.steps, second.steps, "a run is a function of its plan");
}

/// The plan of a seed with a fault dropped, moved, repeated, or the weather changed for each four
/// bytes.
fn edited(bytes: &[u8]) -> PlanOf<Rally> {
    let seed = bytes.first().copied().unwrap_or_default();
    let mut plan = Rally.plan(seed.into());
    for edit in bytes.get(1..).unwrap_or_default().chunks_exact(4) {
        let value = u64::from(u16::from_le_bytes([edit[2], edit[3]]));
        let at = usize::from(edit[1]) % plan.faults.len().max(1);
        match edit[0] % 5 {
            0 if at < plan.faults.len() => drop(plan.faults.remove(at)),
            1 if at < plan.faults.len() => {
                plan.faults[at].at = Instant::from_millis(value % 10_000)
            }
            2 if at < plan.faults.len() => {
                let mut again = plan.faults[at].clone();
                again.at = Instant::from_millis(value % 10_000);
                plan.faults.push(again);
            }
            3 => {
                plan.op(Instant::from_millis(value), (at % 2) as u16, ())
                    .seed ^= value
            }
            _ => {
                plan.weather = Weather {
                    loss_ppm: u32::from(edit[1]) * 3_900,
                    duplicate_ppm: u32::from(edit[2]) * 3_900,
                    reorder_ppm: u32::from(edit[3]) * 3_900,
                    ..Weather::latency_us(value, value + u64::from(edit[1]))
                };
            }
        }
    }
    plan
}
