//! What takes long, in one program, so that all cores are busy.

mod flat;
mod plans;
mod regressions;
