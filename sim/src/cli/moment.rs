//! Simulated times on the command line.

use crate::time::Instant;
use std::str::FromStr;

/// A simulated time as traces print it, `1.500000s`, or in another unit: `300ms`, `20us`, `7ns`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Instant);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        nanos(text)
            .map(Instant::from_nanos)
            .map(Self)
            .ok_or_else(|| {
                format!("found `{text}`, expected a simulated time such as 1.5s, 300ms or 20us")
            })
    }
}

/// The nanoseconds that a text means, if it means any and they are whole.
fn nanos(text: &str) -> Option<u64> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[number.len()..] {
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" => 1_000,
        "ns" => 1,
        _ => return None,
    };
    let (whole, part) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some((whole, part)) => (whole, part),
        None => (number, ""),
    };
    let whole = digits(whole)?.checked_mul(unit)?;
    if part.is_empty() {
        return Some(whole);
    }
    let scale = 10_u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    let part = digits(part)?.checked_mul(unit)?;
    let is_whole = part.is_multiple_of(scale);
    is_whole.then(|| whole.checked_add(part / scale)).flatten()
}

/// Digits and nothing else; the parser of numbers takes a sign as well.
fn digits(text: &str) -> Option<u64> {
    let all = text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact_and_in_the_form_that_traces_print() {
        let cases = [
            ("0s", 0),
            ("1.500000s", 1_500_000_000),
            ("0.000001s", 1_000),
            ("300ms", 300_000_000),
            ("0.25ms", 250_000),
            ("20us", 20_000),
            ("7ns", 7),
            ("18446744073s", 18_446_744_073_000_000_000),
        ];
        for (text, nanos) in cases {
            assert_eq!(
                text.parse(),
                Ok(Moment(Instant::from_nanos(nanos))),
                "{text}"
            );
        }
        let at = Instant::from_micros(1_234_567);
        assert_eq!(at.to_string().parse(), Ok(Moment(at)));
    }

    #[test]
    fn what_is_no_time_is_refused_by_what_was_found() {
        let wrong = [
            "",
            "5",
            "s",
            ".s",
            "1.s",
            ".5s",
            "-1s",
            "+1s",
            "1 s",
            "1h",
            "0.5ns",
            "1e3s",
            "1.-5s",
            "18446744074s",
            "1.00000000000000000000s",
        ];
        for text in wrong {
            let error = text.parse::<Moment>().expect_err(text);
            assert!(
                error.starts_with(&format!("found `{text}`, expected a")),
                "{error}"
            );
        }
    }
}
