//! The `meshos-dst` command.

fn main() {}
