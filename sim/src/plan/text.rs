//! Plans as text: strict reading, and writing with one line for each event.

use super::{FORMAT, InvalidPlan, Plan};
use crate::machine::Machine;
use crate::scenario::Scenario;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use thiserror::Error;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// Why a file is not a plan.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{place}: {problem}")]
pub struct FileError {
    /// Where in which file.
    pub place: Place,
    /// What was found and what was expected.
    pub problem: String,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1, if the problem has one.
    pub line: Option<usize>,
    /// Path of the key, such as `ops[2].node`; empty for the file as a whole.
    pub key: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        Ok(())
    }
}

/// The name of the scenario that the plan in `text` is for, and no more of it.
pub(crate) fn scenario_of(file: &Path, text: &str) -> Result<String, FileError> {
    let source = Source { file, text };
    let table = source.table()?;
    let field = |name: &str| {
        table
            .get_ref()
            .get(name)
            .map(|value| (value.span(), value.get_ref()))
    };
    let problem = match (field("format"), field("scenario")) {
        (None, _) => source.error(None, "format", format!("found nothing, expected {FORMAT}")),
        (Some((_, DeValue::Integer(number))), _) if number.as_str() != FORMAT.to_string() => {
            let problem = format!("found {number}, expected {FORMAT}");
            let span = field("format").map(|(span, _)| span);
            source.error(span, "format", problem)
        }
        (Some(_), Some((_, DeValue::String(name)))) => return Ok(name.to_string()),
        (Some(_), None) => source.error(
            None,
            "scenario",
            "found nothing, expected a scenario".to_owned(),
        ),
        (Some(_), Some((span, other))) => {
            let problem = format!("found {}, expected a string", other.type_str());
            source.error(Some(span), "scenario", problem)
        }
    };
    Err(problem)
}

impl<Op: DeserializeOwned, Cfg: DeserializeOwned> Plan<Op, Cfg> {
    /// Reads a plan; `file` is only named in errors.
    ///
    /// # Errors
    /// The text is not TOML, lacks a field, has an unknown one or one of a wrong type, or has a
    /// value that cannot be meant; see [`Plan::check`].
    pub fn parse(file: &Path, text: &str) -> Result<Self, FileError> {
        scenario_of(file, text)?;
        let source = Source { file, text };
        let plan: Self = toml::from_str(text).map_err(|error| source.refuse(&error))?;
        plan.check().map_err(|mistake| source.mistaken(&mistake))?;
        Ok(plan)
    }

    /// Reads a plan of a scenario, which has a say in what can be meant; `file` is only named in
    /// errors.
    ///
    /// # Errors
    /// As for [`Plan::parse`], or the scenario refuses it.
    pub fn read<S>(scenario: &S, file: &Path, text: &str) -> Result<Self, FileError>
    where
        S: Scenario<Machine: Machine<Op = Op>, Cfg = Cfg>,
    {
        let plan = Self::parse(file, text)?;
        let checked = scenario.check(&plan);
        checked.map_err(|mistake| Source { file, text }.mistaken(&mistake))?;
        Ok(plan)
    }
}

impl<Op: Serialize, Cfg: Serialize> Plan<Op, Cfg> {
    /// Writes the plan, one line for each operation and fault.
    ///
    /// # Panics
    /// When an operation or the configuration has no form in TOML: a number beyond 63 bits, or
    /// a map whose keys are not strings.
    pub fn to_text(&self) -> String {
        written(&self.to_table())
    }
}

/// Writes a plan, one line for each operation and fault, and its verdict last.
pub(crate) fn written(plan: &Table) -> String {
    let mut out = String::new();
    for (key, value) in plan.iter().filter(|(key, _)| *key != "expect") {
        let is_in_lines = LINES.contains(&&**key);
        match value.as_array() {
            Some(items) if items.is_empty() => {}
            Some(items) if is_in_lines => put_lines(&mut out, key, items),
            Some(_) | None if *value == Value::Boolean(false) => {}
            Some(_) | None => put(&mut out, key, value),
        }
    }
    out.push_str("\n[expect]\n");
    let expect = plan.get("expect").and_then(Value::as_table);
    expect
        .into_iter()
        .flatten()
        .for_each(|(key, value)| put(&mut out, key, value));
    out
}

/// Lists with one line for each item.
const LINES: [&str; 4] = ["matrix", "ops", "faults", "choices"];

fn put(out: &mut String, key: &str, value: &Value) {
    let _ = writeln!(out, "{key} = {}", inline(value));
}

fn put_lines(out: &mut String, key: &str, items: &[Value]) {
    let _ = writeln!(out, "\n{key} = [");
    for item in items {
        let _ = writeln!(out, "  {},", inline(item));
    }
    out.push_str("]\n");
}

