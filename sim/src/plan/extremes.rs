//! Plans with a number at the end of its range, for tests of what a scenario refuses.

use super::Plan;
use crate::report::PANIC;
use crate::run::run;
use crate::scenario::{PlanOf, Scenario};
use std::path::Path;

const EXTREMES: [i64; 8] = [
    0,
    1,
    -1,
    7,
    u16::MAX as i64,
    u32::MAX as i64,
    i64::MAX,
    i64::MIN,
];

/// Replaces each number of the plans of `seeds`, one at a time, by each of some extreme ones, and
/// insists that the scenario refuses what results, or runs `steps_max` steps of it.
///
/// # Panics
/// When a run panics; the message has the plan.
#[track_caller]
pub fn assert_refuses_or_runs<S: Scenario>(
    scenario: &S,
    seeds: impl IntoIterator<Item = u64>,
    steps_max: u64,
) {
    for seed in seeds {
        let text = scenario.plan(seed).to_text();
        let (mut ran, mut refused) = (0, 0);
        for text in numbers(&text).flat_map(|number| extreme(&text, number)) {
            let read: Result<PlanOf<S>, _> = Plan::read(scenario, Path::new("plan.toml"), &text);
            let Ok(mut plan) = read else {
                refused += 1;
                continue;
            };
            ran += 1;
            plan.steps_max = plan.steps_max.min(steps_max);
            let found = run(scenario, &plan).finding;
            if let Some(panic) = found.filter(|found| found.property == PANIC) {
                panic!("{panic}\n{text}");
            }
        }
        assert!(ran > 0 && refused > 0, "{ran} ran, {refused} were refused");
    }
}

/// The texts in which the number that stands at `number` is another one.
fn extreme(text: &str, number: (usize, usize)) -> impl Iterator<Item = String> {
    let (before, behind) = (&text[..number.0], &text[number.1..]);
    EXTREMES
        .into_iter()
        .map(move |extreme| format!("{before}{extreme}{behind}"))
}

/// Where the numbers of a plan that the engine wrote stand: no dates, no fractions, and no
/// quotation marks within strings.
fn numbers(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut in_string = false;
    core::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at;
            at += 1;
            match bytes[start] {
                b'"' => in_string = !in_string,
                b'-' | b'0'..=b'9' if !in_string => {
                    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                        at += 1;
                    }
                    return Some((start, at));
                }
                byte if !in_string && (byte.is_ascii_alphabetic() || byte == b'_') => {
                    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
                    while bytes.get(at).is_some_and(is_word) {
                        at += 1;
                    }
                }
                _ => {}
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::rally::Rally;

    #[test]
    fn numbers_are_found_and_words_are_not() {
        let text = "a_1 = -12\nb = [3, { c = \"4\", d = 56 }]";
        let found: Vec<_> = numbers(text).map(|(from, to)| &text[from..to]).collect();
        assert_eq!(found, ["-12", "3", "56"]);
    }

    #[test]
    fn the_engine_refuses_or_runs_whatever_a_plan_says() {
        assert_refuses_or_runs(&Rally, 0..40, 500);
    }
}
