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
    /// The stack, if it was asked for.
    pub(crate) backtrace: Option<String>,
}

thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
    static STACKS: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// What panics of this thread bring along from now on: the stack, or not.
pub(crate) fn want_backtraces(wanted: bool) {
    STACKS.set(wanted);
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
            backtrace: None,
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
            let backtrace = STACKS
                .get()
                .then(|| std::backtrace::Backtrace::force_capture().to_string());
            LAST.set(Some(Panic {
                site,
                message,
                backtrace,
            }));
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
        assert_eq!(panic.backtrace, None);
        assert_eq!(catch(|| 5), Ok(5));
    }

    #[test]
    fn a_stack_comes_along_when_it_is_wanted() {
        want_backtraces(true);
        let panic = catch(|| panic!("here")).expect_err("it panics");
        want_backtraces(false);
        let stack = panic.backtrace.expect("it was wanted");
        assert!(stack.contains("a_stack_comes_along"), "{stack}");
    }
}
