use super::*;
use crate::node::NodeIndex;
use crate::time::Instant;
use crate::trace::{Event, Line};
use serde_json::Value;

const OPEN: &str = "<script type=\"application/json\" id=\"data\">";

fn page_of(title: &str, text: &str) -> String {
    let line = Line {
        place: 0,
        at: Instant::from_millis(1),
        node: Some(NodeIndex(0)),
        number: None,
        event: Event::Note {
            text: text.to_owned(),
        },
    };
    page(&Diagram::new(title, 1, None, &[line])).expect("it is data")
}

/// The data in a page, as a browser finds it: up to the first end of the element.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once(OPEN).expect("the data is there");
    let (data, _) = rest.split_once("</script").expect("it ends");
    serde_json::from_str(data).expect("it is JSON")
}

#[test]
fn contents_of_messages_cannot_leave_their_place() {
    let evil = "</script><script>alert(1)</script><!-- /* script */ <!-- data --> \u{2028} & \" \\";
    let page = page_of("</title><b>&", evil);
    assert_eq!(data(&page)["marks"][0]["text"], format!("note {evil}"));
    assert_eq!(data(&page)["title"], "</title><b>&");
    assert!(
        page.contains("<title>&lt;/title&gt;&lt;b&gt;&amp;</title>"),
        "{page}"
    );
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script>").count(), 2);
    assert_eq!(page.matches("alert(1)").count(), 1);
}

#[test]
fn a_page_is_whole_and_asks_nobody_for_anything() {
    let page = page_of("t", "x");
    for slot in [
        "<!-- title -->",
        "/* style */",
        "<!-- data -->",
        "/* script */",
    ] {
        assert!(FRAME.contains(slot), "{slot}");
        assert!(!page.contains(slot), "{slot}");
    }
    for asking in [
        "http:",
        "https:",
        "src=",
        "href=",
        "@import",
        "url(",
        "fetch(",
        "innerHTML",
    ] {
        assert!(!page.contains(asking), "{asking}");
    }
}
