//! The JUnit report: one case for each scenario, and one for the marks and obligations
//! that none of them saw.

use super::account::Account;
use super::case::Case;
use super::duty;
use std::fmt::Write as _;
use std::time::Duration;

/// The report; `times` are those of the whole and of each scenario, where anybody knows them.
pub(super) fn render(
    account: &Account<'_>,
    cases: &[Case],
    times: Option<(Duration, &[Duration])>,
) -> String {
    let (tallies, program) = (&account.tallies, account.program.name);
    let full = account.is_full();
    let bad = |index: usize| {
        of(cases, &tallies[index].scenario).next().is_some()
            || (full && !account.missing_of(index).is_empty())
    };
    let duties = account.duties();
    let (unreached, idle) = match full {
        true => (account.missing(), duty::idle(&duties)),
        false => (Vec::new(), Vec::new()),
    };
    let joint = usize::from(!unreached.is_empty() || !idle.is_empty());
    let failures = (0..tallies.len()).filter(|index| bad(*index)).count() + joint;
    let skipped = tallies.iter().filter(|tally| tally.seeds == 0).count();
    let time = |of: Option<Duration>| {
        of.map_or_else(String::new, |of| {
            let ms = of.as_millis();
            format!(" time=\"{}.{:03}\"", ms / 1000, ms % 1000)
        })
    };
    let whole = time(times.map(|(whole, _)| whole));
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" skipped=\"{skipped}\"{whole}>",
        escape(program),
        tallies.len() + joint,
    );
    for index in 0..tallies.len() {
        let took = time(times.map(|(_, took)| took[index]));
        scenario_case(&mut out, account, cases, index, &took);
    }
    if joint > 0 {
        let class = escape(program);
        let _ = writeln!(
            out,
            "  <testcase classname=\"{class}\" name=\"all scenarios\">"
        );
        unreached_failures(&mut out, &unreached);
        for (property, why) in idle {
            let (property, why) = (escape(property), escape(why));
            let _ = writeln!(
                out,
                "    <failure type=\"obligation\" message=\"{why}: {property}\"/>"
            );
        }
        out.push_str("  </testcase>\n");
    }
    out.push_str("</testsuite>\n");
    out
}

fn scenario_case(
    out: &mut String,
    account: &Account<'_>,
    cases: &[Case],
    index: usize,
    took: &str,
) {
    let tally = &account.tallies[index];
    let (class, name) = (escape(account.program.name), escape(&tally.scenario));
    let _ = writeln!(
        out,
        "  <testcase classname=\"{class}\" name=\"{name}\"{took}>"
    );
    if tally.seeds == 0 {
        out.push_str("    <skipped message=\"no seed ran\"/>\n");
    }
    for case in of(cases, &tally.scenario) {
        let trace: Vec<String> = case.trace.iter().map(ToString::to_string).collect();
        let finding = &case.finding;
        let _ = writeln!(
            out,
            "    <failure type=\"{}\" message=\"{}\">{}</failure>",
            escape(&finding.property),
            escape(&format!("seed {}: {finding}", case.seed)),
            escape(&format!("{}\nagain: {}", trace.join("\n"), case.reproduce)),
        );
    }
    if account.is_full() {
        unreached_failures(out, &account.missing_of(index));
    }
    out.push_str("  </testcase>\n");
}

/// The violations of one scenario.
fn of<'a>(cases: &'a [Case], scenario: &'a str) -> impl Iterator<Item = &'a Case> {
    let cases = cases.iter();
    cases.filter(move |case| case.scenario == scenario)
}

fn unreached_failures(out: &mut String, marks: &[&str]) {
    for mark in marks {
        let mark = escape(mark);
        let _ = writeln!(
            out,
            "    <failure type=\"reached\" message=\"never: {mark}\"/>"
        );
    }
}

/// Text as XML carries it; control characters that XML does not know become blanks.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
