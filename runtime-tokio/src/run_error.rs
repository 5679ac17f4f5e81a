//! Why a node does not start, or stops out of order.

use crate::open::OpenError;
use crate::recording::RecordingError;
use meshos_core::node::StartError;
use std::io;

/// Why a node does not start, or stops out of order.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its store cannot be had.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Config and store do not fit.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It cannot listen for peers.
    #[error("cannot listen for peers on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It cannot listen for clients.
    #[error("cannot listen for clients on {path}: {source}")]
    Control {
        /// Where.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Its run cannot be recorded.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// Something of the system is not to be had.
    #[error("{what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A part of the node stopped by itself; the log says why.
    #[error("the {0} stopped by itself")]
    Ended(&'static str),
    /// A signal came while it waited for its disks.
    #[error("stopped by another signal before everything under way was written")]
    CutShort,
}
