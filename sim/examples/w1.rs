//! Prints what the engine costs beside a bare loop: `cargo run --release --example w1`.

use meshos_sim::bench::{measure, w1};
use std::io::Write;
use std::time::Duration;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for mut workload in w1::workloads() {
        let figure = measure(&mut workload, 7, Duration::from_millis(200));
        let million = |count: u64| format!("{}.{:01}", count / 1_000_000, count / 100_000 % 10);
        writeln!(
            out,
            "{}: {} M events/s, yardstick {}, ratio {}",
            figure.name,
            million(figure.events_per_second),
            million(figure.yardstick_per_second.unwrap_or(0)),
            figure.ratio_milli.unwrap_or(0),
        )?;
    }
    Ok(())
}
