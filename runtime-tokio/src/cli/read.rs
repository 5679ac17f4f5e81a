//! `meshosd chain read` and `tail`

use super::output::Output;
use super::session::Session;
use super::waiting::{Patience, Waiting};
use super::{Failure, Target};
use clap::Args;
use meshos_core::chain::entry::Entry;
use meshos_core::client::{self, Answer, Consistency};
use meshos_core::id::Seq;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Payload bytes asked for at a time; a node gives at most `limits.read_bytes_max`.
const READ_BYTES_MAX: u32 = 4 << 20;

/// Pause between two looks for new entries.
const TAIL_PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct ReadArgs {
    #[command(flatten)]
    target: Target,
    /// The chain
    #[arg(long, value_name = "NAME")]
    chain: String,
    /// The first position; what is no longer retained is skipped
    #[arg(long, default_value_t = 0, value_name = "SEQ")]
    from: u64,
    /// At most this many entries
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Reads what this replica knows to be committed, without asking the others
    #[arg(long)]
    stale: bool,
    /// Longest time for one answer with all its attempts, in seconds [default: 30, and 5 while no
    /// node listens]
    #[arg(long, value_name = "S")]
    patience: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct TailArgs {
    #[command(flatten)]
    target: Target,
    /// The chain
    #[arg(long, value_name = "NAME")]
    chain: String,
    /// How many of the last entries to begin with
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    lines: u64,
    /// Ends after the last entry there is, instead of waiting for new ones
    #[arg(long)]
    no_follow: bool,
    /// Longest time for one answer with all its attempts, in seconds [default: 30, and 5 while no
    /// node listens]
    #[arg(long, value_name = "S")]
    patience: Option<u64>,
}

struct Read {
    floor: Seq,
    commit: Seq,
    entries: Arc<[Arc<Entry>]>,
}

async fn chunk(
    session: &mut Session,
    consistency: Consistency,
    from: Seq,
) -> Result<Read, Failure> {
    let ask = client::Ask::Read {
        consistency,
        from,
        bytes_max: READ_BYTES_MAX,
    };
    match session.until_answered(ask).await? {
        Answer::Entries {
            floor,
            commit,
            entries,
        } => Ok(Read {
            floor,
            commit,
            entries,
        }),
        Answer::Corrupt { seq } => Err(Failure::failed(format!(
            "entry {seq} is damaged here and could not be repaired yet"
        ))),
        Answer::Rejected(reason) => Err(Failure::Failed(session.refusal(reason).await)),
        Answer::Acked { .. }
        | Answer::NotLeader { .. }
        | Answer::NotMember { .. }
        | Answer::Unknown
        | Answer::Transferred => Err(Failure::failed(
            "the node answered something else than a read",
        )),
    }
}

pub(super) async fn read(args: ReadArgs, output: &Output) -> Result<(), Failure> {
    let endpoints = args.target.endpoints()?;
    let patience = (Patience::new(args.patience, 30), Waiting::new(output));
    let mut session = Session::new(&args.chain, &endpoints, 0, patience);
    let consistency = if args.stale {
        Consistency::Stale
    } else {
        Consistency::Linearizable
    };
    let left = args.count.unwrap_or(u64::MAX);
    let mut read = chunk(&mut session, consistency, Seq::new(args.from)).await?;
    // What is appended while this reads is not waited for.
    let end = read.commit;
    let last = Seq::new(args.from.max(read.floor.get()).saturating_add(left)).min(end);
    loop {
        let next = match read.entries.last() {
            Some(entry) => entry.seq.next(),
            None => return ended(read.commit, end),
        };
        // The next page travels while this one is written.
        let following = async {
            if next < last && output.is_wanted() {
                let page = page(&mut session, consistency, next, end).await;
                return page.map(Some);
            }
            Ok(None)
        };
        let writing = async {
            let wanted = read.entries.iter().filter(|entry| entry.seq < last);
            wanted.for_each(|entry| output.entry(entry));
        };
        match tokio::join!(following, writing).0? {
            Some(following) => read = following,
            None => return Ok(()),
        }
    }
}

/// The end of a read that found no further entry.
fn ended(commit: Seq, end: Seq) -> Result<(), Failure> {
    if commit >= end {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "the node that answers now knows of entries up to {commit} only, the one before it of \
         {end}; read again, or without --stale"
    )))
}

/// A later page of a read whose first one told that everything up to `end` is committed. What is
/// committed does not change, so whatever a replica knows to be committed below that will do; one
/// that does not know of all of it is asked again as the read was.
async fn page(
    session: &mut Session,
    consistency: Consistency,
    next: Seq,
    end: Seq,
) -> Result<Read, Failure> {
    let read = chunk(session, Consistency::Stale, next).await?;
    if read.commit >= end || consistency == Consistency::Stale {
        return Ok(read);
    }
    chunk(session, consistency, next).await
}

pub(super) async fn tail(args: TailArgs, output: &Output) -> Result<(), Failure> {
    let endpoints = args.target.endpoints()?;
    let patience = (Patience::new(args.patience, 30), Waiting::new(output));
    let mut session = Session::new(&args.chain, &endpoints, 0, patience);
    // An empty answer tells where the chain begins and ends.
    let far = Seq::new(u64::MAX);
    let ends = chunk(&mut session, Consistency::Stale, far).await?;
    let first = ends.commit.get().saturating_sub(args.lines);
    let mut next = Seq::new(first.max(ends.floor.get()));
    while output.is_wanted() {
        let read = chunk(&mut session, Consistency::Stale, next).await?;
        for entry in read.entries.iter() {
            output.entry(entry);
            next = entry.seq.next();
        }
        if read.entries.is_empty() {
            if args.no_follow {
                return Ok(());
            }
            output.flush();
            sleep(TAIL_PAUSE).await;
        }
    }
    Ok(())
}
