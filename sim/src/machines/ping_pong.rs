//! The smallest useful machine: node 0 pings, whoever is pinged answers, lost pings are repeated.

use crate::draw::mix;
use crate::machine::{Boot, Input, Machine, Message, Outbox};
use crate::node::NodeIndex;
use crate::time::{Instant, Now};
use core::time::Duration;

const RETRY: Duration = Duration::from_millis(100);

/// A ping with its number, or the answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ball {
    /// To be answered.
    Ping(u64),
    /// The answer.
    Pong(u64),
}

impl Message for Ball {
    fn fingerprint(&self) -> u64 {
        match self {
            Self::Ping(number) => mix(number << 1),
            Self::Pong(number) => mix(number << 1 | 1),
        }
    }
}

/// One of the two players.
#[derive(Clone, Debug)]
pub struct Player {
    /// The number of the last ping that was answered, or that this node answered.
    pub rally: u64,
    retry_at: Option<Instant>,
}

impl Machine for Player {
    type Config = ();
    type Message = Ball;
    type Op = ();
    /// The number of an answered ping.
    type Output = u64;

    fn boot(_: &(), boot: Boot<'_>, _: &mut Outbox<Self>) -> Self {
        let serves = boot.node == NodeIndex(0);
        Self {
            rally: 0,
            retry_at: serves.then_some(boot.now.instant),
        }
    }

    fn step(&mut self, now: Now, input: Input<Self>, out: &mut Outbox<Self>) {
        match input {
            Input::Wake => {}
            Input::Message {
                from,
                message: Ball::Ping(number),
            } => {
                self.rally = number;
                out.send(from, Ball::Pong(number));
                return;
            }
            Input::Message {
                message: Ball::Pong(number),
                ..
            } if number == self.rally + 1 => {
                self.rally = number;
                out.output(number);
            }
            Input::Message { .. } | Input::Link(_) | Input::Op(()) | Input::Disk { .. } => return,
        }
        out.send(NodeIndex(1), Ball::Ping(self.rally + 1));
        self.retry_at = Some(now.instant.after(RETRY));
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.retry_at
    }

    fn state_hash(&self) -> u64 {
        mix(self.rally ^ self.retry_at.map_or(0, |at| mix(at.as_nanos())))
    }

    fn output_fingerprint(output: &u64) -> u64 {
        *output
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Setup, Stop, World};

    #[test]
    fn the_rally_goes_on() {
        let mut world: World<Player> = World::new(Setup::new(7, vec![(), ()]));
        let stop = world.run_until(Instant::from_secs(10), &mut ());
        assert_eq!(stop, Ok(Stop::Limit));
        let rally = world.node(NodeIndex(0)).map(|player| player.rally);
        assert!(rally > Some(500), "{rally:?}");
    }
}