/// A value in one line.
fn inline(value: &impl Serialize) -> String {
    let mut out = String::new();
    match value.serialize(toml::ser::ValueSerializer::new(&mut out)) {
        Ok(_) => out,
        Err(error) => panic!("a plan holds only what TOML can say: {error}"),
    }
}

/// The text of a file, for errors that point into it.
struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

impl<'a> Source<'a> {
    fn table(&self) -> Result<Spanned<DeTable<'a>>, FileError> {
        DeTable::parse(self.text).map_err(|error| self.refuse(&error))
    }

    fn error(&self, span: Option<Range<usize>>, key: &str, problem: String) -> FileError {
        let line = span.map(|span| {
            let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
            1 + before.iter().filter(|byte| **byte == b'\n').count()
        });
        FileError {
            place: Place {
                file: self.file.to_owned(),
                line,
                key: key.to_owned(),
            },
            problem,
        }
    }

    fn mistaken(&self, mistake: &InvalidPlan) -> FileError {
        let table = self.table().ok();
        let span = table.and_then(|table| find_key(&table, &mistake.key));
        self.error(span, &mistake.key, mistake.problem.clone())
    }

    fn refuse(&self, error: &toml::de::Error) -> FileError {
        let mut key = String::new();
        let mut span = error.span();
        let problem = error.message().trim_end();
        if let (Some(found), Ok(table)) = (span.clone(), DeTable::parse(self.text)) {
            if problem.starts_with("missing field") && found == table.span() {
                span = None;
            } else {
                key_at(table.get_ref(), found.start, &mut key);
            }
            // Times are judged once their table has been read, when the reader is back at the list.
            if problem.contains("at_ms")
                && let Some((index, item)) = untimed(&table, &key)
            {
                let _ = write!(key, "[{index}]");
                span = Some(item);
            }
        }
        self.error(span, &key, reword(problem))
    }
}

/// The first table of a list that does not have exactly one time.
fn untimed(table: &Spanned<DeTable<'_>>, list: &str) -> Option<(usize, Range<usize>)> {
    let DeValue::Array(items) = table.get_ref().get(list)?.get_ref() else {
        return None;
    };
    let times = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
        DeValue::Table(table) => {
            let keys = ["at_ms", "at_us", "at_ns"].into_iter();
            keys.filter(|key| table.contains_key(*key)).count()
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => 1,
    };
    let mut items = items.iter().enumerate();
    items
        .find(|(_, item)| times(item) != 1)
        .map(|(index, item)| (index, item.span()))
}

/// The problem in the words "found .., expected ..".
fn reword(problem: &str) -> String {
    for prefix in ["invalid type: ", "invalid value: "] {
        if let Some(rest) = problem.strip_prefix(prefix) {
            return format!("found {rest}");
        }
    }
    if let Some(rest) = problem.strip_prefix("unexpected keys in table: ")
        && let Some((found, expected)) = rest.split_once(", available keys: ")
    {
        return format!("found unknown field `{found}`, expected one of {expected}");
    }
    match problem.starts_with("unknown ") {
        true => format!("found {problem}"),
        false => problem.to_owned(),
    }
}

/// Appends the path of the innermost key whose name or value is at `offset`.
fn key_at(table: &DeTable<'_>, offset: usize, path: &mut String) -> bool {
    table.iter().any(|(key, value)| {
        let length = path.len();
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key.get_ref());
        let found = value_at(value, offset, path) || key.span().contains(&offset);
        if !found {
            path.truncate(length);
        }
        found
    })
}

fn value_at(value: &Spanned<DeValue<'_>>, offset: usize, path: &mut String) -> bool {
    let inner = match value.get_ref() {
        DeValue::Table(table) => key_at(table, offset, path),
        DeValue::Array(items) => items.iter().enumerate().any(|(index, item)| {
            let length = path.len();
            let _ = write!(path, "[{index}]");
            let found = value_at(item, offset, path);
            if !found {
                path.truncate(length);
            }
            found
        }),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => false,
    };
    inner || value.span().contains(&offset)
}

/// Where the value of a path such as `ops[2].node` stands, or the table that leaves it out.
fn find_key(table: &Spanned<DeTable<'_>>, path: &str) -> Option<Range<usize>> {
    let mut parts = path.split(['.', '[', ']']).filter(|part| !part.is_empty());
    let mut value = table.get_ref().get(parts.next()?)?;
    for part in parts {
        let inner = match value.get_ref() {
            DeValue::Table(table) => table.get(part),
            DeValue::Array(items) => items.get(part.parse::<usize>().ok()?),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => None,
        };
        match inner {
            Some(inner) => value = inner,
            None => break,
        }
    }
    Some(value.span())
}

#[cfg(test)]
mod tests;
