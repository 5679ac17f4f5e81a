//! The words of the command line.

mod explore;

pub(super) use explore::{Allowed, Explore};

use super::moment::Moment;
use super::shard::ShardArg;
use crate::node::NodeIndex;
use crate::sweep::seeds::Choice;
use crate::trace::Event;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Runs state machines under every fault that a seed decides, and names what breaks.
#[derive(Debug, Parser)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
pub(super) struct Line {
    #[command(subcommand)]
    pub(super) verb: Verb,
    /// Write the result as JSON to FILE, or to standard output (`-`, the default); tables then go to standard error
    #[arg(
        long, global = true, value_name = "FILE",
        num_args = 0..=1, require_equals = true, default_missing_value = "-"
    )]
    pub(super) json: Option<PathBuf>,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(super) color: Color,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Also into files and pipes
    Always,
    /// Not at all
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show every scenario in one line each
    List,
    /// Sweep seeds and report what broke
    Run(RunArgs),
    /// Put the results of shards together
    Merge(Merge),
    /// Run plans and judge them by what they expect; compare recordings with what the code does now
    Replay(Replay),
    /// Print the digest of one run
    Digest(Digest),
    /// Print what happened in one run
    Trace(Trace),
    /// Find a smaller plan that breaks the same property
    Shrink(Shrink),
    /// Search everything that may happen to a small cluster, within budgets
    Explore(Explore),
    /// Write the plan of a seed
    Plan(PlanArgs),
    /// Keep the plan of a violation as a regression, which has to hold from now on
    Accept(Accept),
    /// Measure fixed workloads against their yardsticks
    Bench(Bench),
    /// Write shell completions and manual pages
    Generate(Generate),
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Scenarios by name or by a part of it; all when none is given
    #[arg(value_name = "SCENARIO")]
    pub(super) filters: Vec<String>,
    /// Seeds: a count N, a range A..B or A..=B, or a list such as 3,7
    ///
    /// 100 by default, or those of the result that is resumed.
    #[arg(long, value_name = "SEEDS")]
    pub(super) seeds: Option<Choice>,
    /// First seed of a count: a number, `commit` (derived from the commit) or `random`
    #[arg(long, value_name = "N|commit|random")]
    pub(super) seed_base: Option<SeedBase>,
    /// Run part K of N, or the part that Kubernetes, Slurm or the CI says (`auto`)
    #[arg(long, value_name = "K/N|auto")]
    pub(super) shard: Option<ShardArg>,
    /// Worker threads; all cores by default
    #[arg(long, short, value_name = "J", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) jobs: Option<u16>,
    /// Real time after which no further seed is started, such as 60s or 5m
    #[arg(long, value_name = "TIME")]
    pub(super) budget: Option<Span>,
    /// Violations after which no further seed is started
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) max_fail: Option<u64>,
    /// Where plans of violations go, `failures` by default; when it is given, a result that is kept as the sweep runs, too
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Go on with the sweep whose result is in DIR, and keep the result there; begin it if there is none
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    pub(super) resume: Option<PathBuf>,
    /// Real time for making the plans of violations smaller, shared by all of them
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(super) shrink_for: Span,
    /// Leave the plans of violations as the seeds give them
    #[arg(long, conflicts_with = "shrink_for")]
    pub(super) no_shrink: bool,
    /// Write a JUnit report with one case per scenario
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Show the stacks of panics
    #[arg(long)]
    pub(super) backtrace: bool,
    #[command(flatten)]
    pub(super) patience: Patience,
}

impl RunArgs {
    /// Where the result is kept, if it is.
    pub(super) fn kept(&self) -> Option<&Path> {
        self.resume.as_deref().or(self.out.as_deref())
    }

    /// Where plans of violations and the file of the seeds in flight go.
    pub(super) fn directory(&self) -> &Path {
        self.kept().unwrap_or(Path::new("failures"))
    }
}

#[derive(Debug, Args)]
pub(super) struct Merge {
    /// Directories with a result each, in any order
    #[arg(value_name = "DIR", required = true)]
    pub(super) directories: Vec<PathBuf>,
    /// Where the result of all, and the plans of its violations, go
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Write a JUnit report with one case per scenario
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
}

/// What a single run may be asked for besides.
#[derive(Copy, Clone, Debug, Args)]
pub(super) struct Asked {
    /// Run it twice; a difference is a violation of `replay`
    #[arg(long)]
    pub(super) twice: bool,
    /// Show the stack of a panic
    #[arg(long)]
    pub(super) backtrace: bool,
}

#[derive(Debug, Args)]
pub(super) struct Patience {
    /// Real time without a step after which a run is reported as stuck
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(super) stuck_after: Span,
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// Plan files, directories of plans or of recordings
    #[arg(value_name = "PATH", required = true)]
    pub(super) paths: Vec<PathBuf>,
    /// Fail when the digest in a plan differs, too
    #[arg(long)]
    pub(super) strict: bool,
    /// End the run of a plan at this simulated time, such as 1.5s or 300ms, and show every node as it is then
    #[arg(long, value_name = "TIME", conflicts_with = "strict")]
    pub(super) until: Option<Moment>,
    #[command(flatten)]
    pub(super) asked: Asked,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Debug, Args)]
