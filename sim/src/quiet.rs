//! Panics of checked code, caught without noise.
//!
//! A panic inside a run is a violation with its seed and its site; the default hook would print
//! one message per seed in the middle of a progress bar. Threads that are not inside a run keep
//! the hook that was there before.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// Where and with which message checked code panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Panic {
    pub(crate) site: String,
    pub(crate) message: String,
}

thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Calls `job`; what it had borrowed mutably is in any state after a panic.
pub(crate) fn catch<T>(job: impl FnOnce() -> T) -> Result<T, Panic> {
    install();
    let outer = ARMED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(job));
    ARMED.set(outer);
    result.map_err(|_| {
        let unknown = || Panic {
            site: "unknown".to_owned(),
            message: "panicked".to_owned(),
        };
        LAST.take().unwrap_or_else(unknown)
    })
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !ARMED.get() {
                return previous(info);
            }
            let site = info.location().map_or_else(String::new, |at| {
                format!("{}:{}:{}", at.file(), at.line(), at.column())
            });
            let payload = info.payload();
            let text = payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned());
            let message = text.or_else(|| payload.downcast_ref::<String>().cloned());
            let message = message.unwrap_or_else(|| "panicked without a message".to_owned());
            LAST.set(Some(Panic { site, message }));
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_with_its_site() {
        let name = "something";
        let panic = catch(|| panic!("a rule of {name} is broken")).expect_err("it panics");
        assert_eq!(panic.message, "a rule of something is broken");
        assert!(panic.site.contains("quiet.rs:"), "{}", panic.site);
        assert_eq!(catch(|| 5), Ok(5));
    }
}
