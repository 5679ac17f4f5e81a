//! The monitor by hand, and one that watches a machine of this crate.

use super::{Monitor, Tally, clear, take};
use crate::fault::Fault;
use crate::hook::{Hook, Schedule};
use crate::machines::ping_pong::Player;
use crate::node::NodeIndex;
use crate::time::Instant;
use crate::violation::Violation;
use crate::world::{Setup, View, World};
use core::time::Duration;

const BOUND: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Instant {
    Instant::from_secs(seconds)
}

/// Judges every subject of a monitor, the smallest first.
fn judge(monitor: &Monitor<u8>, seconds: u64) -> Result<(), Violation> {
    (0..=u8::MAX).try_for_each(|subject| judge_one(monitor, subject, seconds))
}

fn judge_one(monitor: &Monitor<u8>, subject: u8, seconds: u64) -> Result<(), Violation> {
    monitor.judge(&subject, at(seconds), || format!("{subject} owes"))
}

#[test]
fn a_condition_that_holds_for_the_bound_without_its_consequence_is_a_violation() {
    let mut monitor = Monitor::new("prompt");
    monitor.hold(7, at(3), BOUND);
    assert_eq!(monitor.due(), Some(at(13)));
    assert_eq!(judge(&monitor, 13), Ok(()));
    let violation = judge(&monitor, 14).expect_err("it is overdue");
    assert_eq!(violation.property, "prompt");
    assert!(
        violation
            .detail
            .contains("7 owes; it has held since 3.000000s, for 11000 ms"),
        "{}",
        violation.detail
    );
}

#[test]
fn a_subject_is_judged_by_what_it_owes_itself() {
    let mut monitor = Monitor::new("prompt");
    monitor.hold(1, at(0), BOUND);
    monitor.hold(2, at(5), BOUND);
    assert_eq!(judge_one(&monitor, 2, 12), Ok(()), "only 1 is overdue");
    assert_eq!(judge_one(&monitor, 3, 12), Ok(()), "it owes nothing");
    let violation = judge_one(&monitor, 1, 12).expect_err("it is overdue");
    assert!(
        violation
            .detail
            .contains("1 owes; it has held since 0.000000s, for 12000 ms"),
        "{}",
        violation.detail
    );
    let violation = judge_one(&monitor, 2, 16).expect_err("so is this one");
    assert!(
        violation
            .detail
            .contains("2 owes; it has held since 5.000000s, for 11000 ms"),
        "{}",
        violation.detail
    );
}

#[test]
fn a_break_or_the_consequence_ends_it_and_it_begins_anew() {
    clear();
    let mut monitor = Monitor::new("prompt");
    monitor.hold(1, at(0), BOUND);
    assert!(monitor.release(&1));
    monitor.hold(1, at(5), BOUND);
    assert_eq!(judge(&monitor, 12), Ok(()), "the break began a new wait");
    assert!(monitor.meet(&1));
    assert!(!monitor.meet(&1), "nothing was owed any more");
    // The condition broke between two looks: told of a later time, it begins anew.
    monitor.hold(1, at(20), BOUND);
    monitor.hold(1, at(29), BOUND);
    assert_eq!(judge(&monitor, 38), Ok(()));
    let tally = take().remove("prompt");
    let armed = Tally { armed: 4, met: 1 };
    assert_eq!(tally, Some(armed));
}

#[test]
fn a_bound_may_grow_while_it_runs_and_never_shrinks() {
    let mut monitor = Monitor::new("prompt");
    monitor.hold(1, at(0), BOUND);
    monitor.hold(1, at(0), 2 * BOUND);
    monitor.hold(1, at(0), BOUND);
    assert_eq!(judge(&monitor, 19), Ok(()));
    assert!(judge(&monitor, 21).is_err());
}

/// *rally-goes-on*: while both players run and hear each other, a ping is answered within a second.
struct Rally {
    owed: Monitor<()>,
    /// When the condition began to hold, or when the last ping was answered.
    since: Option<Instant>,
    /// Whether the condition forgets to ask for the way back.
    careless: bool,
}

const LOOK: Duration = Duration::from_millis(50);

impl Rally {
    fn new(careless: bool) -> Self {
        Self {
            owed: Monitor::new("rally-goes-on"),
            since: None,
            careless,
        }
    }

    fn look(&mut self, view: View<'_, Player>) -> Result<(), Violation> {
        let (one, two) = (NodeIndex(0), NodeIndex(1));
        let up = view
            .nodes()
            .all(|node| view.is_up(node) && !view.is_paused(node));
        let works = |from, to| {
            let link = view.link(from, to);
            link.is_connected && !link.is_filtered && link.weather.loss_ppm == 0
        };
        if up && works(one, two) && (self.careless || works(two, one)) {
            let since = *self.since.get_or_insert(view.at());
            self.owed.hold((), since, Duration::from_secs(1));
        } else {
            self.since = None;
            self.owed.release(&());
        }
        self.owed
            .judge(&(), view.at(), || "two players that hear each other rest")
    }
}

impl Hook<Player> for Rally {
    fn on_boot(
        &mut self,
        view: View<'_, Player>,
        node: NodeIndex,
        later: &mut Schedule<Player>,
    ) -> Result<(), Violation> {
        if node == NodeIndex(0) && view.at() == Instant::ZERO {
            later.alarm(view.at(), 0);
        }
        Ok(())
    }

    fn on_alarm(
        &mut self,
        view: View<'_, Player>,
        _: u64,
        later: &mut Schedule<Player>,
    ) -> Result<(), Violation> {
        later.alarm(view.at().after(LOOK), 0);
        self.look(view)
    }

    fn on_fault(
        &mut self,
        view: View<'_, Player>,
        _: &Fault,
        _: &mut Schedule<Player>,
    ) -> Result<(), Violation> {
        self.look(view)
    }

    fn on_output(
        &mut self,
        view: View<'_, Player>,
        _: NodeIndex,
        _: &u64,
        _: &mut Schedule<Player>,
    ) -> Result<(), Violation> {
        self.owed.meet(&());
        self.since = Some(view.at());
        Ok(())
    }
}

/// A rally whose way back is cut for three seconds.
fn interrupted(hook: &mut Rally) -> Result<(), Violation> {
    let mut world: World<Player> = World::new(Setup::new(7, vec![(), ()]));
    let (from, to) = (NodeIndex(1), NodeIndex(0));
    world.schedule_fault(at(2), Fault::Cut { from, to });
    world.schedule_fault(at(5), Fault::Mend { from, to });
    world.run_until(at(8), hook).map(|_| ())
}

#[test]
fn a_machine_meets_its_obligation_while_faults_last() {
    clear();
    assert_eq!(interrupted(&mut Rally::new(false)), Ok(()));
    let tally = take().remove("rally-goes-on").expect("it has a monitor");
    assert!(tally.met >= 100, "{tally:?}");
}

#[test]
fn a_violation_comes_at_the_bound_although_nothing_happens() {
    let violation = interrupted(&mut Rally::new(true)).expect_err("nobody answers");
    assert_eq!(violation.property, "rally-goes-on");
    let passed = violation.at.since(at(3));
    assert!(passed < Duration::from_millis(100), "{violation}");
}
