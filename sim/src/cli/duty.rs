//! What a sweep says of obligations: how often each was armed and met.

use super::console::{Console, Look, grouped};
use crate::check::obligation;
use crate::sweep::tally::{Duties, Name, Tally};

/// The sum over all scenarios.
pub(super) fn total(tallies: &[Tally]) -> Duties {
    let mut total = Duties::new();
    for (property, tally) in tallies.iter().flat_map(|tally| &tally.obligations) {
        total.entry(property.clone()).or_default().add(*tally);
    }
    total
}

/// Properties with a monitor that tested nothing, and why.
pub(super) fn idle(total: &Duties) -> Vec<(&str, &'static str)> {
    let why = |tally: &obligation::Tally| match (tally.armed, tally.met) {
        (0, _) => Some("never armed"),
        (_, 0) => Some("never met"),
        _ => None,
    };
    let idle = total.iter();
    idle.filter_map(|(property, tally)| Some((&**property, why(tally)?)))
        .collect()
}

/// One line for each scenario and one for their sum; nothing where no property has a monitor. What
/// was never armed says something of a full sweep only.
pub(super) fn print(console: &mut Console, tallies: &[Tally], full: bool) {
    let mut total = total(tallies);
    total.retain(|_, tally| full || tally.armed > 0);
    if total.is_empty() {
        return;
    }
    let mut head = vec!["armed/met"];
    head.extend(total.keys().map(|property| &**property));
    let owing = tallies.iter();
    let owing = owing.filter(|tally| {
        let mut shown = total
            .keys()
            .filter_map(|property| tally.obligations.get(property));
        shown.any(|own| full || own.armed > 0)
    });
    let mut rows: Vec<_> = owing
        .map(|tally| row(&tally.scenario, &total, &tally.obligations))
        .collect();
    if rows.len() > 1 {
        rows.push(row("all", &total, &total));
    }
    console.table(&head, &rows);
}

fn row(name: &str, all: &Duties, own: &Duties) -> Vec<(Look, String)> {
    let cell = |property: &Name| {
        let tally = own.get(property).copied().unwrap_or_default();
        let text = format!("{}/{}", grouped(tally.armed), grouped(tally.met));
        match tally.armed {
            0 => (Look::Dim, "-".to_owned()),
            _ => (Look::Plain, text),
        }
    };
    let mut row = vec![(Look::Strong, name.to_owned())];
    row.extend(all.keys().map(cell));
    row
}
