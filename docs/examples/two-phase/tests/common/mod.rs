//! The same protocol as actors of stateright.

use stateright::actor::{Actor, ActorModel, Id, Network, Out, model_timeout};
use stateright::{Checker, Expectation, Model};
use std::borrow::Cow;
use two_phase::{Care, Party, Word, split};

pub struct Peer {
    care: Care,
    nodes: u8,
    transactions: u8,
}

fn number(id: Id) -> u8 {
    usize::from(id) as u8
}

fn say(out: &mut Out<Peer>) -> impl FnMut(u8, Word) {
    |to, word| out.send(Id::from(usize::from(to)), word)
}

impl Actor for Peer {
    type Msg = Word;
    type Timer = ();
    type State = Party;
    type Storage = ();
    type Random = ();

    fn on_start(&self, id: Id, _: &Option<()>, out: &mut Out<Self>) -> Party {
        out.set_timer((), model_timeout());
        let who = (number(id), self.nodes);
        Party::begin(self.care, who, self.transactions, say(out))
    }

    fn on_msg(&self, _: Id, state: &mut Cow<Party>, from: Id, word: Word, out: &mut Out<Self>) {
        state.to_mut().hear(number(from), word, say(out));
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<Party>, (): &(), out: &mut Out<Self>) {
        state.to_mut().expire(say(out));
    }
}

/// What stateright finds, breadth first on one thread: unique states, and whether all holds.
pub fn stateright(care: Care, nodes: u8, transactions: u8) -> (usize, bool) {
    let peers = (0..nodes).map(|_| Peer {
        care,
        nodes,
        transactions,
    });
    let checker = ActorModel::new((), ())
        .actors(peers)
        .init_network(Network::new_unordered_nonduplicating([]))
        .property(Expectation::Always, "all or nothing", |_, state| {
            split(state.actor_states.iter().map(|party| &**party)).is_none()
        })
        .checker()
        .threads(1)
        .spawn_bfs()
        .join();
    (
        checker.unique_state_count(),
        checker.discoveries().is_empty(),
    )
}
