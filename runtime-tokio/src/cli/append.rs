//! `meshosd chain append`

use super::output::Output;
use super::session::Session;
use super::waiting::{Patience, Waiting};
use super::{Failure, Target};
use clap::Args;
use meshos_core::chain::payload::Payload;
use meshos_core::id::{ClientId, Epoch, Seq};
use serde_json::json;
use std::fs::File;
use std::io::{self, LineWriter, Read, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;
use tokio::task::LocalSet;

#[derive(Debug, Args)]
pub(super) struct AppendArgs {
    #[command(flatten)]
    target: Target,
    /// The chain
    #[arg(long, value_name = "NAME")]
    chain: String,
    /// What to append; `-` reads it from standard input
    #[arg(required_unless_present = "count", conflicts_with = "count")]
    payload: Option<String>,
    /// Appends this many payloads that are all different, instead of one that is given
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// How many clients append at the same time; they start at different endpoints, and a node
    /// takes no more than 256
    #[arg(long, default_value_t = 1, requires = "count", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=256))]
    clients: u64,
    /// Length of each payload that is made up
    #[arg(long, default_value_t = 64, requires = "count", value_name = "BYTES")]
    payload_bytes: usize,
    /// What made-up payloads begin with
    #[arg(
        long,
        default_value = "payload",
        requires = "count",
        value_name = "TEXT"
    )]
    prefix: String,
    /// Writes one line of JSON for each acknowledged append, as soon as it is
    #[arg(long, requires = "count", value_name = "FILE")]
    acked: Option<PathBuf>,
    /// Longest time for one append with all its attempts, in seconds [default: 60, and 5 while no
    /// node listens]
    #[arg(long, value_name = "S")]
    patience: Option<u64>,
}

struct Acked {
    client: ClientId,
    number: u64,
    seq: Seq,
    epoch: Epoch,
    payload: String,
}

pub(super) async fn append(args: AppendArgs, output: &Output) -> Result<(), Failure> {
    let endpoints = args.target.endpoints()?;
    let patience = (Patience::new(args.patience, 60), Waiting::new(output));
    let Some(count) = args.count else {
        let text = args.payload.as_deref().unwrap_or_default();
        let payload = payload(text)?;
        let mut session = Session::new(&args.chain, &endpoints, 0, patience);
        session.check_size(payload.length() as usize).await?;
        let client = session.open().await?;
        let (seq, epoch) = session.append(client, 1, payload).await?;
        output.json(&json!({
            "seq": seq.get(), "epoch": { "n": epoch.n, "node": epoch.node.get() },
            "client": client.0.get(), "request": 1,
        }));
        output.line(&format!("committed at {seq} in {epoch}"));
        let acked = format!("the append was acknowledged, at position {seq} in epoch {epoch}");
        return output.finish().map_err(|failure| failure.but(&acked));
    };
    let file = match &args.acked {
        Some(path) => {
            let file = File::create(path);
            Some(file.map_err(|e| Failure::unusable(format!("{}: {e}", path.display())))?)
        }
        None => None,
    };
    let log = Rc::new(std::cell::RefCell::new(file.map(LineWriter::new)));
    let started = Instant::now();
    let args = Rc::new(args);
    let workers = LocalSet::new();
    let mut joins = Vec::new();
    for worker in 0..args.clients {
        // The first clients take one more where the count does not divide.
        let share = count / args.clients + u64::from(worker < count % args.clients);
        let session = Session::new(&args.chain, &endpoints, worker as usize, patience.clone());
        let work = work(Rc::clone(&args), worker, share, session, Rc::clone(&log));
        joins.push(workers.spawn_local(work));
    }
    workers.await;
    let (mut acked, mut repeated, mut failed) = (0, 0, None);
    for join in joins {
        let done = join.await.map_err(Failure::failed)?;
        acked += done.acked;
        repeated += done.repeated;
        failed = failed.or(done.failed);
    }
    let told = format!("{acked} of {count} appends were acknowledged");
    if let Some(failure) = failed {
        return Err(failure.but(&told));
    }
    let took = started.elapsed();
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    output.json(&json!({ "acked": count, "repeated": repeated, "ms": ms }));
    output.line(&format!(
        "{count} acknowledged in {ms} ms, {repeated} attempts repeated"
    ));
    output.finish().map_err(|failure| failure.but(&told))
}

type Log = Rc<std::cell::RefCell<Option<LineWriter<File>>>>;

/// What one client came to.
struct Done {
    acked: u64,
    /// Attempts that were repeated.
    repeated: u64,
    failed: Option<Failure>,
}

/// Appends one client's share.
async fn work(
    args: Rc<AppendArgs>,
    worker: u64,
    share: u64,
    mut session: Session,
    log: Log,
) -> Done {
    let mut acked = 0;
    let appended = append_all(&args, (worker, share), &mut session, &log, &mut acked);
    let failed = appended.await.err();
    Done {
        acked,
        repeated: session.repeated,
        failed,
    }
}

async fn append_all(
    args: &AppendArgs,
    (worker, share): (u64, u64),
    session: &mut Session,
    log: &Log,
    acked: &mut u64,
) -> Result<(), Failure> {
    session.check_size(args.payload_bytes).await?;
    let client = session.open().await?;
    for number in 1..=share {
        let mut text = format!("{}-{worker}-{number}", args.prefix);
        while text.len() < args.payload_bytes {
            text.push('.');
        }
        let payload = Payload::new(text.clone().into_bytes().into());
        let (seq, epoch) = session.append(client, number, payload).await?;
        *acked += 1;
        let noted = Acked {
            client,
            number,
            seq,
            epoch,
            payload: text,
        };
        if let Some(path) = &args.acked {
            let noted = note(log, &noted);
            noted.map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
        }
    }
    Ok(())
}

fn note(log: &Log, acked: &Acked) -> io::Result<()> {
    let Some(log) = &mut *log.borrow_mut() else {
        return Ok(());
    };
    let line = json!({
        "client": acked.client.0.get(),
        "request": acked.number,
        "seq": acked.seq.get(),
        "epoch": { "n": acked.epoch.n, "node": acked.epoch.node.get() },
        "payload": acked.payload,
    });
    writeln!(log, "{line}")
}

fn payload(text: &str) -> Result<Payload, Failure> {
    let mut bytes = Vec::new();
    if text == "-" {
        let read = io::stdin().lock().read_to_end(&mut bytes);
        read.map_err(|e| Failure::unusable(format!("standard input: {e}")))?;
    } else {
        bytes.extend_from_slice(text.as_bytes());
    }
    if u32::try_from(bytes.len()).is_err() {
        return Err(Failure::unusable("the payload is 4 GiB or more"));
    }
    Ok(Payload::new(bytes.into()))
}
