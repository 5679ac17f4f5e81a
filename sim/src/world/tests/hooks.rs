//! What hooks decide: crashes, bits that flip, operations, alarms and findings.

use super::*;

/// Crashes a node twice for a while, from the very beginning on.
struct Crashes;

impl Hook<Busy> for Crashes {
    fn on_boot(
        &mut self,
        view: View<'_, Busy>,
        node: NodeIndex,
        later: &mut Schedule<Busy>,
    ) -> Result<(), Violation> {
        if view.run(node) == 1 {
            later.crash(ms(10), node, Unsynced::Lost, ms(100));
            later.crash(ms(50), node, Unsynced::Lost, ms(300));
        }
        Ok(())
    }
}

#[test]
fn the_last_crash_of_a_hook_decides_when_it_ends() {
    let mut world = quiet_world(1);
    for (until, is_up) in [(5, true), (20, false), (200, false), (400, true)] {
        assert!(world.run_until(ms(until), &mut Crashes).is_ok());
        assert_eq!(world.is_up(A), is_up, "{until}");
    }
}

/// Lets only the first four bytes of the log flip.
struct FirstBytes;

impl Hook<Busy> for FirstBytes {
    fn flippable(
        &mut self,
        _: View<'_, Busy>,
        _: NodeIndex,
        _: &crate::disk::Disk,
    ) -> crate::hook::Flips {
        Some(vec![crate::hook::Flippable {
            file: "log".into(),
            bytes: 0..4,
        }])
    }
}

#[test]
fn bits_flip_where_the_hook_allows() {
    let mut world = quiet_world(1);
    world.schedule_op(ms(10), A, 1);
    run(&mut world, ms(50));
    let before = world.disk(A).clone();
    let fault = Fault::Flip { node: A, bits: 40 };
    world
        .apply(&fault, &mut FirstBytes)
        .expect("nothing is checked");
    let (old, new) = (before.read("log"), world.disk(A).read("log"));
    let (old, new) = (old.expect("written"), new.expect("written"));
    assert_ne!(old[..4], new[..4]);
    assert_eq!(old[4..], new[4..]);
    assert_eq!(before.read("spare"), world.disk(A).read("spare"));
}

/// Fails at a given time.
struct Fails;

impl Hook<Busy> for Fails {
    fn on_alarm(
        &mut self,
        _: View<'_, Busy>,
        tag: u64,
        later: &mut Schedule<Busy>,
    ) -> Result<(), Violation> {
        if tag == 2 {
            return Err(Violation::new("tag", "two").at_node(B));
        }
        later.alarm(ms(70), tag + 1);
        later.op(ms(60), A, 9);
        later.fault(ms(65), CRASH);
        Ok(())
    }
}

#[test]
fn hooks_schedule_and_fail_with_the_time() {
    let mut world = quiet_world(2);
    world.schedule_alarm(ms(40), 1);
    let violation = world.run_until(ms(100), &mut ((), Fails));
    let violation = violation.expect_err("the second alarm fails");
    assert_eq!(violation.to_string(), "tag at 0.070000s on n1: two");
    assert!(!world.is_up(A));
    assert_eq!(world.now(), ms(70));
}
