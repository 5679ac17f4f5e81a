//! `--shard`: which part of a sweep is run here.

use super::Stop;
use crate::sweep::stripes::Shard;
use std::str::FromStr;

/// What `--shard` says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum ShardArg {
    /// This part.
    Part(Shard),
    /// The part that the surroundings name.
    Auto,
}

impl FromStr for ShardArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            part => part
                .parse()
                .map(Self::Part)
                .map_err(|problem: String| format!("{problem}, or `auto`")),
        }
    }
}

impl ShardArg {
    /// The part itself.
    pub(super) fn shard(self) -> Result<Shard, Stop> {
        match self {
            Self::Part(shard) => Ok(shard),
            Self::Auto => {
                let variable = |name: &str| std::env::var(name).ok();
                let found = found(variable);
                found.map_err(|problem| Stop::Unusable(format!("--shard auto: {problem}")))
            }
        }
    }
}

/// Who deals out work, by the variables that say which part is meant.
struct Dealer {
    who: &'static str,
    /// The number of the part.
    number: &'static str,
    /// How many there are.
    of: &'static str,
    /// The first number, and the distance between two, where they are not always one.
    first: Option<&'static str>,
    step: Option<&'static str>,
    /// The first number where no variable says it.
    first_is: u64,
}

const DEALERS: [Dealer; 3] = [
    Dealer {
        who: "a Kubernetes Indexed Job",
        number: "JOB_COMPLETION_INDEX",
        of: "SHARDS",
        first: None,
        step: None,
        first_is: 0,
    },
    Dealer {
        who: "a Slurm array",
        number: "SLURM_ARRAY_TASK_ID",
        of: "SLURM_ARRAY_TASK_COUNT",
        first: Some("SLURM_ARRAY_TASK_MIN"),
        step: Some("SLURM_ARRAY_TASK_STEP"),
        first_is: 0,
    },
    Dealer {
        who: "a CI matrix",
        number: "CI_NODE_INDEX",
        of: "CI_NODE_TOTAL",
        first: None,
        step: None,
        first_is: 1,
    },
];

fn found(variable: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
    let is_set = |dealer: &&Dealer| variable(dealer.number).is_some();
    let dealers: Vec<_> = DEALERS.iter().filter(is_set).collect();
    let [dealer] = dealers[..] else {
        let numbers = |dealers: &[&Dealer]| {
            let told = dealers.iter();
            let told = told.map(|dealer| format!("{} ({})", dealer.number, dealer.who));
            told.collect::<Vec<_>>().join(", ")
        };
        return Err(match dealers.is_empty() {
            true => format!(
                "found none of {}; expected one of them, or --shard K/N",
                numbers(&DEALERS.iter().collect::<Vec<_>>())
            ),
            false => format!("found {}; expected one of them", numbers(&dealers)),
        });
    };
    let value = |name: &str| {
        let text = variable(name).ok_or_else(|| {
            let number = dealer.number;
            format!("found {number} and no {name}, which has to say how many parts there are")
        })?;
        let number = text.parse::<u64>();
        number.map_err(|_| format!("found {name}={text}, expected a number"))
    };
    let given = |name: Option<&str>, otherwise| match name.filter(|name| variable(name).is_some()) {
        Some(name) => value(name),
        None => Ok(otherwise),
    };
    let (number, of) = (value(dealer.number)?, value(dealer.of)?);
    let (first, step) = (
        given(dealer.first, dealer.first_is)?,
        given(dealer.step, 1)?,
    );
    let place = number.checked_sub(first);
    let place = place.filter(|place| step > 0 && place % step == 0);
    let shard = place.and_then(|place| Shard::new(place / step + 1, of));
    shard.ok_or_else(|| {
        let Dealer {
            number: name,
            of: count,
            ..
        } = dealer;
        format!(
            "found {name}={number} and {count}={of}, expected one of {of} numbers from {first} on"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(variables: &[(&str, &str)]) -> Result<String, String> {
        let variable = |name: &str| {
            let set = variables.iter().find(|(set, _)| *set == name);
            set.map(|(_, value)| (*value).to_owned())
        };
        found(variable).map(|shard| shard.to_string())
    }

    #[test]
    fn each_scheduler_counts_in_its_own_way() {
        let kubernetes = [("JOB_COMPLETION_INDEX", "0"), ("SHARDS", "7")];
        assert_eq!(auto(&kubernetes), Ok("1/7".to_owned()));
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "14"),
            ("SLURM_ARRAY_TASK_COUNT", "5"),
            ("SLURM_ARRAY_TASK_MIN", "10"),
        ];
        assert_eq!(auto(&slurm), Ok("5/5".to_owned()));
        let steps = [slurm.as_slice(), &[("SLURM_ARRAY_TASK_STEP", "2")]].concat();
        assert_eq!(auto(&steps), Ok("3/5".to_owned()));
        let matrix = [("CI_NODE_INDEX", "7"), ("CI_NODE_TOTAL", "7")];
        assert_eq!(auto(&matrix), Ok("7/7".to_owned()));
    }

    #[test]
    fn what_is_no_part_is_told_with_what_was_found() {
        let problem = |variables: &[(&str, &str)]| auto(variables).expect_err("no part");
        let none = problem(&[("SHARDS", "7")]);
        assert!(
            none.starts_with("found none of JOB_COMPLETION_INDEX ("),
            "{none}"
        );
        let count = problem(&[("JOB_COMPLETION_INDEX", "3")]);
        assert!(
            count.starts_with("found JOB_COMPLETION_INDEX and no SHARDS"),
            "{count}"
        );
        let word = problem(&[("CI_NODE_INDEX", "first"), ("CI_NODE_TOTAL", "7")]);
        assert_eq!(word, "found CI_NODE_INDEX=first, expected a number");
        for index in ["0", "8"] {
            let past = problem(&[("CI_NODE_INDEX", index), ("CI_NODE_TOTAL", "7")]);
            let found = format!("found CI_NODE_INDEX={index} and CI_NODE_TOTAL=7, ");
            assert!(past.starts_with(&found), "{past}");
        }
        let two = problem(&[("CI_NODE_INDEX", "1"), ("JOB_COMPLETION_INDEX", "1")]);
        assert!(
            two.ends_with("CI_NODE_INDEX (a CI matrix); expected one of them"),
            "{two}"
        );
    }
}
