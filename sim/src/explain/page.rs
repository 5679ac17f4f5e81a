//! A run as one page that needs nothing else: no network, no other file.

use super::diagram::Diagram;

const FRAME: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
/// In the order in which they build on each other.
const SCRIPTS: [&str; 4] = [
    include_str!("page/layout.js"),
    include_str!("page/draw.js"),
    include_str!("page/panel.js"),
    include_str!("page/page.js"),
];

/// The page of a diagram.
pub(crate) fn page(diagram: &Diagram<'_>) -> serde_json::Result<String> {
    let data = serde_json::to_string(diagram)?;
    let parts = [
        ("<!-- title -->", escaped(diagram.title)),
        ("/* style */", STYLE.to_owned()),
        ("<!-- data -->", inert(&data)),
        ("/* script */", SCRIPTS.join("\n")),
    ];
    let mut page = String::new();
    let mut rest = FRAME;
    // From front to back, so that nothing is looked for in what was filled in.
    for (slot, part) in parts {
        let (before, behind) = rest.split_once(slot).unwrap_or((rest, ""));
        page.push_str(before);
        page.push_str(&part);
        rest = behind;
    }
    page.push_str(rest);
    Ok(page)
}

/// JSON that no parser of HTML takes for anything else: contents of messages may hold an end of
/// the element that they stand in, or the beginning of a comment.
fn inert(json: &str) -> String {
    json.replace('<', "\\u003c")
}

/// Text between tags.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
