use super::*;

pub(super) const GOOD: &str = r#"
[node]
id = 2
control = "/run/meshos.sock"

[store]
path = "/var/lib/meshos"
id = "00000000000000000000000000000b0b"

[cluster]
deployment = "0000000000000000000000000000d001"

[[cluster.nodes]]
id = 1
store = "00000000000000000000000000000a0a"
address = "10.0.0.1:7000"

[[cluster.nodes]]
id = 2
store = "00000000000000000000000000000b0b"
address = "10.0.0.2:7000"

[[cluster.nodes]]
id = 3
store = "00000000000000000000000000000c0c"
address = "10.0.0.3:7000"

[[chains]]
name = "orders"
leader_pinned = 1
retention = { entries_max = 1000 }

[[chains]]
name = "audit"
members = [3]
"#;

fn parse(text: &str) -> Result<Settings, ConfigError> {
    Settings::parse(Path::new("node.toml"), text)
}

fn mistake(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    let text = GOOD.replacen(from, to, 1);
    parse(&text).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_good_file_gives_genesis_peers_and_defaults() {
    let settings = parse(GOOD).unwrap();
    assert_eq!(settings.identity.node, NodeId::new(2));
    assert_eq!(settings.listen, "10.0.0.2:7000");
    let peers: Vec<u64> = settings.peers.keys().map(|node| node.get()).collect();
    assert_eq!(peers, [1, 3]);
    let members = |name: &str| {
        let mut chains = settings.core.chains().iter();
        let chain = chains.find(|chain| chain.name == name).unwrap();
        chain.members.iter().map(|n| n.get()).collect::<Vec<_>>()
    };
    assert_eq!(members("orders"), [1, 2, 3]);
    assert_eq!(members("audit"), [3]);
    assert_eq!(settings.foundings().len(), 1, "audit lives elsewhere");
    assert_eq!(settings.file.recording.payload, PayloadText::Full);
}

#[test]
fn what_is_shown_is_read_back_as_the_same() {
    let settings = parse(GOOD).unwrap();
    let shown = toml::to_string(&settings.file).unwrap();
    let again = parse(&shown).unwrap();
    assert_eq!(again.file, settings.file);
    assert_eq!(again.core, settings.core);
}

#[test]
fn nodes_agree_on_the_cluster_whatever_is_their_own() {
    let other = GOOD
        .replacen("id = 2", "id = 1", 1)
        .replacen("0b0b", "0a0a", 1)
        .replacen("/run", "/tmp", 1);
    let cluster = |text: &str| parse(text).unwrap().identity.cluster;
    assert_eq!(cluster(GOOD), cluster(&other));
    assert_ne!(cluster(GOOD), cluster(&GOOD.replace("audit", "other")));
}

#[test]
fn a_mistake_names_file_place_key_found_and_expected() {
    let cases = [
        (
            ("id = 2", "id = \"two\""),
            "node.toml:3:6: node.id: invalid type: string \"two\", expected u64",
        ),
        (
            ("control = ", "contrl = "),
            "node.toml:4:1: node.contrl: unknown field `contrl`, \
             expected one of `id`, `listen`, `control`, `hand_over_ms`",
        ),
        (
            ("entries_max = 1000", "entries_max = -1"),
            "node.toml:31:29: chains[0].retention.entries_max: \
             invalid value: integer `-1`, expected u64",
        ),
        (
            ("00000000000000000000000000000c0c", "c0c"),
            "node.toml:25:9: cluster.nodes[2].store: invalid value: string \"c0c\", \
             expected 32 hexadecimal digits, not all zero",
        ),
        (
            ("members = [3]", "consistency = \"available\""),
            "node.toml:35:15: chains[1].consistency: unknown variant `available`, \
             expected `quorum`",
        ),
        (
            ("path = ", "# path = "),
            "node.toml:6:1: store: missing field `path`",
        ),
    ];
    for ((from, to), expected) in cases {
        assert_eq!(mistake(from, to), expected);
    }
}

#[test]
fn broken_toml_names_the_place() {
    let error = mistake("id = 2", "id = = 2");
    assert!(error.starts_with("node.toml:3:6: "), "{error}");
}

#[test]
fn contradictions_name_key_found_and_expected() {
    let cases = [
        (
            ("id = 2", "id = 9"),
            "node.toml: node.id: found 9, expected the id of one of cluster.nodes",
        ),
        (
            ("b0b\"", "b0c\""),
            "node.toml: store.id: found 00000000000000000000000000000b0c, expected \
             00000000000000000000000000000b0b, as cluster.nodes says of node 2",
        ),
        (
            ("members = [3]", "factor = 4"),
            "node.toml: chains[1].factor: found 4, expected no more than there are cluster.nodes",
        ),
        (
            ("members = [3]", "members = [3]\nfactor = 2"),
            "node.toml: chains[1].factor: found 2, expected the number of members, \
             or no factor beside members",
        ),
        (
            ("members = [3]", "factor = 2"),
            "node.toml: chain \"audit\" has 2 members, expected 1 or 3 to 16",
        ),
        (
            ("10.0.0.3:7000", "10.0.0.3"),
            "node.toml: cluster.nodes[2].address: found 10.0.0.3, \
             expected host:port, the port from 1 to 65535",
        ),
        (
            ("10.0.0.3:7000", "localhost:0"),
            "node.toml: cluster.nodes[2].address: found localhost:0, \
             expected host:port, the port from 1 to 65535",
        ),
        (
            ("10.0.0.3:7000", "10.0.0.1:7000"),
            "node.toml: cluster.nodes[2].address: found 10.0.0.1:7000, \
             expected another address than that of node 1",
        ),
        (
            ("[store]", "listen = \":7000\"\n[store]"),
            "node.toml: node.listen: found :7000, \
             expected host:port, the port from 1 to 65535",
        ),
        (
            ("[store]", "[timing]\nheartbeat_ms = 1\n[store]"),
            "node.toml: timing.heartbeat_ms is 1, expected 100 to 300000",
        ),
        (
            ("[store]", "[timing]\nrequest_ms = 1\n[store]"),
            "node.toml: timing.request_ms: found 1, expected 100 to 3600000",
        ),
        (
            ("[store]", "[recording]\nfiles_max = 0\n[store]"),
            "node.toml: recording.files_max: found 0, expected 1 to 1048576",
        ),
        (
            ("entries_max = 1000", "entries_max = 1000, age_max_ms = 0"),
            "node.toml: chains[0].retention.age_max_ms: found 0, expected 1 or more, or no bound",
        ),
        (
            ("name = \"audit\"", "name = \"\""),
            "node.toml: chains[1].name: found \"\", \
             expected 1 to 255 bytes without control characters",
        ),
    ];
    for ((from, to), expected) in cases {
        assert_eq!(mistake(from, to), expected);
    }
}

#[test]
fn a_path_that_is_too_long_for_a_socket_is_refused() {
    let path = |bytes: usize| GOOD.replace("/run/meshos.sock", &"a".repeat(bytes));
    assert!(parse(&path(107)).is_ok());
    let told = parse(&path(108)).unwrap_err().to_string();
    assert!(told.starts_with("node.toml: node.control: found a path of 108 bytes"));
}

#[test]
fn a_missing_file_is_named() {
    let error = Settings::read(Path::new("/nowhere/node.toml")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nowhere/node.toml: cannot be read: ")
    );
}
