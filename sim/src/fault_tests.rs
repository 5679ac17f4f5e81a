use super::*;

const A: NodeIndex = NodeIndex(0);
const B: NodeIndex = NodeIndex(1);

/// One fault of each kind, with what a plan writes for it.
fn all() -> Vec<(Fault, &'static str)> {
    let recover = (
        Fault::Recover {
            nodes: vec![B],
            keep: vec![Keep::Cuts],
        },
        "nodes = [1]\nkeep = [\"cuts\"]",
    );
    let groups = [of_processes(A), of_links(A, B), of_clocks(A), of_disks(A)];
    groups.into_iter().flatten().chain([recover]).collect()
}

fn of_processes(node: NodeIndex) -> Vec<(Fault, &'static str)> {
    let unsynced = Unsynced::Torn;
    vec![
        (
            Fault::Crash { node, unsynced },
            "node = 0\nunsynced = \"torn\"",
        ),
        (
            Fault::CrashAtPersist {
                node,
                op: 3,
                unsynced: Unsynced::Drawn,
                restart_after_ms: Some(5),
            },
            "node = 0\nop = 3\nrestart_after_ms = 5",
        ),
        (Fault::Restart { node }, "node = 0"),
        (Fault::Pause { node }, "node = 0"),
        (Fault::Resume { node }, "node = 0"),
        (Fault::Wipe { node }, "node = 0"),
    ]
}

fn of_links(from: NodeIndex, to: NodeIndex) -> Vec<(Fault, &'static str)> {
    let weather = Some(Weather {
        loss_ppm: 7,
        ..Weather::latency_us(1, 2)
    });
    vec![
        (
            Fault::Partition {
                groups: vec![vec![A], vec![B]],
            },
            "groups = [[0], [1]]",
        ),
        (Fault::Cut { from, to }, "from = 0\nto = 1"),
        (Fault::Mend { from, to }, "from = 0\nto = 1"),
        (Fault::Clog { from, to }, "from = 0\nto = 1"),
        (Fault::Unclog { from, to }, "from = 0\nto = 1"),
        (
            Fault::Filter {
                message: 4,
                from: None,
                to: Some(B),
            },
            "message = 4\nto = 1",
        ),
        (Fault::Heal {}, ""),
        (
            Fault::Weather {
                from: Some(A),
                to: None,
                weather,
            },
            "from = 0\nweather = { latency_us_min = 1, latency_us_max = 2, loss_ppm = 7 }",
        ),
    ]
}

fn of_clocks(node: NodeIndex) -> Vec<(Fault, &'static str)> {
    vec![
        (Fault::ClockOffset { node, ms: -1 }, "node = 0\nms = -1"),
        (Fault::ClockStep { node, ms: -1 }, "node = 0\nms = -1"),
        (Fault::ClockJump { node, ms: 1 }, "node = 0\nms = 1"),
        (Fault::ClockRate { node, ppm: -9 }, "node = 0\nppm = -9"),
        (Fault::ClockStop { node }, "node = 0"),
        (Fault::ClockStart { node }, "node = 0"),
        (Fault::LateWake { node, by_ms: 1 }, "node = 0\nby_ms = 1"),
    ]
}

fn of_disks(node: NodeIndex) -> Vec<(Fault, &'static str)> {
    vec![
        (
            Fault::DiskLatency {
                node,
                us_min: 1,
                us_max: 2,
            },
            "node = 0\nus_min = 1\nus_max = 2",
        ),
        (Fault::DiskFull { node, on: true }, "node = 0\non = true"),
        (
            Fault::DiskRoom {
                node,
                bytes: Some(7),
                at_sync: true,
            },
            "node = 0\nbytes = 7\nat_sync = true",
        ),
        (
            Fault::DiskRoom {
                node,
                bytes: None,
                at_sync: false,
            },
            "node = 0",
        ),
        (Fault::DiskSyncError { node }, "node = 0"),
        (
            Fault::DiskLoseWrite {
                node,
                elsewhere: true,
            },
            "node = 0\nelsewhere = true",
        ),
        (Fault::DiskSnapshot { node }, "node = 0"),
        (Fault::DiskRestore { node }, "node = 0"),
        (
            Fault::DiskReadError {
                node,
                file: "f".to_owned(),
                offset: 1,
                bytes: 7,
            },
            "node = 0\nfile = \"f\"\noffset = 1\nbytes = 7",
        ),
        (Fault::Reformat { node }, "node = 0"),
        (Fault::Flip { node, bits: 2 }, "node = 0\nbits = 2"),
        (
            Fault::FlipAt {
                node,
                file: "f".to_owned(),
                offset: 1,
                bit: 7,
            },
            "node = 0\nfile = \"f\"\noffset = 1\nbit = 7",
        ),
    ]
}

#[test]
fn a_plan_says_what_is_meant() {
    for (fault, text) in all() {
        let text = format!("kind = \"{}\"\n{text}", fault.kind());
        assert_eq!(toml::from_str(&text), Ok(fault.clone()), "{text}");
        let written = toml::to_string(&fault).expect("a fault can be written");
        assert_eq!(toml::from_str(&written), Ok(fault), "{written}");
    }
}

#[test]
fn unknown_fields_are_refused() {
    for (fault, text) in all() {
        let text = format!("kind = \"{}\"\n{text}\nextra = 1", fault.kind());
        let error = toml::from_str::<Fault>(&text).expect_err(&text);
        assert!(
            error.to_string().contains("unknown field `extra`"),
            "{error}"
        );
    }
    let error = toml::from_str::<Fault>("kind = \"crush\"\nnode = 0").expect_err("no such kind");
    assert!(
        error.to_string().contains("unknown variant `crush`"),
        "{error}"
    );
    let weather = "latency_us_min = 1\nlatency_us_max = 2\nloss = 3";
    assert!(toml::from_str::<Weather>(weather).is_err());
}

#[test]
fn every_fault_names_its_nodes() {
    for (fault, text) in all() {
        let named = fault.nodes().count();
        let two = text.contains("from = 0\nto = 1") || text.contains("groups");
        let expected = if two {
            2
        } else {
            usize::from(!text.is_empty())
        };
        assert_eq!(named, expected, "{fault:?}");
    }
}
