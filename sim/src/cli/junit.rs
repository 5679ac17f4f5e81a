//! The JUnit report: one case for each scenario, and one for the marks and obligations
//! that none of them saw.

use super::sweep::Sweep;
use std::fmt::Write as _;

pub(super) fn render(program: &str, sweep: &Sweep<'_>) -> String {
    let tallies = &sweep.outcome.scenarios;
    let bad = |index: usize| {
        sweep
            .cases
            .iter()
            .any(|case| case.scenario == tallies[index].scenario)
            || (sweep.full && !sweep.missing_of(index).is_empty())
    };
    let unreached = if sweep.full {
        sweep.missing()
    } else {
        Vec::new()
    };
    let idle = if sweep.full { sweep.idle() } else { Vec::new() };
    let joint = usize::from(!unreached.is_empty() || !idle.is_empty());
    let failures = (0..tallies.len()).filter(|index| bad(*index)).count() + joint;
    let skipped = tallies.iter().filter(|tally| tally.seeds == 0).count();
    let ms = sweep.outcome.elapsed.as_millis();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" skipped=\"{skipped}\" \
         time=\"{}.{:03}\">",
        escape(program),
        tallies.len() + joint,
        ms / 1000,
        ms % 1000
    );
    for (index, tally) in tallies.iter().enumerate() {
        let _ = writeln!(out, "  <testcase name=\"{}\">", escape(&tally.scenario));
        if tally.seeds == 0 {
            out.push_str("    <skipped message=\"no seed ran\"/>\n");
        }
        for case in sweep
            .cases
            .iter()
            .filter(|case| case.scenario == tally.scenario)
        {
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
        if sweep.full {
            unreached_failures(&mut out, &sweep.missing_of(index));
        }
        out.push_str("  </testcase>\n");
    }
    if joint > 0 {
        out.push_str("  <testcase name=\"all scenarios\">\n");
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
