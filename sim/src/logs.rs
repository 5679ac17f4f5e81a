//! What machines say through `tracing` while they are stepped.
//!
//! Each event is within a span `step` that names the node and the simulated time, for whoever
//! subscribes. Where a run is traced its events become lines of the trace instead.

use crate::node::NodeIndex;
use crate::time::Instant;
use core::fmt::{self, Write};
use std::cell::RefCell;
use std::sync::LazyLock;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, dispatcher};

/// What a machine said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) level: Level,
    pub(crate) text: String,
}

thread_local! {
    static SAID: RefCell<Vec<Said>> = const { RefCell::new(Vec::new()) };
}

static COLLECTOR: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Collector));

/// Calls `step` within a span, or gathers what it says if the run is traced.
#[inline]
pub(crate) fn within<T>(
    (node, at): (NodeIndex, Instant),
    is_traced: bool,
    step: impl FnOnce() -> T,
) -> T {
    if is_traced {
        // A step of another run may have ended in a panic.
        take();
        return dispatcher::with_default(&COLLECTOR, step);
    }
    // At the highest level, so that it is there for every event that anybody wants.
    let _span = tracing::error_span!("step", %node, %at).entered();
    step()
}

/// What was said in the last step that was traced.
pub(crate) fn take() -> Vec<Said> {
    SAID.take()
}

/// Keeps events; spans of the machine are not told.
struct Collector;

impl Subscriber for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let Text { message, fields } = text;
        let level = *event.metadata().level();
        let text = format!("{message}{fields}");
        let text = text.trim_start().to_owned();
        SAID.with_borrow_mut(|said| said.push(Said { level, text }));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message of an event, and then its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
        written.expect("a string takes everything");
    }
}
