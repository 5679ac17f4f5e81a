use super::{ClientLimits, Clients, Lookup};
use crate::chain::checkpoint;
use crate::chain::entry::{Entry, EntryHash, EntryKind, Membership, Request};
use crate::chain::payload::Payload;
use crate::id::{ClientId, Epoch, Gen, Incarnation, NodeId, RequestNumber, Seq, StoreId};
use crate::time::Wall;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proptest::prelude::*;

const LIMITS: ClientLimits = ClientLimits {
    clients_max: 3,
    window: 4,
};

fn epoch(n: u64) -> Epoch {
    Epoch {
        n,
        node: NodeId::new(1),
    }
}

fn entry(seq: u64, kind: EntryKind) -> Entry {
    Entry {
        generation: Gen::new(0),
        seq: Seq::new(seq),
        epoch: epoch(1 + seq / 10),
        store: StoreId::new(1),
        incarnation: Incarnation::new(1),
        stamp: Wall::from_ms(0),
        kind,
        payload: Payload::empty(),
        hash: EntryHash::default(),
    }
}

fn request(client: u64, number: u64) -> Request {
    Request {
        client: ClientId(Seq::new(client)),
        number: RequestNumber::new(number),
    }
}

fn ask(client: u64, number: u64) -> EntryKind {
    EntryKind::Data(Some(request(client, number)))
}

/// The table after `kinds`, the entries of a log from its beginning.
fn fold(kinds: impl IntoIterator<Item = EntryKind>) -> Clients {
    let mut clients = Clients::default();
    for (seq, kind) in (0..).zip(kinds) {
        clients.apply(&entry(seq, kind), LIMITS);
    }
    clients
}

fn known(seq: u64) -> Lookup {
    Lookup::Known {
        seq: Seq::new(seq),
        epoch: epoch(1 + seq / 10),
    }
}

#[test]
fn a_client_exists_from_its_entry_on() {
    let clients = fold([EntryKind::Empty]);
    assert!(clients.is_empty());
    assert_eq!(clients.lookup(request(1, 1)), Lookup::UnknownClient);
    let clients = fold([EntryKind::Empty, EntryKind::OpenClient]);
    assert_eq!(clients.len(), 1);
    assert_eq!(clients.lookup(request(1, 1)), Lookup::New);
    assert_eq!(clients.lookup(request(0, 1)), Lookup::UnknownClient);
}

#[test]
fn only_requests_of_known_clients_count() {
    let config = EntryKind::Config(Arc::new(Membership::default()));
    let clients = fold([
        EntryKind::OpenClient,
        EntryKind::Data(None),
        config,
        ask(9, 1),
    ]);
    assert_eq!(clients, fold([EntryKind::OpenClient]));
}

#[test]
fn a_request_in_the_log_is_known_by_its_place() {
    let clients = fold([EntryKind::OpenClient, ask(0, 1), ask(0, 3)]);
    assert_eq!(clients.lookup(request(0, 1)), known(1));
    assert_eq!(
        clients.lookup(request(0, 2)),
        Lookup::New,
        "a gap may still be filled"
    );
    assert_eq!(clients.lookup(request(0, 3)), known(2));
}

#[test]
fn the_window_keeps_the_highest_numbers() {
    let four = (1..=4).map(|number| ask(0, number));
    let clients = fold([EntryKind::OpenClient].into_iter().chain(four.clone()));
    assert_eq!(clients.lookup(request(0, 1)), known(1));
    let clients = fold(
        [EntryKind::OpenClient]
            .into_iter()
            .chain(four)
            .chain([ask(0, 9)]),
    );
    assert_eq!(clients.lookup(request(0, 1)), Lookup::TooOld);
    assert_eq!(clients.lookup(request(0, 2)), known(2));
    assert_eq!(clients.lookup(request(0, 8)), Lookup::New);
    assert_eq!(clients.lookup(request(0, 9)), known(5));
    assert_eq!(
        clients.lookup(request(0, 0)),
        Lookup::TooOld,
        "numbers start at 1"
    );
}

#[test]
fn the_low_mark_never_goes_back() {
    let numbers = [10, 11, 12, 13, 14, 5, 6];
    let kinds = [EntryKind::OpenClient]
        .into_iter()
        .chain(numbers.map(|number| ask(0, number)));
    let clients = fold(kinds);
    for number in 1..=10 {
        assert_eq!(
            clients.lookup(request(0, number)),
            Lookup::TooOld,
            "{number}"
        );
    }
    assert_eq!(clients.lookup(request(0, 11)), known(2));
}

#[test]
fn the_client_whose_last_entry_is_oldest_goes_first() {
    let open = [
        EntryKind::OpenClient,
        EntryKind::OpenClient,
        EntryKind::OpenClient,
    ];
    let clients = fold(
        open.clone()
            .into_iter()
            .chain([ask(0, 1), EntryKind::OpenClient]),
    );
    assert_eq!(clients.len(), 3);
    assert_eq!(
        clients.lookup(request(1, 1)),
        Lookup::UnknownClient,
        "client 1 was quiet longest"
    );
    assert_eq!(clients.lookup(request(0, 1)), known(3));
    let again = fold(
        open.into_iter()
            .chain([ask(0, 1), EntryKind::OpenClient, ask(1, 1)]),
    );
    assert_eq!(again, clients, "the evicted do not come back");
}

