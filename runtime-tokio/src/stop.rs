//! How a node stops: it is asked to, hands over what it leads, and ends what is under way.

use crate::inbox::{Refused, Sender};
use crate::run_error::RunError;
use crate::store_threads::Running;
use meshos_core::event::Input;
use rustix::process::Signal as Kind;
use std::io;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Time that is left for writing down what is under way, whatever signals come.
pub(crate) const FINISH_MIN: Duration = Duration::from_secs(5);

/// How much later than the threads of the store its driver may be seen to have ended.
const ENDED_BEHIND_MAX: Duration = Duration::from_secs(1);

/// Waits for a signal, and then until nobody misses this node; a second signal ends that wait.
pub(crate) async fn asked_to_stop(
    signals: &mut Signals,
    inbox: &Sender,
    leading: tokio::sync::watch::Receiver<usize>,
    patience: Duration,
) {
    signals.next().await;
    tokio::select! {
        () = hand_over(inbox, leading, patience) => {}
        () = signals.next() => tracing::warn!("second signal, not waiting any longer"),
    }
}

/// Waits for a signal that is not to be put off: a disk that hangs would hold the process for ever.
pub(crate) async fn cut_short(signals: &mut Signals) {
    sleep(FINISH_MIN).await;
    signals.next().await;
}

/// Asks the node to leave, and waits until nobody misses it.
async fn hand_over(
    inbox: &Sender,
    mut leading: tokio::sync::watch::Receiver<usize>,
    patience: Duration,
) {
    tracing::info!(
        chains = *leading.borrow(),
        "stopping, leadership is handed over"
    );
    let handing = async {
        command(inbox, Input::HandOver).await;
        // The sender lives in the pending requests, which outlives this.
        let _ = leading.wait_for(|chains| *chains == 0).await;
    };
    if timeout(patience, handing).await.is_err() {
        tracing::warn!("leadership could not be handed over in time");
    }
}

/// Gives the node a command as soon as its inbox has room for it.
pub(crate) async fn command(inbox: &Sender, input: Input) {
    while inbox.command(input.clone()) == Err(Refused::Full) {
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until everything that the node ordered is done and durable, and what was fed to it
/// written down.
pub(crate) async fn finish<N, F: Send + 'static>(
    mut driving: JoinHandle<N>,
    mut storing: Running<F>,
    recording: Option<std::thread::JoinHandle<()>>,
) -> Result<(), RunError> {
    let driven = tokio::select! {
        driven = &mut driving => driven,
        _ = &mut storing.ended => {
            // The threads end behind the driver. One that ends before it answers it no more.
            let driven = timeout(ENDED_BEHIND_MAX, driving).await;
            driven.map_err(|_| RunError::Ended("store"))?
        }
    };
    driven.map_err(|_| RunError::Ended("driver"))?;
    for thread in storing.threads {
        join(thread, "store").await?;
    }
    match recording {
        Some(thread) => join(thread, "recording").await,
        None => Ok(()),
    }
}

pub(crate) async fn join<F: Send + 'static>(
    thread: std::thread::JoinHandle<F>,
    name: &'static str,
) -> Result<(), RunError> {
    let joined = tokio::task::spawn_blocking(|| thread.join()).await;
    match joined {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(RunError::Ended(name)),
    }
}

/// The signals that ask a node to stop, and one that would kill it in silence.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// A file would grow past the limit of the process. Whoever handles that signal gets an error
    /// from the write instead, which a store takes for a lack of space.
    _file_limit: Signal,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_limit: signal(SignalKind::from_raw(Kind::XFSZ.as_raw()))?,
        })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbox::{Capacity, inbox};
    use futures::channel::oneshot;
    use rustix::process::{getpid, kill_process};
    use std::convert::Infallible;
    use std::sync::mpsc;
    use tokio::sync::watch;
    use tokio::time::Instant;

    const FOR_EVER: Duration = Duration::from_secs(3_600);

    /// Threads of a store of which the first one ends when what comes with them is dropped.
    fn storing() -> (oneshot::Sender<Infallible>, Running<()>) {
        let (alive, ended) = oneshot::channel();
        let threads = vec![std::thread::spawn(|| {})];
        (alive, Running { threads, ended })
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_with_the_store_when_nobody_answers_the_driver_any_more() {
        let (alive, threads) = storing();
        let driving = tokio::spawn(sleep(FOR_EVER));
        let mut finishing = Box::pin(finish(driving, threads, None));
        let waits = timeout(FOR_EVER / 2, &mut finishing).await;
        assert!(waits.is_err(), "who is answered may take its time");
        drop(alive);
        let ended = timeout(FOR_EVER / 4, finishing).await;
        let ended = ended.expect("soon");
        assert!(matches!(ended, Err(RunError::Ended("store"))), "{ended:?}");

        let (alive, threads) = storing();
        drop(alive);
        let driving = tokio::spawn(sleep(Duration::from_millis(10)));
        assert!(finish(driving, threads, None).await.is_ok(), "in order");
    }

    /// The only test that sends signals: all tests of this binary share the process.
    #[tokio::test]
    async fn a_second_signal_ends_the_wait_for_another_leader() {
        let mut signals = Signals::new().unwrap();
        let (sender, _receiver) = inbox(Capacity::default());
        // It leads a chain for ever: nobody takes over.
        let (_leading, leads) = watch::channel(1);
        let mut stopping = Box::pin(asked_to_stop(&mut signals, &sender, leads, FOR_EVER));
        let a_while = Duration::from_millis(100);
        assert!(timeout(a_while, &mut stopping).await.is_err(), "not asked");
        kill_process(getpid(), Kind::TERM).unwrap();
        assert!(timeout(a_while, &mut stopping).await.is_err(), "it leads");
        kill_process(getpid(), Kind::TERM).unwrap();
        let within = Duration::from_secs(60);
        timeout(within, stopping)
            .await
            .expect("the second one ends the wait");
        drop(sender);
        // The last resort: a third one ends the wait for a disk that hangs, but not at once.
        tokio::time::pause();
        let began = Instant::now();
        let mut cut = Box::pin(cut_short(&mut signals));
        assert!(timeout(FINISH_MIN * 2, &mut cut).await.is_err());
        assert!(began.elapsed() >= FINISH_MIN);
        tokio::time::resume();
        kill_process(getpid(), Kind::TERM).unwrap();
        timeout(within, cut).await.expect("it cuts the stop short");
    }

    #[tokio::test]
    async fn a_stop_waits_until_the_recording_is_written() {
        let (written, waits) = mpsc::channel::<()>();
        let recording = std::thread::spawn(move || {
            let _ = waits.recv();
        });
        let driving = tokio::spawn(async {});
        let (_alive, storing) = storing();
        let mut finishing = Box::pin(finish(driving, storing, Some(recording)));
        let a_while = Duration::from_millis(200);
        assert!(timeout(a_while, &mut finishing).await.is_err());
        drop(written);
        finishing.await.unwrap();
    }

    #[tokio::test]
    async fn a_part_that_panics_is_named() {
        let driving = tokio::spawn(async {});
        let (_alive, storing) = storing();
        let recording = std::thread::spawn(|| panic!("as it happens"));
        let ended = finish(driving, storing, Some(recording)).await;
        assert!(
            matches!(ended, Err(RunError::Ended("recording"))),
            "{ended:?}"
        );
    }
}
