//! The plain way: format, orders, boot.

use super::disk::{Crash, Disk};
use super::history::{
    FORMAT, GENERATION, LIMITS, Model, RUN, Step, What, chain, founding, identity,
};
use crate::chain::order::Image;
use crate::chain::recover::{RecoverError, recover};
use crate::chain::store::{Founding, format, identity_name};
use crate::chain::vote::{Counted, Place, newest};
use crate::id::{ChainId, Incarnation};
use core::num::NonZeroUsize;
use std::vec::Vec;

fn boot(disk: &mut Disk) -> (crate::chain::store::Layout, Image, u64) {
    let recovered = recover(&disk.files(), &LIMITS, RUN).expect("the store is readable");
    disk.perform(&recovered.repairs);
    let [image] = &recovered.boot.images[..] else {
        panic!("there is one chain");
    };
    let incarnation = recovered.boot.incarnation.get();
    (recovered.layout, image.clone(), incarnation)
}

#[test]
fn a_fresh_store_boots_empty() {
    let mut disk = Disk::default();
    assert_eq!(
        recover(&disk.files(), &LIMITS, RUN),
        Err(RecoverError::Unformatted)
    );
    disk.perform(&format(&identity(), FORMAT, &[founding()]));
    let mut disk = disk.crashed(Crash::Lost);
    let length = |disk: &Disk| disk.files()[&identity_name(Place::A)].len();
    let formatted = length(&disk);
    for boots in 1..4 {
        let (_, image, incarnation) = boot(&mut disk);
        assert_eq!(length(&disk), formatted, "a boot needs no more space");
        assert_eq!(image, Model::new().image());
        assert_eq!(incarnation, boots);
        disk = disk.crashed(Crash::Lost);
    }
    assert_eq!(Incarnation::new(3).get(), 3);
}

#[test]
fn every_order_survives_a_boot() {
    let mut disk = Disk::default();
    let mut model = Model::new();
    disk.perform(&format(&identity(), FORMAT, &[founding()]));
    let (mut layout, _, _) = boot(&mut disk);
    let whats = [
        What::Vote,
        What::Append,
        What::Append,
        What::Cut,
        What::Append,
        What::Retain,
        What::Append,
        What::Vote,
        What::Reset,
        What::Append,
        What::Append,
    ];
    for (salt, what) in (3..300).zip(whats.into_iter().cycle()) {
        let order = model.order(Step { what, salt });
        let ops = layout.perform(chain(), GENERATION, &order);
        disk.perform(&ops);
        model.apply(&order);
        disk = disk.crashed(Crash::Lost);
        if salt % 3 == 0 {
            let (next, image, _) = boot(&mut disk);
            assert_eq!(image, model.image(), "after {what:?} {salt}");
            layout = next;
        }
    }
}

#[test]
fn the_newest_readable_place_counts() {
    let of = |counter| -> Result<_, ()> { Ok(Counted { counter, value: () }) };
    let place = |a, b| newest(&a, &b).map(|(place, counted)| (place, counted.counter));
    assert_eq!(place(of(1), of(2)), Some((Place::B, 2)));
    assert_eq!(place(of(3), of(2)), Some((Place::A, 3)));
    assert_eq!(place(of(1), Err(())), Some((Place::A, 1)));
    assert_eq!(place(Err(()), of(1)), Some((Place::B, 1)));
    assert_eq!(place(Err(()), Err(())), None);
}

#[test]
fn divided_layouts_hold_each_chain_once_and_about_as_many_each() {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let foundings = names.map(|name| Founding {
        chain: ChainId::of(name),
        ..founding()
    });
    let mut disk = Disk::default();
    disk.perform(&format(&identity(), FORMAT, &foundings));
    let whole = recover(&disk.files(), &LIMITS, RUN).unwrap().layout;
    for (parts, counts) in [
        (1, &[7][..]),
        (3, &[3, 2, 2]),
        (8, &[1, 1, 1, 1, 1, 1, 1, 0]),
    ] {
        let divided = whole.clone().divide(NonZeroUsize::new(parts).unwrap());
        let held = divided.iter().map(|part| part.chains().count());
        assert!(held.eq(counts.iter().copied()), "{parts} parts");
        let mut chains: Vec<_> = divided.iter().flat_map(|part| part.chains()).collect();
        chains.sort();
        assert!(chains.into_iter().eq(whole.chains()));
        for part in divided {
            assert_eq!(part.identity(), whole.identity());
            let tip = |(chain, generation)| {
                let tips = [&part, &whole].map(|layout| layout.tip(chain, generation));
                tips[0].is_some() && tips[0] == tips[1]
            };
            assert!(part.chains().all(tip));
        }
    }
}
