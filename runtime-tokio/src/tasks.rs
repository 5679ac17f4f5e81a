//! Tasks that run for as long as the node does.

use std::collections::BTreeMap;
use tokio::task::{Id, JoinSet};

/// Named tasks, none of which may end before the node does.
#[derive(Debug, Default)]
pub struct Tasks {
    set: JoinSet<()>,
    names: BTreeMap<Id, &'static str>,
}

impl Tasks {
    /// Starts a task; it is cancelled when this is dropped.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.set.spawn(task).id();
        self.names.insert(id, name);
    }

    /// The name of the first task that ends, by a panic or otherwise; waits for ever when there is
    /// none.
    pub async fn ended(&mut self) -> &'static str {
        let id = match self.set.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => std::future::pending().await,
        };
        self.names.remove(&id).unwrap_or("task")
    }

    /// Cancels all of them, and waits until they are gone.
    pub async fn shutdown(&mut self) {
        self.set.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_task_that_ends_is_named_whatever_ended_it() {
        let mut tasks = Tasks::default();
        tasks.spawn("patient", std::future::pending());
        tasks.spawn("broken", async { panic!("as it happens") });
        assert_eq!(tasks.ended().await, "broken");
        tasks.spawn("short", async {});
        assert_eq!(tasks.ended().await, "short");
        tasks.shutdown().await;
    }
}
