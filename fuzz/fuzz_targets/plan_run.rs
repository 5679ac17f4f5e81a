#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| meshos_fuzz::targets::plan_run::run(bytes));
