//! The checks stay silent where nothing is wrong, under faults too.

mod common;

use common::{Numbers, Retrier, config, converge, trouble, workload, world};
use meshos_scenarios::checks::Checks;
use meshos_sim::scenario::NotChecked;
use meshos_sim::time::Instant;
use meshos_sim::weather::Weather;

fn run(seed: u64, nodes: u16, faults: bool) -> Result<(), String> {
    let config = config(
        nodes,
        if seed.is_multiple_of(2) {
            Some(40)
        } else {
            None
        },
    );
    let mut weather = Weather::latency_us(500, 20_000);
    if faults {
        weather.loss_ppm = 20_000;
        weather.duplicate_ppm = 20_000;
        weather.reorder_ppm = 20_000;
    }
    let mut world = world(&config, seed, weather);
    let mut hook = (
        Checks::new(&config, nodes).demand_quiet(),
        Retrier::new(seed),
    );
    let mut draw = Numbers(seed * 77 + 5);
    workload(&mut world, &mut draw, 20_000, 20_000, 0);
    if faults {
        trouble(&mut world, &mut draw, 20_000);
    }
    let end = Instant::from_millis(21_000);
    let ended = world.run_until(end, &mut hook);
    ended.map_err(|violation| violation.to_string())?;
    converge(&mut world, &mut hook)?;
    let mut not_checked = NotChecked::default();
    let finished = hook.0.finish(world.view(), &mut not_checked);
    finished.map_err(|violation| violation.to_string())?;
    if hook.0.entries() < 50 {
        return Err(format!("only {} entries were committed", hook.0.entries()));
    }
    Ok(())
}

fn hold(seeds: std::ops::Range<u64>, faults: bool) {
    let broken: Vec<String> = seeds
        .filter_map(|seed| {
            let nodes = if seed % 3 == 0 { 5 } else { 3 };
            let error = run(seed, nodes, faults).err()?;
            Some(format!("seed {seed}: {error}"))
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_healthy_cluster_holds_every_property() {
    hold(0..4, false);
}

#[test]
fn a_troubled_cluster_holds_every_property() {
    hold(0..20, true);
}
