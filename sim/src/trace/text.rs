//! Lines as people read them.

use super::{Event, Line};
use crate::disk::FileOp;
use core::fmt;

impl fmt::Display for FileOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append { file, bytes } => write!(f, "append {file} +{}", bytes.len()),
            Self::Write {
                file,
                offset,
                bytes,
            } => write!(f, "write {file} @{offset} +{}", bytes.len()),
            Self::Truncate { file, length } => write!(f, "truncate {file} @{length}"),
            Self::Sync { file } => write!(f, "sync {file}"),
            Self::Rename { from, to } => write!(f, "rename {from} {to}"),
            Self::Remove { file } => write!(f, "remove {file}"),
            Self::SyncDir => write!(f, "sync-dir"),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>14}  ", self.at.to_string())?;
        match self.node {
            Some(node) => write!(f, "{:<5}", node.to_string())?,
            None => write!(f, "{:<5}", "-")?,
        }
        write!(f, "{}", self.event)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boot { run, store } => write!(f, "boot run {run} of store {store}"),
            Self::Crash {} => write!(f, "crash"),
            Self::Wake {} => write!(f, "wake"),
            Self::Receive { from, message } => write!(f, "<- {from} {message}"),
            Self::Op { op } => write!(f, "op {op}"),
            Self::Link { link } => write!(f, "link {link}"),
            Self::Stored { token, error: None } => write!(f, "stored {token}"),
            Self::Stored {
                token,
                error: Some(error),
            } => write!(f, "stored {token}: {error}"),
            Self::Send {
                to: Some(to),
                message,
            } => write!(f, "-> {to} {message}"),
            Self::Send { to: None, message } => write!(f, "-> all {message}"),
            Self::Lost { to, message } => write!(f, "-x {to} {message}"),
            Self::Persist { token, ops } => write!(f, "persist {token}: {}", ops.join(", ")),
            Self::Output { output } => write!(f, "output {output}"),
            Self::Exit {} => f.write_str("exit"),
            Self::Refused { what } => write!(f, "refused {what}"),
            Self::Fault { fault } => write!(f, "fault {fault:?}"),
            Self::State { hash } => write!(f, "state {hash:016x}"),
            Self::Role { state, .. } => write!(f, "role {}", state.replace('\n', "; ")),
            Self::Log { level, text } => write!(f, "log {level} {text}"),
            Self::Note { text } => write!(f, "note {text}"),
        }
    }
}
