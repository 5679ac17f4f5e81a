//! Where results go: tables for people, JSON for programs.

use super::Failure;
use clap::ValueEnum;
use meshos_core::chain::entry::{Entry, EntryKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::{Mutex, OnceLock};

/// When to colour.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The kinds of emphasis.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Faint,
}

/// The two outputs of a command. A reader that went away is no error: there is nobody to tell. A
/// result that cannot be written is one.
///
/// What is written may wait in a buffer until [`Output::flush`]: a command that pauses calls it.
pub(super) struct Output {
    text: Mutex<BufWriter<io::Stdout>>,
    json: Option<Mutex<BufWriter<Box<dyn Write + Send>>>>,
    /// The first write that failed.
    failed: OnceLock<io::Error>,
    /// Whether JSON has standard output, so that text goes to standard error.
    json_on_stdout: bool,
    color: bool,
}

impl Output {
    pub(super) fn new(json: Option<&str>, color: Color) -> Result<Self, Failure> {
        let json_on_stdout = json == Some("-");
        let json: Option<Box<dyn Write + Send>> = match json {
            None => None,
            Some("-") => Some(Box::new(io::stdout())),
            Some(path) => {
                let file = File::create(path);
                let file = file.map_err(|e| Failure::unusable(format!("{path}: {e}")))?;
                Some(Box::new(file))
            }
        };
        let is_terminal = if json_on_stdout {
            io::stderr().is_terminal()
        } else {
            io::stdout().is_terminal()
        };
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = match color {
            Color::Auto => is_terminal && !no_color,
            Color::Always => true,
            Color::Never => false,
        };
        Ok(Self {
            text: Mutex::new(BufWriter::new(io::stdout())),
            json: json.map(|json| Mutex::new(BufWriter::new(json))),
            failed: OnceLock::new(),
            json_on_stdout,
            color,
        })
    }

    /// Whether somebody asked for JSON.
    pub(super) fn is_for_programs(&self) -> bool {
        self.json.is_some()
    }

    /// One line for people.
    pub(super) fn line(&self, line: &str) {
        if self.json_on_stdout {
            let _ = writeln!(io::stderr(), "{line}");
        } else {
            let mut text = self.text.lock().expect("no writer panics");
            self.keep(writeln!(text, "{line}"));
        }
    }

    /// One line for programs.
    pub(super) fn json(&self, value: &impl Serialize) {
        if let Some(json) = &self.json {
            let mut json = json.lock().expect("no writer panics");
            let written = serde_json::to_writer(&mut *json, value);
            self.keep(written.map_err(Into::into).and_then(|()| writeln!(json)));
        }
    }

    /// Writes down what waits in buffers.
    pub(super) fn flush(&self) {
        self.keep(self.text.lock().expect("no writer panics").flush());
        if let Some(json) = &self.json {
            self.keep(json.lock().expect("no writer panics").flush());
        }
    }

    fn keep(&self, written: io::Result<()>) {
        if let Err(error) = written
            && !(self.has_file() && error.kind() == io::ErrorKind::BrokenPipe)
        {
            let _ = self.failed.set(error);
        }
    }

    /// Whether the result goes to a file, whoever reads standard output.
    fn has_file(&self) -> bool {
        self.json.is_some() && !self.json_on_stdout
    }

    /// Whether there is still somebody to write for. Whoever reads a pipe may leave while there is
    /// nothing to write.
    pub(super) fn is_wanted(&self) -> bool {
        if self.has_file() {
            return self.failed.get().is_none();
        }
        let stdout = io::stdout();
        let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
        let answered = poll(&mut polled, Some(&Timespec::default()));
        let is_gone = answered.is_ok() && polled[0].revents().contains(PollFlags::ERR);
        !is_gone && self.failed.get().is_none()
    }

    /// Says whether everything was written that somebody wanted to read.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        self.flush();
        match self.failed.get() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::unusable(
                format!("the result cannot be written: {error}"),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// `text` in colour, if colours are wanted.
    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Faint => 2,
        };
        if self.color {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// One entry, both ways.
    pub(super) fn entry(&self, entry: &Entry) {
        self.json(&EntryLine::of(entry));
        if self.json_on_stdout {
            return;
        }
        let place = format!("{} {}", entry.seq, entry.epoch);
        let place = self.paint(Tone::Faint, &place);
        let what = match &entry.kind {
            EntryKind::Empty => "(empty)".to_owned(),
            EntryKind::OpenClient => "(opens a client)".to_owned(),
            EntryKind::Config(members) => {
                let voters = members.voters.iter().map(|m| m.node.to_string());
                format!("(voters {})", voters.collect::<Vec<_>>().join(" "))
            }
            EntryKind::Data(_) => match entry.payload.bytes() {
                Some(bytes) => bytes.escape_ascii().to_string(),
                None => format!("({} bytes, left out)", entry.payload.length()),
            },
        };
        self.line(&format!("{place} {what}"));
    }
}

/// Says on standard error why a command fails, or what it waits for.
pub(super) fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "meshosd: {what}");
}

/// An entry as a line of JSON.
#[derive(Serialize)]
struct EntryLine<'a> {
    seq: u64,
    epoch: EpochLine,
    kind: &'static str,
    stamp_ms: u64,
    hash: String,
    length: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<u64>,
    /// The payload, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    /// The payload, if it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_hex: Option<String>,
}

#[derive(Serialize)]
struct EpochLine {
    n: u64,
    node: u64,
}

impl<'a> EntryLine<'a> {
    fn of(entry: &'a Entry) -> Self {
        let (kind, request) = match &entry.kind {
            EntryKind::Empty => ("empty", None),
            EntryKind::OpenClient => ("open_client", None),
            EntryKind::Config(_) => ("config", None),
            EntryKind::Data(request) => ("data", request.as_ref()),
        };
        let bytes = entry.payload.bytes();
        let text = bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| hex(bytes)));
        let (payload, payload_hex) = match text {
            None => (None, None),
            Some(Ok(text)) => (Some(text), None),
            Some(Err(hex)) => (None, Some(hex)),
        };
        Self {
            seq: entry.seq.get(),
            epoch: EpochLine {
                n: entry.epoch.n,
                node: entry.epoch.node.get(),
            },
            kind,
            stamp_ms: entry.stamp.as_ms(),
            hash: format!("{:032x}", entry.hash.0),
            length: entry.payload.length(),
            client: request.map(|request| request.client.0.get()),
            request: request.map(|request| request.number.get()),
            payload,
            payload_hex,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
