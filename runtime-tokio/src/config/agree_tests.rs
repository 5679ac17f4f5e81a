use super::super::tests::GOOD;
use super::*;

/// The file of node `id`, changed.
fn file(id: u64, change: (&str, &str)) -> (PathBuf, Settings) {
    let store = format!(
        "00000000000000000000000000000{0}0{0}",
        ["a", "b", "c"][id as usize - 1]
    );
    let own = format!("[node]\nid = {id}\n");
    let text = GOOD.replacen("[node]\nid = 2\n", &own, 1).replacen(
        "00000000000000000000000000000b0b",
        &store,
        1,
    );
    assert!(text.contains(change.0), "{}", change.0);
    let path = PathBuf::from(format!("node-{id}.toml"));
    let settings = Settings::parse(&path, &text.replace(change.0, change.1)).unwrap();
    (path, settings)
}

const SAME: (&str, &str) = ("", "");

/// What is said of three files of which the last is changed.
fn told(change: (&str, &str)) -> String {
    let files = [file(1, SAME), file(2, SAME), file(3, change)];
    agree(&files).unwrap_err().to_string()
}

#[test]
fn files_of_one_cluster_agree_whatever_is_their_own() {
    let changes = [
        ("control = \"/run", "hand_over_ms = 9\ncontrol = \"/tmp"),
        ("[cluster]", "[timing]\nheartbeat_ms = 1000\n[cluster]"),
        ("[cluster]", "[limits]\nrequests_max = 7\n[cluster]"),
    ];
    for change in changes {
        agree(&[file(1, SAME), file(2, change), file(3, SAME)]).unwrap();
    }
}

#[test]
fn in_which_order_nodes_and_chains_are_listed_means_nothing() {
    let chain = "[[chains]]\nname = \"audit\"\nmembers = [3]\n";
    let (path, _) = file(3, SAME);
    let (head, tail) = GOOD.split_once("[[chains]]").unwrap();
    let tail = format!("{chain}[[chains]]{}", tail.replace(chain, ""));
    let settings = Settings::parse(&path, &format!("{head}{tail}")).unwrap();
    agree(&[file(1, SAME), (path, settings)]).unwrap();
}

#[test]
fn the_first_key_that_differs_is_named_with_both_files_and_values() {
    let same = "expected the same in the files of all nodes";
    let kept = "chains[name = \"orders\"].retention.entries_max";
    let cases = [
        (
            ("00d001", "00d002"),
            "cluster.deployment: 0000000000000000000000000000d001 in node-1.toml, \
             0000000000000000000000000000d002 in node-3.toml",
        ),
        (
            (
                "00000000000000000000000000000a0a",
                "00000000000000000000000000000a0f",
            ),
            "cluster.nodes[id = 1].store: 00000000000000000000000000000a0a in node-1.toml, \
             00000000000000000000000000000a0f in node-3.toml",
        ),
        (
            ("10.0.0.2:7000", "10.0.0.9:7000"),
            "cluster.nodes[id = 2].address: 10.0.0.2:7000 in node-1.toml, \
             10.0.0.9:7000 in node-3.toml",
        ),
        (
            ("members = [3]", "members = [1]"),
            "chains[name = \"audit\"].members: [3] in node-1.toml, [1] in node-3.toml",
        ),
        (
            ("name = \"audit\"", "name = \"other\""),
            "chains[name = \"audit\"].members: [3] in node-1.toml, not there in node-3.toml",
        ),
        (
            ("leader_pinned = 1", ""),
            "chains[name = \"orders\"].leader_pinned: 1 in node-1.toml, not set in node-3.toml",
        ),
        (
            ("entries_max = 1000", "entries_max = 10"),
            &*format!("{kept}: 1000 in node-1.toml, 10 in node-3.toml"),
        ),
        (
            ("[cluster]", "[limits]\nclients_max = 7\n[cluster]"),
            "limits.clients_max: 1024 in node-1.toml, 7 in node-3.toml",
        ),
        (
            ("[cluster]", "[limits]\nentry_bytes_max = 7\n[cluster]"),
            "limits.entry_bytes_max: 262144 in node-1.toml, 7 in node-3.toml",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(told(change), format!("{expected}, {same}"));
    }
    let slow = ("[cluster]", "[timing]\nheartbeat_ms = 1001\n[cluster]");
    assert_eq!(
        told(slow),
        "timing.heartbeat_ms: 500 in node-1.toml, 1001 in node-3.toml, \
         expected at most twice the other"
    );
}

#[test]
fn no_node_has_two_files() {
    let (_, settings) = file(1, SAME);
    let twin = (PathBuf::from("copy.toml"), settings);
    let error = agree(&[file(1, SAME), file(2, SAME), twin]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "node.id: 1 in node-1.toml, 1 in copy.toml, expected another node in each file"
    );
}
