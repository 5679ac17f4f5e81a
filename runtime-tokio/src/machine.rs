//! What the driver drives: the core's node, or a script in a test.

use meshos_core::action::Actions;
use meshos_core::event::Event;
use meshos_core::hash::StateHash;
use meshos_core::node::Node;
use meshos_core::time::Instant;

/// The contract of the core's node, so that the driver can be tested against a script.
pub trait Machine {
    /// Advances to `now`, applies `event` and appends the consequences to `out`.
    fn step(&mut self, now: Instant, event: Event, out: &mut Actions);

    /// When to step next if nothing else happens first.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Digest of everything that can influence a future action.
    fn state_hash(&self) -> StateHash;
}

impl Machine for Node {
    fn step(&mut self, now: Instant, event: Event, out: &mut Actions) {
        self.step(now, event, out);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn state_hash(&self) -> StateHash {
        self.state_hash()
    }
}
