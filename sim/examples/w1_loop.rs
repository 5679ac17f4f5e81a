//! x
use meshos_sim::{bench::w1, queue::QueueKind};
fn main() {
    let nodes: u16 = std::env::args().nth(1).unwrap().parse().unwrap();
    let secs = if nodes > 10 { 60 } else { 600 };
    for _ in 0..(if nodes > 10 { 100 } else { 500 }) {
        std::hint::black_box(w1::run(7, nodes, secs, QueueKind::Auto).digest());
    }
}
