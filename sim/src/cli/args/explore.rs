//! The words of `explore`.

use clap::Args;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Debug, Args)]
pub(in crate::cli) struct Explore {
    /// The scenario
    pub(in crate::cli) scenario: String,
    /// Most choices of one run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) depth: Option<u32>,
    /// Most states that are told apart
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) states: Option<u32>,
    /// Most memory, such as 512M or 4G; by default a quarter of the machine's
    #[arg(long, value_name = "BYTES")]
    pub(in crate::cli) memory: Option<Memory>,
    /// Crashes of one run
    #[arg(long, value_name = "N")]
    pub(in crate::cli) crashes: Option<u8>,
    /// Deadlines that are reached in one run, or `any`
    #[arg(long, value_name = "N|any")]
    pub(in crate::cli) timeouts: Option<Allowed>,
    /// How many of them while a message or an answer of a disk is under way, or `any`
    #[arg(long, value_name = "N|any")]
    pub(in crate::cli) early: Option<Allowed>,
    /// Messages of one run that are lost
    #[arg(long, value_name = "N")]
    pub(in crate::cli) losses: Option<u8>,
    /// Messages of one run that arrive once more
    #[arg(long, value_name = "N")]
    pub(in crate::cli) duplicates: Option<u8>,
    /// Where the plan of a violation goes
    #[arg(long, value_name = "DIR", default_value = "failures")]
    pub(in crate::cli) out: PathBuf,
}

/// How often something may happen.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Allowed {
    Any,
    AtMost(u8),
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "any" => Ok(Self::Any),
            number => number
                .parse()
                .map(Self::AtMost)
                .map_err(|_| format!("found `{number}`, expected a number up to 255, or `any`")),
        }
    }
}

/// An amount of memory: `512M` or `4G`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Memory(pub(in crate::cli) u64);

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let bytes = match unit {
            "M" | "MiB" => Some(1 << 20),
            "G" | "GiB" => Some(1 << 30),
            _ => None,
        };
        let number: Option<u64> = number.parse().ok().filter(|number| *number > 0);
        let bytes = bytes.zip(number);
        let bytes = bytes.and_then(|(bytes, number): (u64, u64)| bytes.checked_mul(number));
        bytes
            .map(Self)
            .ok_or_else(|| format!("found `{text}`, expected memory such as 512M or 4G"))
    }
}
