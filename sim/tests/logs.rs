//! What a machine logs names the node and the simulated time, and stands in traces.

use meshos_sim::prelude::*;
use meshos_sim::run::{run, run_watched};
use meshos_sim::trace::Event;
use meshos_sim::watch::Watch;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// Logs what it is given; 13 is more than it bears.
struct Clerk(u64);

#[derive(Clone, Debug)]
struct Word;
impl Message for Word {
    fn fingerprint(&self) -> u64 {
        0
    }
}

impl Machine for Clerk {
    type Config = ();
    type Message = Word;
    type Op = u64;
    type Output = ();

    fn boot(_: &(), boot: Boot<'_>, _: &mut Outbox<Self>) -> Self {
        tracing::info!(run = boot.run, "at work");
        Self(0)
    }

    fn step(&mut self, _: Now, input: Input<Self>, _: &mut Outbox<Self>) {
        if let Input::Op(number) = input {
            let _span = tracing::info_span!("filing").entered();
            tracing::debug!(number, "noted");
            assert_ne!(number, 13, "this one is refused");
            self.0 += number;
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn state_hash(&self) -> u64 {
        self.0
    }
}

struct Office;
impl Scenario for Office {
    type Machine = Clerk;
    type Cfg = Nothing;
    type Hook = ();

    fn name(&self) -> &str {
        "office"
    }

    fn about(&self) -> &str {
        "two clerks note numbers"
    }

    fn plan(&self, seed: u64) -> PlanOf<Self> {
        let mut plan = PlanOf::<Self>::new("office", seed, 2, Nothing {});
        plan.op(Instant::from_millis(250), 1, seed);
        plan
    }

    fn config(&self, _: &PlanOf<Self>, _: NodeIndex) {}

    fn hook(&self, _: &PlanOf<Self>) {}
}

/// The lines of the trace of a seed, with what was found.
fn traced(seed: u64) -> (Vec<String>, Option<String>) {
    let watch = Watch {
        trace_lines: 100,
        ..Watch::default()
    };
    let report = run_watched(&Office, &Office.plan(seed), &watch);
    let of_nodes = report.trace.iter().filter(|line| line.node.is_some());
    let lines = of_nodes.map(|line| {
        if let Event::Log { level, text } = &line.event {
            format!("{level} {text}")
        } else {
            line.event.kind().to_owned()
        }
    });
    (
        lines.collect(),
        report.finding.map(|finding| finding.property),
    )
}

#[test]
fn what_a_machine_logs_is_in_the_trace_behind_its_input() {
    let boots = ["boot", "INFO at work run=1"].repeat(2);
    let (lines, finding) = traced(5);
    assert_eq!(finding, None);
    assert_eq!(
        lines,
        [&boots[..], &["op", "DEBUG noted number=5"]].concat()
    );
}

#[test]
fn what_a_machine_logged_before_it_panicked_is_there_too() {
    let (lines, finding) = traced(13);
    assert_eq!(finding.as_deref(), Some("panic"));
    assert_eq!(
        lines.last().map(String::as_str),
        Some("DEBUG noted number=13")
    );
    let (lines, _) = traced(7);
    assert!(
        !lines.contains(&"DEBUG noted number=13".to_owned()),
        "{lines:?}"
    );
}

/// What a subscriber wrote.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Paper {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn whoever_subscribes_sees_node_and_simulated_time() {
    let paper = Paper::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(paper.clone())
        .with_max_level(tracing::Level::DEBUG)
        .without_time()
        .with_ansi(false)
        .finish();
    let report = tracing::subscriber::with_default(subscriber, || run(&Office, &Office.plan(5)));
    assert_eq!(report.digest, run(&Office, &Office.plan(5)).digest);
    let written = paper.0.lock().expect("one thread").clone();
    let written = String::from_utf8(written).expect("text");
    let noted = written.lines().find(|line| line.contains("noted"));
    let noted = noted.expect("the number is noted");
    assert!(
        noted.contains("step{node=n1 at=0.250000s}:filing: "),
        "{written}"
    );
}
