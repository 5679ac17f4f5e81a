//! Whatever peers, stores, clients and clocks do, a node goes on within its bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| meshos_fuzz::steps::run(bytes));
