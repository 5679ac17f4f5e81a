//! One call of checked code that may never return.

use crate::trace::Line;
use crate::watch::{Pulse, Tail, Watch};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// What became of a guarded call.
#[derive(Debug)]
pub(crate) enum Guarded<T> {
    /// It returned.
    Returned(T),
    /// It made no step for too long; its thread is lost. The lines are the last inputs of
    /// machines until then.
    Stuck(Vec<Line>),
}

/// Runs `job` on a thread of its own and gives up when it makes no step for `stuck_after`.
///
/// The watcher of the run is `watch` with a pulse and a tail of as many lines as its trace has.
pub(crate) fn guard<T: Send + 'static>(
    watch: Watch,
    stuck_after: Duration,
    job: impl FnOnce(&Watch) -> T + Send + 'static,
) -> Guarded<T> {
    let watch = Watch {
        pulse: Some(Arc::new(Pulse::default())),
        tail: Some(Arc::new(Tail::new(watch.trace_lines))),
        ..watch
    };
    let (pulse, tail) = (watch.pulse.clone(), watch.tail.clone());
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(job(&watch)));
    let beats = || pulse.as_ref().map_or(0, |pulse| pulse.beats());
    let mut seen = (beats(), Instant::now());
    loop {
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Ok(result) => return Guarded::Returned(result),
            // Checked code is caught inside the job; what ends the thread is a fault of the job.
            Err(RecvTimeoutError::Disconnected) => panic!("the guarded job panicked"),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if beats() != seen.0 {
            seen = (beats(), Instant::now());
        }
        if seen.1.elapsed() >= stuck_after {
            return Guarded::Stuck(tail.map_or_else(Vec::new, |tail| tail.lines()));
        }
    }
}
