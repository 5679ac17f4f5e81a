//! The fuzz targets as plain functions, so that their corpora run as tests, too.

pub mod message;
pub mod node_step;
pub mod plan_parse;
pub mod plan_run;
pub mod recover;

/// Tries one input.
pub type Run = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const ALL: [(&str, Run); 5] = [
    ("message", message::run),
    ("node_step", node_step::run),
    ("plan_parse", plan_parse::run),
    ("plan_run", plan_run::run),
    ("recover", recover::run),
];