#[test]
fn looking_up_keeps_nobody() {
    let mut clients = fold([
        EntryKind::OpenClient,
        EntryKind::OpenClient,
        EntryKind::OpenClient,
    ]);
    for _ in 0..9 {
        assert_eq!(clients.lookup(request(0, 1)), Lookup::New);
    }
    clients.apply(&entry(3, EntryKind::OpenClient), LIMITS);
    assert_eq!(clients.lookup(request(0, 1)), Lookup::UnknownClient);
}

fn kind() -> impl Strategy<Value = EntryKind> {
    prop_oneof![
        1 => Just(EntryKind::Empty),
        1 => Just(EntryKind::OpenClient),
        6 => (0..12_u64, 1..12_u64).prop_map(|(client, number)| ask(client, number)),
    ]
}

/// A log as a leader writes it: only what the table calls new.
fn log(kinds: Vec<EntryKind>) -> Vec<EntryKind> {
    let mut log: Vec<EntryKind> = Vec::new();
    for kind in kinds {
        let admitted = match &kind {
            EntryKind::Data(Some(request)) => {
                fold(log.iter().cloned()).lookup(*request) == Lookup::New
            }
            EntryKind::Empty
            | EntryKind::OpenClient
            | EntryKind::Data(None)
            | EntryKind::Config(_) => true,
        };
        if admitted {
            log.push(kind);
        }
    }
    log
}

proptest! {
    /// *ack-kept*: what is in the log is never called new again while its client is known, and
    /// the table stays within its limits.
    #[test]
    fn nothing_is_appended_twice(kinds in prop::collection::vec(kind(), 0..60)) {
        let log = log(kinds);
        let mut clients = Clients::default();
        for (seq, kind) in (0..).zip(&log) {
            clients.apply(&entry(seq, kind.clone()), LIMITS);
            prop_assert!(clients.len() <= LIMITS.clients_max as usize);
            for row in clients.rows.values() {
                prop_assert!(row.recent.len() <= LIMITS.window as usize);
                prop_assert!(row.recent.keys().all(|number| *number > row.low));
            }
            for (place, kind) in (0..=seq).zip(&log) {
                let EntryKind::Data(Some(request)) = kind else { continue };
                match clients.lookup(*request) {
                    Lookup::Known { seq, .. } => prop_assert_eq!(seq, Seq::new(place)),
                    Lookup::TooOld | Lookup::UnknownClient => {}
                    Lookup::New => prop_assert!(false, "{:?} would be appended twice", request),
                }
            }
        }
    }

    /// A cut is undone by folding what remains: a table is a function of its log alone, and
    /// may be continued from a checkpoint of it anywhere.
    #[test]
    fn a_cut_is_a_fold_of_what_remains(
        kinds in prop::collection::vec(kind(), 1..60),
        cut in any::<prop::sample::Index>(),
        floor in any::<prop::sample::Index>(),
    ) {
        let log = log(kinds);
        let cut = cut.index(log.len() + 1);
        let floor = floor.index(cut + 1);
        let mut continued = fold(log[..floor].iter().cloned());
        for (seq, kind) in (0..).zip(&log).skip(floor).take(cut - floor) {
            continued.apply(&entry(seq, kind.clone()), LIMITS);
        }
        prop_assert_eq!(continued, fold(log[..cut].iter().cloned()));
    }

    /// Positions far apart have numbers of all lengths.
    #[test]
    fn a_table_knows_how_long_it_is(kinds in prop::collection::vec(kind(), 0..60), high in 0..60) {
        let mut clients = Clients::default();
        for (seq, kind) in (1_u64 << high..).zip(log(kinds)) {
            let kind = if let EntryKind::Data(Some(Request { client, number })) = kind {
                let client = ClientId(Seq::new(client.0.get() + (1_u64 << high)));
                EntryKind::Data(Some(Request { client, number }))
            } else {
                kind
            };
            clients.apply(&entry(seq, kind), LIMITS);
            let encoded = postcard::to_allocvec(&clients).expect("a table encodes");
            prop_assert_eq!(encoded.len() as u64, clients.encoded_bytes());
            let decoded: Clients = postcard::from_bytes(&encoded).expect("it decodes");
            prop_assert_eq!(decoded, clients.clone());
        }
    }
}

/// The bound that a config is judged by holds for the largest numbers there are.
#[test]
fn no_checkpoint_is_longer_than_its_bound() {
    let high = u64::MAX - 1_000;
    let mut clients = Clients::default();
    let mut seq = high;
    for client in 0..=LIMITS.clients_max {
        let client = high + u64::from(client);
        clients.apply(&entry(client, EntryKind::OpenClient), LIMITS);
        for number in 0..u64::from(LIMITS.window) * 2 {
            seq += 1;
            let data = EntryKind::Data(Some(request(client, high + number)));
            let entry = Entry {
                epoch: Epoch {
                    n: high,
                    node: NodeId::new(high),
                },
                ..entry(seq, data)
            };
            clients.apply(&entry, LIMITS);
        }
    }
    let rest = checkpoint::bytes_max(ClientLimits {
        clients_max: 0,
        ..LIMITS
    });
    let length = postcard::to_allocvec(&clients)
        .expect("a table encodes")
        .len() as u64;
    let bound = checkpoint::bytes_max(LIMITS) - rest;
    assert!(length <= bound + 10, "{length} of {bound}");
    assert!(
        length > bound / 2,
        "the bound is not far off: {length} of {bound}"
    );
}
