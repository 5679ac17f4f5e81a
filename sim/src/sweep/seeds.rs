//! Which seeds a sweep runs.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use thiserror::Error;

/// Seeds in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seeds {
    /// `first` and the `count - 1` seeds after it.
    Range {
        /// The smallest seed.
        first: u64,
        /// How many.
        count: u64,
    },
    /// Exactly these, ascending and distinct.
    List(Vec<u64>),
}

/// Plans are TOML, whose integers have 63 bits.
pub(crate) const SEED_MAX: u64 = i64::MAX as u64;

/// Why a text names no seeds.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum SeedsError {
    /// It has none of the known forms.
    #[error("found `{0}`, expected a count N, a range A..B or A..=B, or a list such as 3,7")]
    Form(String),
    /// The range holds nothing.
    #[error("`{0}` holds no seed")]
    Empty(String),
    /// A seed does not fit a plan.
    #[error("found seed {0}, expected at most {SEED_MAX}")]
    Large(u64),
}

/// The text of `--seeds`, before the base of a plain count is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// So many seeds from the base on.
    Count(u64),
    /// Seeds that need no base.
    Fixed(Seeds),
}

impl FromStr for Choice {
    type Err = SeedsError;

    fn from_str(text: &str) -> Result<Self, SeedsError> {
        let form = || SeedsError::Form(text.to_owned());
        let number = |part: &str| match part.parse() {
            Ok(seed) if seed > SEED_MAX => Err(SeedsError::Large(seed)),
            Ok(seed) => Ok(seed),
            Err(_) => Err(form()),
        };
        if let Some((first, last)) = text.split_once("..=") {
            return range(text, number(first)?, number(last)? + 1);
        }
        if let Some((first, end)) = text.split_once("..") {
            return range(text, number(first)?, number(end)?);
        }
        if text.contains(',') {
            let parts = text.split(',').filter(|part| !part.is_empty()).map(number);
            let mut list = parts.collect::<Result<Vec<u64>, _>>()?;
            list.sort_unstable();
            list.dedup();
            return match list.is_empty() {
                true => Err(form()),
                false => Ok(Self::Fixed(Seeds::List(list))),
            };
        }
        match number(text)? {
            0 => Err(SeedsError::Empty(text.to_owned())),
            count => Ok(Self::Count(count)),
        }
    }
}

fn range(text: &str, first: u64, end: u64) -> Result<Choice, SeedsError> {
    match end.checked_sub(first) {
        None | Some(0) => Err(SeedsError::Empty(text.to_owned())),
        Some(count) => Ok(Choice::Fixed(Seeds::Range { first, count })),
    }
}

impl Seeds {
    /// How many seeds there are.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Range { count, .. } => *count,
            Self::List(list) => list.len() as u64,
        }
    }

    /// Seed number `index`, which is below the count.
    pub(crate) fn nth(&self, index: u64) -> u64 {
        match self {
            Self::Range { first, .. } => first + index,
            Self::List(list) => list[index as usize],
        }
    }

    /// The seeds at these places, which are below the count.
    pub(crate) fn part(&self, places: Range<u64>) -> Self {
        match self {
            Self::Range { first, .. } => Self::Range {
                first: first + places.start,
                count: places.end - places.start,
            },
            Self::List(list) => {
                let places = places.start as usize..places.end as usize;
                Self::List(list[places].to_vec())
            }
        }
    }

    /// Seeds from the text that they are shown as.
    pub(crate) fn read(text: &str) -> Result<Self, SeedsError> {
        Ok(match text.parse()? {
            Choice::Fixed(seeds) => seeds,
            Choice::Count(first) => Self::Range { first, count: 1 },
        })
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { first, count: 1 } => write!(f, "{first}"),
            Self::Range { first, count } => write!(f, "{first}..{}", first + count),
            Self::List(list) => {
                let list: Vec<String> = list.iter().map(u64::to_string).collect();
                f.write_str(&list.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        let parse = |text: &str| text.parse::<Choice>();
        assert_eq!(parse("20"), Ok(Choice::Count(20)));
        let range = |first, count| Ok(Choice::Fixed(Seeds::Range { first, count }));
        assert_eq!(parse("5..8"), range(5, 3));
        assert_eq!(parse("5..=8"), range(5, 4));
        assert_eq!(parse("7,3,7"), Ok(Choice::Fixed(Seeds::List(vec![3, 7]))));
        assert_eq!(parse("7,"), Ok(Choice::Fixed(Seeds::List(vec![7]))));
    }

    #[test]
    fn what_is_shown_is_read() {
        for text in ["5", "5..8", "3,7"] {
            let seeds = Seeds::read(text).map(|seeds| seeds.to_string());
            assert_eq!(seeds, Ok(text.to_owned()));
        }
    }

    #[test]
    fn useless_forms_say_why() {
        let error = |text: &str| text.parse::<Choice>().expect_err("useless").to_string();
        assert_eq!(error("8..8"), "`8..8` holds no seed");
        assert_eq!(error("9..=8"), "`9..=8` holds no seed".to_owned());
        assert_eq!(error("0"), "`0` holds no seed");
        assert!(error("many").starts_with("found `many`, expected a count N"));
        assert!(error("-3").starts_with("found `-3`"));
        assert!(error(",").starts_with("found `,`"));
        assert!(error("18446744073709551615").contains("at most 9223372036854775807"));
    }
}
