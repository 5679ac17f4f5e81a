//! Plans as TOML tables: in full, or without what is so by default.

use super::Plan;
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

impl<Op: Serialize, Cfg: Serialize> Plan<Op, Cfg> {
    /// The plan as a table, every field of it.
    pub(crate) fn to_table(&self) -> Table {
        match Table::try_from(self) {
            Ok(table) => table,
            Err(error) => panic!("a plan holds only what TOML can say: {error}"),
        }
    }
}

impl<Op, Cfg> Plan<Op, Cfg>
where
    Op: Clone + PartialEq + Serialize + DeserializeOwned,
    Cfg: Clone + PartialEq + Serialize + DeserializeOwned,
{
    /// The plan that a table says, if it is one.
    pub(crate) fn of_table(table: &Table) -> Option<Self> {
        let plan: Self = table.clone().try_into().ok()?;
        plan.check().is_ok().then_some(plan)
    }

    /// The plan as a table without the keys that say what is so by default.
    pub(crate) fn to_brief_table(&self) -> Table {
        let mut full = self.to_table();
        // Operations and faults are many and have little to leave out.
        let lists = ["ops", "faults", "choices"].map(|list| (list, full.remove(list)));
        let mut bare = self.clone();
        bare.ops.clear();
        bare.faults.clear();
        bare.choices.clear();
        let keys: Vec<_> = full.keys().cloned().collect();
        for key in keys {
            omit_defaults(&bare, &mut full, &mut vec![key]);
        }
        for (list, items) in lists {
            let items = items.filter(|items| items.as_array().is_some_and(|all| !all.is_empty()));
            if let Some(items) = items {
                full.insert(list.to_owned(), items);
            }
        }
        full
    }
}

/// Leaves out what is at `path`, or parts of it, where the plan stays the same.
fn omit_defaults<Op, Cfg>(plan: &Plan<Op, Cfg>, table: &mut Table, path: &mut Vec<String>)
where
    Op: PartialEq + DeserializeOwned,
    Cfg: PartialEq + DeserializeOwned,
{
    let mut without = table.clone();
    let Some((key, above)) = path.split_last() else {
        return;
    };
    let inner = above.iter().try_fold(&mut without, |table, key| {
        table.get_mut(key).and_then(Value::as_table_mut)
    });
    let Some(removed) = inner.and_then(|table| table.remove(key)) else {
        return;
    };
    let is_same = without
        .clone()
        .try_into()
        .is_ok_and(|other: Plan<Op, Cfg>| other == *plan);
    if is_same {
        *table = without;
        return;
    }
    for key in removed.as_table().into_iter().flat_map(Table::keys) {
        path.push(key.clone());
        omit_defaults(plan, table, path);
        path.pop();
    }
}
