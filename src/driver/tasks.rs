//! The driver's tasks: started on the driver's runtime whoever asks, ended together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;

/// Starts tasks and ends them.
#[derive(Clone, Debug)]
pub struct Tasks {
    clock: Clock,
    runtime: Handle,
    /// Those that end by themselves: a call under way, a change on its way to the store.
    finite: TaskTracker,
    killed: CancellationToken,
    /// For those that run for as long as the driver does.
    stopping: CancellationToken,
    /// One that runs for as long as the driver does has ended all the same: it panicked.
    died: CancellationToken,
    panics: Arc<AtomicU64>,
}

/// Part of a task: counts when it is dropped by a panic.
struct CountsPanic(Arc<AtomicU64>);

impl Drop for CountsPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Tasks {
    /// Tasks run on the present runtime.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            runtime: Handle::current(),
            finite: TaskTracker::new(),
            killed: CancellationToken::new(),
            stopping: CancellationToken::new(),
            died: CancellationToken::new(),
            panics: Arc::default(),
        }
    }

    /// Starts a task that ends by itself; [`Self::drain`] waits for it. It yields nothing when it was killed.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (killed, counts) = (self.killed.clone(), CountsPanic(Arc::clone(&self.panics)));
        let task = async move {
            let _counts = counts;
            killed.run_until_cancelled(task).await
        };
        self.finite.spawn_on(task, &self.runtime)
    }

    /// Starts a task that runs for as long as the driver does.
    pub fn spawn_endless(&self, task: impl Future<Output = ()> + Send + 'static) {
        let (stopping, died) = (self.stopping.clone(), self.died.clone().drop_guard());
        let counts = CountsPanic(Arc::clone(&self.panics));
        self.runtime.spawn(async move {
            let _counts = counts;
            if stopping.run_until_cancelled(task).await.is_none() {
                died.disarm();
            }
        });
    }

    /// Waits, but not past the beginning of the end; true when that has come.
    pub async fn sleep(&self, how_long: Duration) -> bool {
        self.stopping.run_until_cancelled(self.clock.sleep(how_long)).await.is_none()
    }

    /// How many have panicked. A finite one ends alone: whoever waits for it is told that it has.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Resolves when a task that should run for ever has ended.
    pub async fn died(&self) {
        self.died.cancelled().await;
    }

    /// Resolves when the tasks are told to end.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        self.stopping.clone().cancelled_owned()
    }

    /// Waits until no finite task runs, at most `longest`, and then ends what is left.
    pub async fn drain(&self, longest: Duration) {
        // First those that would start more.
        self.stopping.cancel();
        self.finite.close();
        tokio::select! {
            biased;
            () = self.finite.wait() => {}
            () = self.clock.sleep(longest) => {
                tracing::warn!(left = self.finite.len(), "tasks did not end in time");
            }
        }
        self.kill();
    }

    /// Ends all tasks where they stand, as the end of the process would.
    pub fn kill(&self) {
        self.stopping.cancel();
        self.killed.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_for_finite_tasks_and_no_longer_than_told() {
        let clock = Clock::starting_at(Timestamp(0));
        let tasks = Tasks::new(clock);
        tasks.spawn_endless(std::future::pending());
        let short = tasks.spawn(async move { clock.sleep(Duration::from_secs(3)).await });
        let long = tasks.spawn(async move { clock.sleep(Duration::from_secs(30)).await });
        tasks.drain(Duration::from_secs(10)).await;
        assert_eq!(clock.now(), Timestamp(10_000));
        assert!(!tasks.died.is_cancelled());
        assert_eq!((short.await.unwrap(), long.await.unwrap()), (Some(()), None));
    }

    #[tokio::test]
    async fn a_task_that_panics_is_counted_and_the_others_go_on() {
        let tasks = Tasks::new(Clock::starting_at(Timestamp(0)));
        let other = tasks.spawn(async { 7 });
        assert!(tasks.spawn(async { panic!("planted") }).await.is_err());
        assert_eq!((other.await.unwrap(), tasks.panics()), (Some(7), 1));
        tasks.spawn(std::future::pending::<()>());
        tasks.kill();
        assert_eq!(tasks.panics(), 1, "to be ended is no panic");
    }

    #[tokio::test]
    async fn an_endless_task_that_ends_is_noticed() {
        let tasks = Tasks::new(Clock::starting_at(Timestamp(0)));
        tasks.spawn_endless(async {});
        tasks.died().await;
    }
}
