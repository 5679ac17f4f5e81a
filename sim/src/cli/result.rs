//! The result of a sweep as a file, `result.json`.
//!
//! It is written anew as stripes complete, each time as a whole under another name, so that there is a
//! valid one whenever the process dies. It says what was asked, what was found, and of each complete
//! stripe all that went into the sums: from that a sweep goes on, and results are put together.
//! Nothing in it depends on time, on threads or on which process ran what.

use super::account::Account;
use super::case::Case;
use super::{Program, Stop};
use crate::any::AnyScenario;
use crate::sweep::bucket::Buckets;
use crate::sweep::rows::Rows;
use crate::sweep::seeds::Seeds;
use crate::sweep::stripes::{Shard, Stripes};
use crate::sweep::tally::Tally;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A result that was read.
pub(super) struct Kept {
    /// Its file.
    pub(super) file: PathBuf,
    pub(super) asked: Asked,
    pub(super) shard: Shard,
    pub(super) rows: Rows,
}

/// What a sweep was asked for. Results that differ in it have nothing to do with each other.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Asked {
    program: String,
    build: String,
    seeds: String,
    scenarios: Vec<Named>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Named {
    scenario: String,
}

#[derive(Deserialize)]
struct Version {
    format: u64,
}

/// The parts of the document that its sums are made of.
#[derive(Deserialize)]
struct Document {
    #[serde(flatten)]
    asked: Asked,
    shard: Option<String>,
    stripes: Vec<Row<Tally>>,
    unfinished: Vec<Unfinished>,
}

/// A complete stripe.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row<T> {
    stripe: u64,
    tally: T,
}

/// A stripe that is not complete and found something.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unfinished {
    scenario: Arc<str>,
    stripe: u64,
    violations: Buckets,
}

impl Asked {
    pub(super) fn new<'a>(
        program: &Program,
        seeds: &Seeds,
        scenarios: impl Iterator<Item = &'a str>,
    ) -> Self {
        let named = |scenario: &str| Named {
            scenario: scenario.to_owned(),
        };
        Self {
            program: program.name.to_owned(),
            build: program.build.clone(),
            seeds: seeds.to_string(),
            scenarios: scenarios.map(named).collect(),
        }
    }

    /// The first thing that is not as in `other`, with what was found and expected.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let words = [
            ("program", &self.program, &other.program),
            ("build", &self.build, &other.build),
            ("seeds", &self.seeds, &other.seeds),
        ];
        let differs = |(_, found, expected): &&(_, &String, &String)| found != expected;
        if let Some((what, found, expected)) = words.iter().find(differs) {
            return Some(format!("{what}: found {found}, expected {expected}"));
        }
        let without = |these: &[Named], those: &[Named]| {
            let names = these.iter().filter(|name| !those.contains(name));
            let names: Vec<_> = names.map(|name| &*name.scenario).collect();
            match names.is_empty() {
                true => "nothing else".to_owned(),
                false => names.join(", "),
            }
        };
        (self.scenarios != other.scenarios).then(|| {
            let found = without(&self.scenarios, &other.scenarios);
            let expected = without(&other.scenarios, &self.scenarios);
            format!("scenarios: found {found}, expected {expected}")
        })
    }

    pub(super) fn scenarios(&self) -> impl Iterator<Item = &str> {
        self.scenarios.iter().map(|named| &*named.scenario)
    }
}

impl Kept {
    /// The result in a directory; `None` if there is none.
    pub(super) fn find(directory: &Path) -> Result<Option<Self>, Stop> {
        match file(directory).exists() {
            true => Self::read(directory).map(Some),
            false => Ok(None),
        }
    }

    /// The result in a directory.
    pub(super) fn read(directory: &Path) -> Result<Self, Stop> {
        let file = file(directory);
        let text = fs::read_to_string(&file).map_err(|error| error.to_string());
        let kept = text.and_then(|text| parse(&text));
        let (asked, shard, rows) =
            kept.map_err(|problem| format!("{}: {problem}", file.display()))?;
        Ok(Self {
            file,
            asked,
            shard,
            rows,
        })
    }

    /// Refuses a result of something else than was asked for.
    pub(super) fn insist(&self, asked: &Asked) -> Result<(), Stop> {
        match self.asked.difference(asked) {
            None => Ok(()),
            Some(problem) => Err(Stop::Unusable(format!(
                "{}: {problem}",
                self.file.display()
            ))),
        }
    }
}

fn parse(text: &str) -> Result<(Asked, Shard, Rows), String> {
    let unreadable = |error: serde_json::Error| format!("expected the result of a sweep: {error}");
    let version: Version = serde_json::from_str(text).map_err(unreadable)?;
    if version.format != 1 {
        return Err(format!("format: found {}, expected 1", version.format));
    }
    let document: Document = serde_json::from_str(text).map_err(unreadable)?;
    let asked = document.asked;
    let seeds = Seeds::read(&asked.seeds).map_err(|error| format!("seeds: {error}"))?;
    let shard = document
        .shard
        .map_or(Ok(Shard::WHOLE), |shard| shard.parse());
    let shard = shard.map_err(|problem| format!("shard: {problem}"))?;
    let stripes = Stripes::new(seeds);
    let mut rows = Rows::new(stripes.clone(), asked.scenarios());
    let place = |scenario: &str, stripe: u64| {
        let place = asked.scenarios().position(|name| name == scenario);
        let place = place.filter(|_| stripe < stripes.count());
        place.ok_or_else(|| format!("stripe {stripe} of {scenario} was not asked for"))
    };
    for Row { stripe, tally } in document.stripes {
        let scenario = place(&tally.scenario, stripe)?;
        if tally.seeds != stripes.length(stripe) {
            let (found, expected) = (tally.seeds, stripes.length(stripe));
            let of = &tally.scenario;
            return Err(format!(
                "stripe {stripe} of {of}: found {found} seeds, expected {expected}"
            ));
        }
        rows.insert(scenario, stripe, tally);
    }
    for Unfinished {
        scenario,
        stripe,
        violations,
    } in document.unfinished
    {
        rows.tell(place(&scenario, stripe)?, stripe, &violations);
    }
    Ok((asked, shard, rows))
}

