use super::w1;
use super::yardstick::bare_w1;
use crate::node::NodeIndex;
use crate::queue::QueueKind;

/// Both sides of a ratio must do the same work.
#[test]
fn yardstick_and_engine_do_the_same_work() {
    for (nodes, seconds) in [(5, 600), (50, 20)] {
        let world = w1::run(7, nodes, seconds, QueueKind::Auto);
        let bare = bare_w1(7, nodes, seconds);
        let nodes = u64::from(nodes);
        let waking = nodes * seconds * 12;
        let messages = nodes * (nodes - 1) * seconds * 2;
        // Messages may be on their way at the end; boots and the scheduled fault are extra.
        for events in [world.steps(), bare.events] {
            assert!(events + nodes * nodes > waking + messages, "{events}");
            assert!(events <= waking + messages + nodes + 1, "{events}");
        }
        assert_eq!(bare.misses, 0);
        let heart = world.node(NodeIndex(0)).expect("nothing crashed");
        assert_eq!(heart.misses, 0);
    }
}
