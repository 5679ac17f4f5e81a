//! `list`.

use super::console::{Console, Look};
use super::{Program, Stop};
use serde_json::json;

pub(super) fn list(program: &Program, console: &mut Console) -> Result<(), Stop> {
    let rows = program.scenarios.iter().map(|scenario| {
        let (name, about) = (scenario.name().to_owned(), scenario.about().to_owned());
        vec![(Look::Strong, name), (Look::Plain, about)]
    });
    let rows: Vec<_> = rows.collect();
    console.table(&["scenario", "tests"], &rows);
    let scenarios: Vec<_> = program
        .scenarios
        .iter()
        .map(|scenario| {
            let marks: Vec<_> = scenario.marks().iter().map(mark).collect();
            json!({ "scenario": scenario.name(), "about": scenario.about(), "marks": marks })
        })
        .collect();
    let marks: Vec<_> = program.marks.iter().map(mark).collect();
    let document = json!({
        "format": 1,
        "command": "list",
        "scenarios": scenarios,
        "marks": marks,
    });
    console.json(&document);
    Ok(())
}

fn mark(mark: &crate::marks::Mark) -> serde_json::Value {
    json!({ "mark": mark.name, "dormant": mark.dormant })
}
