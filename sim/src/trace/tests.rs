use super::*;

/// One event of each kind.
fn all() -> Vec<Event> {
    let (message, node) = (String::new(), NodeIndex(0));
    let text = String::new;
    vec![
        Event::Boot { run: 1, store: 1 },
        Event::Crash {},
        Event::Wake {},
        Event::Receive {
            from: node,
            message: message.clone(),
        },
        Event::Op { op: text() },
        Event::Link { link: text() },
        Event::Stored {
            token: 1,
            error: None,
        },
        Event::Send {
            to: None,
            message: message.clone(),
        },
        Event::Lost { to: node, message },
        persist(1, &[]),
        Event::Output { output: text() },
        Event::Exit {},
        Event::Refused { what: text() },
        Event::Fault {
            fault: Fault::Heal {},
        },
        Event::State { hash: 1 },
        Event::Role {
            role: text(),
            state: text(),
        },
        Event::Log {
            level: text(),
            text: text(),
        },
        Event::Note { text: text() },
    ]
}

#[test]
fn kinds_are_called_as_in_json() {
    let kinds: Vec<_> = all().iter().map(Event::kind).collect();
    assert_eq!(kinds, Event::KINDS);
    for event in all() {
        let json = serde_json::to_value(&event).expect("it is data");
        assert_eq!(json["event"], event.kind());
    }
}

#[test]
fn places_count_all_lines_of_a_run() {
    let mut trace = Trace::new(2);
    for _ in 0..5 {
        trace.push(Instant::ZERO, None, Event::Wake {});
    }
    let places: Vec<_> = trace.lines().map(|line| line.place).collect();
    assert_eq!((places, trace.dropped()), (vec![3, 4], 3));
}