/// The account that a result gives, and how it ends.
pub(super) fn account<'a>(
    program: &'a Program,
    scenarios: &'a [Arc<dyn AnyScenario>],
    rows: &Rows,
) -> Account<'a> {
    let seeds = rows.stripes().seeds().count();
    Account::new(program, scenarios, rows.kept(), rows.is_complete(), seeds)
}

/// The seeds of a scenario that a result lacks.
pub(super) fn missing(rows: &Rows, scenario: usize) -> Vec<String> {
    let missing = rows.missing(scenario).into_iter();
    let missing = missing.map(|stripes| rows.stripes().part(stripes).to_string());
    missing.collect()
}

/// The text of the document.
///
/// Stripes of which results differ are `contradictions`; nothing else in the document knows of them.
pub(super) fn text(
    account: &Account<'_>,
    rows: &Rows,
    shard: Shard,
    contradictions: &[Case],
) -> String {
    let found = |tally: &Tally| tally.buckets.iter().next().is_some();
    let is_violated = account.tallies.iter().any(found) || account.is_wanting();
    let verdict = match is_violated || !contradictions.is_empty() {
        true => "violated",
        false if rows.is_complete() => "held",
        false => "incomplete",
    };
    let mut head = account.json(verdict, |index, value| {
        value["violations"] = json!(account.tallies[index].buckets);
        value["missing"] = json!(missing(rows, index));
    });
    head["seeds"] = json!(rows.stripes().seeds().to_string());
    head["shard"] = json!((!shard.is_whole()).then(|| shard.to_string()));
    if !contradictions.is_empty() {
        head["contradictions"] = contradictions.iter().map(Case::json).collect();
    }
    head["complete"] = json!(rows.is_complete());
    let stripes = rows
        .complete()
        .map(|(_, stripe, tally)| line(&Row { stripe, tally }));
    let unfinished = rows.unfinished().map(|(index, stripe, violations)| {
        let scenario = Arc::clone(&account.tallies[index].scenario);
        line(&Unfinished {
            scenario,
            stripe,
            violations,
        })
    });
    let lists = [
        ("stripes", stripes.collect()),
        ("unfinished", unfinished.collect()),
    ];
    with_lines(&head, &lists)
}

fn line(row: &impl Serialize) -> String {
    // A tally has string keys and numbers only, and those can be written.
    serde_json::to_string(row).unwrap_or_default()
}

/// A document with lists whose elements are a line each.
fn with_lines(head: &Value, lists: &[(&str, Vec<String>)]) -> String {
    let head = format!("{head:#}");
    let mut text = head.strip_suffix("\n}").unwrap_or(&head).to_owned();
    for (name, lines) in lists {
        text += &match lines.is_empty() {
            true => format!(",\n  \"{name}\": []"),
            false => format!(",\n  \"{name}\": [\n    {}\n  ]", lines.join(",\n    ")),
        };
    }
    text + "\n}\n"
}

/// Writes a result into a directory while a sweep runs.
pub(super) struct Keeper {
    directory: PathBuf,
    written: Instant,
    /// How long not to write again.
    pause: Duration,
}

impl Keeper {
    /// Writes a first result, so that what hinders it shows before the first seed.
    pub(super) fn new(directory: &Path, first: &str) -> Result<Self, String> {
        write(directory, first)?;
        Ok(Self {
            directory: directory.to_owned(),
            written: Instant::now(),
            pause: PAUSE,
        })
    }

    /// Writes the result if it is time. A failure shows at the end, or is over by then.
    pub(super) fn refresh(&mut self, text: impl FnOnce() -> String) {
        if self.written.elapsed() < self.pause {
            return;
        }
        let started = Instant::now();
        let _ = write(&self.directory, &text());
        self.written = Instant::now();
        self.pause = PAUSE.max(started.elapsed() * 20);
    }
}

/// Real time between two writes; more where writing takes long.
const PAUSE: Duration = Duration::from_secs(1);

fn file(directory: &Path) -> PathBuf {
    directory.join("result.json")
}

/// Puts a result in the place of an earlier one; whenever the process dies, one of them is there.
pub(super) fn write(directory: &Path, text: &str) -> Result<(), String> {
    let (file, draft) = (file(directory), directory.join("result.json.new"));
    let put = || -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let mut open = File::create(&draft)?;
        open.write_all(text.as_bytes())?;
        open.sync_all()?;
        fs::rename(&draft, &file)
    };
    put().map_err(|error| format!("{}: {error}", file.display()))
}
