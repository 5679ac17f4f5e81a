//! Whatever stands in a plan file, reading it ends in a plan or in an error that names a place;
//! a plan that was read is written as a text that reads as the same plan.

use meshos_sim::machines::rally::Rally;
use meshos_sim::plan::Plan;
use meshos_sim::scenario::PlanOf;
use std::path::Path;

/// Tries one input.
///
/// # Panics
/// If the code under test breaks its word.
pub fn run(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else {
        return;
    };
    let file = Path::new("plan.toml");
    let plan: PlanOf<Rally> = match Plan::parse(file, text) {
        Ok(plan) => plan,
        Err(error) => return drop(error.to_string()),
    };
    let again = Plan::parse(file, &plan.to_text());
    assert_eq!(again.ok(), Some(plan), "a plan reads as it was written");
}
