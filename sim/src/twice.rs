//! Does the same plan do the same things twice?
//!
//! A machine that looks at an address, at the order of a hash map or at anything else that its
//! plan does not decide makes every other verdict worthless. Nothing of that shows in one run, so
//! a share of all runs is made twice and compared by digest. Where they differ, two more runs
//! say what differed first: they are traced as a whole, states included.

use crate::report::{Finding, REPLAY, Report};
use crate::scenario::{PlanOf, Scenario};
use crate::session::run_once;
use crate::swarm::Draw;
use crate::trace::Line;
use crate::watch::Watch;

/// The seeds below are all run twice.
const ALL_BELOW: u64 = 16;
/// One of so many others is.
const ONE_OF: u64 = 12;

/// Whether sweeps and tests run the plan of `seed` twice: all of the first sixteen seeds, and a
/// twelfth of the others.
pub const fn is_run_twice(seed: u64) -> bool {
    seed < ALL_BELOW || Draw::new(seed).of("twice").below(ONE_OF) == 0
}

/// Runs a plan again and adds to `first` what the second run did otherwise.
pub(crate) fn run_again<S: Scenario>(
    scenario: &S,
    plan: &PlanOf<S>,
    watch: &Watch,
    first: &mut Report,
) {
    let second = run_once(scenario, plan, watch);
    if second.digest == first.digest && second.finding.is_none() {
        return;
    }
    let ended = |report: &Report| {
        let finding = report.finding.as_ref();
        let how = finding.map_or_else(String::new, |finding| format!(" and found {finding}"));
        format!("{:016x}{how}", report.digest)
    };
    let what = format!(
        "the same plan ran with digest {} and then {}",
        ended(first),
        ended(&second)
    );
    let traced = Watch {
        trace_lines: usize::MAX,
        trace_states: true,
        ..watch.clone()
    };
    let one = run_once(scenario, plan, &traced).trace;
    let other = run_once(scenario, plan, &traced).trace;
    let (finding, equal) = compared(&one, &other, what);
    first.finding = Some(finding);
    let from = (equal + 1).saturating_sub(watch.trace_lines).min(one.len());
    first.trace = one[from..(equal + 1).min(one.len())].to_vec();
    first.trace.truncate(watch.trace_lines);
}

/// The finding of two traces of one plan, and how many events are equal.
fn compared(one: &[Line], other: &[Line], what: String) -> (Finding, usize) {
    let equal = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (a, b) = (one.get(equal), other.get(equal));
    let told = |line: Option<&Line>| line.map_or_else(|| "the end".to_owned(), Line::to_string);
    let difference = match (a, b) {
        (None, None) => "traced twice more, no event differed".to_owned(),
        _ => format!(
            "traced twice more, {equal} events were equal, then came `{}` and `{}`",
            told(a).trim_start(),
            told(b).trim_start()
        ),
    };
    let remedy = "look for a clock, entropy, an address or the order of a hash map in it";
    let mut finding = Finding::new(REPLAY, format!("{what}; {difference}; {remedy}"));
    if let Some(line) = a.or(b) {
        (finding.at, finding.node) = (line.at, line.node);
    }
    (finding, equal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::NodeIndex;
    use crate::time::Instant;
    use crate::trace::Event;
    use std::slice;

    #[test]
    fn all_first_seeds_and_a_share_of_the_others_run_twice() {
        assert!((0..16).all(is_run_twice));
        let count = (16..16_016).filter(|seed| is_run_twice(*seed)).count();
        assert!(count >= 16_000 / 16, "{count}");
        assert!(count <= 16_000 / 10, "{count}");
    }

    #[test]
    fn the_first_difference_is_told_with_its_time_and_node() {
        let line = |ms, event| Line {
            place: 0,
            number: None,
            at: Instant::from_millis(ms),
            node: Some(NodeIndex(2)),
            event,
        };
        let same = line(5, Event::Wake {});
        let state = |hash| line(7, Event::State { hash });
        let told = |one: &[Line], other: &[Line]| compared(one, other, "it ran".to_owned());
        let (finding, equal) = told(&[same.clone(), state(1)], &[same.clone(), state(2)]);
        assert_eq!(equal, 1);
        assert_eq!(finding.node, Some(NodeIndex(2)));
        assert_eq!(finding.at, Instant::from_millis(7));
        let expected = "1 events were equal, then came `0.007000s  n2   state 0000000000000001` \
                        and `0.007000s  n2   state 0000000000000002`";
        assert!(finding.message.contains(expected), "{}", finding.message);
        let (finding, _) = told(slice::from_ref(&same), &[same.clone(), state(2)]);
        assert!(
            finding.message.contains("`the end` and `0.007"),
            "{}",
            finding.message
        );
        let (finding, _) = told(slice::from_ref(&same), slice::from_ref(&same));
        assert!(
            finding.message.contains("no event differed"),
            "{}",
            finding.message
        );
    }
}
