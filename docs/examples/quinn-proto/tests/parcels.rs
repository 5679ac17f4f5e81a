//! Streams keep their promises, and a run with TLS is a function of its seed.

use meshos_sim::prelude::*;
use quinn_pairs::entropy::provider;
use quinn_pairs::scenario::Parcels;

#[test]
fn streams_keep_their_promises() {
    assert_holds(&Parcels, 0..40);
}

#[test]
fn two_runs_of_a_plan_are_equal_to_the_last_sealed_byte() {
    for seed in 0..5 {
        let plan = Parcels.plan(seed);
        let digests = [(); 2].map(|()| run(&Parcels, &plan).digest);
        assert_eq!(digests[0], digests[1], "seed {seed}");
    }
}

#[test]
fn nobody_draws_outside_of_a_step() {
    let provider = provider();
    assert!(provider.secure_random.fill(&mut [0; 8]).is_err());
    assert!(
        provider
            .kx_groups
            .iter()
            .all(|group| group.start().is_err())
    );
}