pub(super) struct Digest {
    /// The scenario
    pub(super) scenario: String,
    /// The seed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=(i64::MAX as u64)))]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) asked: Asked,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Debug, Args)]
pub(super) struct Trace {
    /// A scenario (with --seed), or a plan file
    #[arg(value_name = "SCENARIO|PLAN")]
    pub(super) what: String,
    /// The seed, when a scenario is named
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=(i64::MAX as u64)))]
    pub(super) seed: Option<u64>,
    /// Write another document: `perfetto` for ui.perfetto.dev and other viewers of Chrome's traces; it goes where --json says, or to standard output
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "html")]
    pub(super) format: Option<Format>,
    /// Write a page with a space-time diagram to FILE instead; it needs no network
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    pub(super) asked: Asked,
    #[command(flatten)]
    pub(super) patience: Patience,
}

/// Which lines of a trace are wanted.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which lines")]
pub(super) struct Which {
    /// Only what happened on this node, such as n2 or 2, and the faults that reach it; may be repeated
    #[arg(long = "node", value_name = "NODE")]
    pub(super) nodes: Vec<Node>,
    /// Only lines of these kinds
    #[arg(long = "kind", value_name = "KINDS", value_delimiter = ',', value_parser = PossibleValuesParser::new(Event::KINDS))]
    pub(super) kinds: Vec<String>,
    /// Only lines with this text in what they say
    #[arg(long = "match", value_name = "TEXT")]
    pub(super) text: Option<String>,
    /// Only lines of this simulated time or later, such as 1.5s or 300ms
    #[arg(long, value_name = "TIME")]
    pub(super) from: Option<Moment>,
    /// Only lines of this simulated time or earlier
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<Moment>,
    /// Only the last N of these lines
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(super) last: Option<usize>,
}

#[derive(Debug, Args)]
pub(super) struct Shrink {
    /// A scenario (with --seed), or a plan file
    #[arg(value_name = "SCENARIO|PLAN")]
    pub(super) what: String,
    /// The seed, when a scenario is named
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=(i64::MAX as u64)))]
    pub(super) seed: Option<u64>,
    /// Take the same property at any line that finds it
    #[arg(long)]
    pub(super) any_site: bool,
    /// Worker threads; all cores by default
    #[arg(long, short, value_name = "J", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) jobs: Option<u16>,
    /// Real time after which the smallest plan so far is taken
    #[arg(long, value_name = "TIME")]
    pub(super) budget: Option<Span>,
    /// Where the smaller plan goes; by default beside the plan, or into `failures` for a seed
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The scenario
    pub(super) scenario: String,
    /// The seed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=(i64::MAX as u64)))]
    pub(super) seed: u64,
    /// Where it goes; standard output by default
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Accept {
    /// The plan of a violation
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// What broke, in one line; it becomes the first one of the file
    #[arg(long, value_name = "LINE")]
    pub(super) broke: String,
    /// Name of the regression; by default from what broke
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Where regressions are kept
    #[arg(long, value_name = "DIR")]
    pub(super) into: Option<PathBuf>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Debug, Args)]
pub(super) struct Bench {
    /// Workloads by name or by a part of it; all when none is given
    #[arg(value_name = "WORKLOAD")]
    pub(super) filters: Vec<String>,
    /// Rounds of each workload; the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) rounds: u16,
}

#[derive(Debug, Args)]
pub(super) struct Generate {
    /// Directory for the files
    #[arg(value_name = "DIR", default_value = "generated")]
    pub(super) directory: PathBuf,
}

/// Forms of a run for other programs.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// The JSON of Chrome's traces
    Perfetto,
}

/// A node of a cluster.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Node(pub(super) NodeIndex);

impl Line {
    /// Where the document goes, if there is one.
    pub(super) fn document(&self) -> Option<PathBuf> {
        let is_asked = matches!(&self.verb, Verb::Trace(trace) if trace.format.is_some());
        let json = self.json.clone();
        json.or_else(|| is_asked.then(|| PathBuf::from("-")))
    }
}

impl FromStr for Node {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_prefix('n').unwrap_or(text);
        let node = number.parse().map(NodeIndex).map(Self);
        node.map_err(|_| format!("found `{text}`, expected a node such as n2 or 2"))
    }
}

fn parse_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| format!("found `{text}`, expected a number of lines above zero"))
}

/// Where counted seeds begin.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum SeedBase {
    At(u64),
    Commit,
    Random,
}

impl FromStr for SeedBase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "commit" => Ok(Self::Commit),
            "random" => Ok(Self::Random),
            number => match number.parse() {
                Ok(base) if base <= i64::MAX as u64 => Ok(Self::At(base)),
                Ok(_) | Err(_) => Err(format!(
                    "found `{number}`, expected a number of 63 bits, `commit` or `random`"
                )),
            },
        }
    }
}

/// A span of real time: `500ms`, `60s`, `5m` or `2h`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let ms = match unit {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let number: Option<u64> = number.parse().ok();
        let span = ms
            .zip(number)
            .and_then(|(ms, number)| number.checked_mul(ms));
        match span {
            Some(0) => Err(format!("found `{text}`, expected a time above zero")),
            Some(ms) => Ok(Self(Duration::from_millis(ms))),
            None => Err(format!(
                "found `{text}`, expected a time such as 500ms, 60s or 5m"
            )),
        }
    }
}
