use super::*;
use alloc::string::{String, ToString};

fn founder(node: u64) -> Founder {
    Founder {
        node: NodeId::new(node),
        store: StoreId::new(100 + u128::from(node)),
    }
}

fn chain(name: &str, members: &[u64]) -> ChainDraft {
    ChainDraft {
        name: name.into(),
        members: members.iter().map(|&node| NodeId::new(node)).collect(),
        leader_pinned: None,
        retention: Retention::default(),
        class: Default::default(),
    }
}

fn draft() -> Draft {
    Draft {
        deployment: DeploymentId::new(9),
        nodes: (1..=3).map(founder).collect(),
        chains: [chain("main", &[1, 2, 3])].into(),
        ..Draft::default()
    }
}

/// What a draft is refused with after `change`.
fn refusal(change: impl FnOnce(&mut Draft)) -> String {
    let mut draft = draft();
    change(&mut draft);
    let refused = Config::try_from(draft).expect_err("the draft is no config");
    refused.to_string()
}

#[test]
fn numbers_have_bounds_on_both_sides() {
    assert_eq!(
        refusal(|draft| draft.timing.heartbeat_ms = 99),
        "timing.heartbeat_ms is 99, expected 100 to 300000"
    );
    assert_eq!(
        refusal(|draft| draft.limits.background_ppm = 1_000_000),
        "limits.background_ppm is 1000000, expected 0 to 999999"
    );
}

#[test]
fn an_entry_fits_in_a_message() {
    let limits = |entry_bytes_max, message_bytes_max| {
        move |draft: &mut Draft| {
            draft.limits.entry_bytes_max = entry_bytes_max;
            draft.limits.message_bytes_max = message_bytes_max;
        }
    };
    assert_eq!(
        refusal(limits(4096, 5119)),
        "limits.message_bytes_max is 5119, expected 1024 more than limits.entry_bytes_max, which \
         is 4096"
    );
    let mut fitting = draft();
    limits(4096, 5120)(&mut fitting);
    assert!(Config::try_from(fitting).is_ok());
}

#[test]
fn a_checkpoint_is_one_that_peers_take() {
    let limits = |clients_max, client_window| {
        move |draft: &mut Draft| {
            draft.limits.clients_max = clients_max;
            draft.limits.client_window = client_window;
        }
    };
    let refused = refusal(limits(1 << 20, 65_536));
    assert!(
        refused.starts_with(
            "limits.clients_max is 1048576 and limits.client_window is 65536, which is up to "
        ),
        "{refused}"
    );
    for (clients_max, client_window) in [(100_000, 64), (1_024, 6_000), (1, 65_536)] {
        let mut fitting = draft();
        limits(clients_max, client_window)(&mut fitting);
        assert!(Config::try_from(fitting).is_ok());
    }
}

#[test]
fn nodes_and_chains_are_themselves() {
    let refused = [
        refusal(|draft| draft.nodes.push(founder(0))),
        refusal(|draft| draft.nodes.push(founder(3))),
        refusal(|draft| draft.chains.push(chain("main", &[1]))),
        refusal(|draft| draft.chains.push(chain("pair", &[1, 2]))),
        refusal(|draft| draft.chains.push(chain("twice", &[1, 2, 2]))),
        refusal(|draft| draft.chains.push(chain("elsewhere", &[1, 2, 4]))),
        refusal(|draft| draft.chains[0].leader_pinned = Some(NodeId::new(4))),
    ];
    let expected = [
        "a node is called 0",
        "node 3 is listed twice",
        "chain \"main\" is listed twice",
        "chain \"pair\" has 2 members, expected 1 or 3 to 16",
        "chain \"twice\" lists node 2 twice",
        "chain \"elsewhere\" names node 4, which is not among the nodes",
        "chain \"main\" pins its leader to node 4, which is not among its members",
    ];
    for (refused, expected) in refused.iter().zip(expected) {
        assert!(
            refused.starts_with(expected),
            "{refused:?} is not {expected:?}"
        );
    }
}

#[test]
fn the_order_of_a_draft_does_not_matter() {
    let mut mixed = draft();
    mixed.nodes.reverse();
    mixed.chains[0].members.rotate_left(1);
    let (config, mixed) = (Config::try_from(draft()), Config::try_from(mixed));
    assert_eq!(config, mixed);
}

#[test]
fn the_cluster_is_what_has_to_be_equal_everywhere() {
    let cluster = |draft: Draft| {
        Config::try_from(draft)
            .expect("the config is valid")
            .cluster()
    };
    let mut tuned = draft();
    tuned.timing.heartbeat_ms = 200;
    tuned.limits.chunks_in_flight_max = 2;
    assert_eq!(cluster(tuned), cluster(draft()));
    let mut other = draft();
    other.limits.clients_max += 1;
    assert_ne!(cluster(other), cluster(draft()));
}
