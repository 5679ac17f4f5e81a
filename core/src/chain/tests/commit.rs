//! What a store takes down as committed.

use super::disk::{Crash, Disk};
use super::history::{
    FORMAT, GENERATION, LIMITS, Model, RUN, Step, What, chain, founding, identity,
};
use crate::chain::recover::{Recovered, recover};
use crate::chain::store::{Layout, Named, Part, format};
use crate::id::Seq;
use std::vec::Vec;

struct Store {
    disk: Disk,
    layout: Layout,
    model: Model,
}

impl Store {
    fn new() -> Self {
        let mut disk = Disk::default();
        disk.perform(&format(&identity(), FORMAT, &[founding()]));
        let layout = boot(&mut disk).layout;
        let model = Model::new();
        Self {
            disk,
            layout,
            model,
        }
    }

    /// Performs a drawn order of that kind, with everything before it committed.
    fn order(&mut self, what: What) {
        self.layout
            .know_commit(chain(), GENERATION, self.model.tip().end);
        let order = self.model.order(Step { what, salt: 7 });
        self.disk
            .perform(&self.layout.perform(chain(), GENERATION, &order));
        self.model.apply(&order);
    }

    fn stored(&self) -> Seq {
        found(&self.disk).boot.images[0].commit
    }

    fn segments(&self) -> Vec<crate::chain::store::FileName> {
        let files = self.disk.files();
        let names = files.into_keys().filter(|name| {
            let part = match Named::of(name) {
                Some(Named::Chain { part, .. }) => Some(part),
                Some(Named::Identity(_) | Named::Peers(_)) | None => None,
            };
            matches!(part, Some(Part::Segment(_)))
        });
        names.collect()
    }
}

fn found(disk: &Disk) -> Recovered {
    recover(&disk.files(), &LIMITS, RUN).expect("the identity is intact")
}

fn boot(disk: &mut Disk) -> Recovered {
    let recovered = found(disk);
    disk.perform(&recovered.repairs);
    recovered
}

#[test]
fn each_batch_and_each_vote_takes_down_what_is_committed() {
    for what in [What::Append, What::Vote] {
        let mut store = Store::new();
        store.order(What::Append);
        assert_eq!(store.stored(), Seq::ZERO);
        let end = store.model.tip().end;
        store.order(what);
        assert_eq!(store.stored(), end);
        // Every boot keeps it, whatever of the log is copied.
        for _ in 0..3 {
            store.disk = store.disk.crashed(Crash::Lost);
            assert_eq!(boot(&mut store.disk).boot.images[0].commit, end);
        }
    }
}

#[test]
fn what_is_committed_costs_no_operation() {
    let mut store = Store::new();
    let mut silent = Store::new();
    for what in [What::Append, What::Append, What::Vote, What::Append] {
        store.order(what);
        let order = silent.model.order(Step { what, salt: 7 });
        let ops = silent.layout.perform(chain(), GENERATION, &order);
        let other = &store.disk;
        silent.disk.perform(&ops);
        silent.model.apply(&order);
        assert_eq!(other.files().len(), silent.disk.files().len());
    }
    let size = |disk: &Disk| disk.files().values().map(bytes::Bytes::len).sum::<usize>();
    assert_eq!(size(&store.disk), size(&silent.disk));
}

#[test]
fn a_log_that_ends_below_what_was_stored_as_committed_is_left_alone() {
    let mut store = Store::new();
    store.order(What::Append);
    store.order(What::Vote);
    let end = store.model.tip().end;
    for name in store.segments() {
        store
            .disk
            .perform(&[crate::chain::store::FileOp::Remove { file: name }]);
    }
    for _ in 0..2 {
        let recovered = boot(&mut store.disk);
        let image = &recovered.boot.images[0];
        assert_eq!(image.commit, end);
        assert!(image.tip.end < end, "the loss shows");
    }
}
