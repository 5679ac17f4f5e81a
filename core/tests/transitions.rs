//! The tables of legal transitions, as tables.

use meshos_core::replica::role::{Role, SIGNALS, TransitionError};
use std::fmt::Write;

const ROLES: [Role; 4] = [Role::Idle, Role::Replica, Role::Candidate, Role::Leader];

#[test]
fn roles() {
    let mut table = String::new();
    for (column, signal) in SIGNALS.iter().enumerate() {
        writeln!(table, "{column} {signal:?}").unwrap();
    }
    writeln!(table, "\n{:24}0 1 2 3 4 5 6 7 8 9", "").unwrap();
    for from in ROLES {
        for to in ROLES {
            let pair = format!("{from:?} -> {to:?}");
            write!(table, "{pair:23}").unwrap();
            for signal in SIGNALS {
                let mut role = from;
                let (mark, after) = match role.change(to, signal) {
                    Ok(()) => ("X", to),
                    Err(error) if error == (TransitionError::InvalidPair { from, to }) => {
                        ("", from)
                    }
                    Err(error) => {
                        assert_eq!(error, TransitionError::SignalMismatch { from, to, signal });
                        ("-", from)
                    }
                };
                assert_eq!(role, after, "a refused change leaves the role alone");
                write!(table, " {mark:1}").unwrap();
            }
            table.truncate(table.trim_end().len());
            table.push('\n');
        }
    }
    // X: changes. -: refused, another signal permits it. Blank: refused, none does.
    insta::assert_snapshot!(table);
}
