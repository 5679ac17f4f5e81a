//! `meshosd chain append`

use super::output::Output;
use super::session::Session;
use super::{Failure, Target};
use clap::Args;
use meshos_core::chain::payload::Payload;
use meshos_core::id::{ClientId, Epoch, Seq};
use serde_json::json;
use std::fs::File;
use std::io::{LineWriter, Read, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};
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
    /// Longest time for one append with all its attempts, in seconds
    #[arg(long, default_value_t = 60, value_name = "S")]
    patience: u64,
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
    let patience = Duration::from_secs(args.patience);
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
        output.line(&format!("{seq} {epoch}"));
        return Ok(());
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
        let session = Session::new(&args.chain, &endpoints, worker as usize, patience);
        let work = work(Rc::clone(&args), worker, share, session, Rc::clone(&log));
        joins.push(workers.spawn_local(work));
    }
    workers.await;
    let mut repeated = 0;
    for join in joins {
        repeated += join.await.map_err(Failure::failed)??;
    }
    let took = started.elapsed();
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    output.json(&json!({ "acked": count, "repeated": repeated, "ms": ms }));
    output.line(&format!(
        "{count} acknowledged in {ms} ms, {repeated} attempts repeated"
    ));
    Ok(())
}

type Log = Rc<std::cell::RefCell<Option<LineWriter<File>>>>;

/// Appends one client's share; returns how many attempts were repeated.
async fn work(
    args: Rc<AppendArgs>,
    worker: u64,
    share: u64,
    mut session: Session,
    log: Log,
) -> Result<u64, Failure> {
    session.check_size(args.payload_bytes).await?;
    let client = session.open().await?;
    for number in 1..=share {
        let mut text = format!("{}-{worker}-{number}", args.prefix);
        while text.len() < args.payload_bytes {
            text.push('.');
        }
        let payload = Payload::new(text.clone().into_bytes().into());
        let (seq, epoch) = session.append(client, number, payload).await?;
        note(
            &log,
            &Acked {
                client,
                number,
                seq,
                epoch,
                payload: text,
            },
        )?;
    }
    Ok(session.repeated)
}

fn note(log: &Log, acked: &Acked) -> Result<(), Failure> {
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
    writeln!(log, "{line}").map_err(Failure::failed)
}

fn payload(text: &str) -> Result<Payload, Failure> {
    let mut bytes = Vec::new();
    if text == "-" {
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        read.map_err(|e| Failure::unusable(format!("standard input: {e}")))?;
    } else {
        bytes.extend_from_slice(text.as_bytes());
    }
    if u32::try_from(bytes.len()).is_err() {
        return Err(Failure::unusable("the payload is 4 GiB or more"));
    }
    Ok(Payload::new(bytes.into()))
}
