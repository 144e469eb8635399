//! When clients come: quiet nights, working days, rushes, and one client that floods while the others go on.

use std::sync::Arc;
use std::time::Duration;

use capgate::clock::Timestamp;
use capgate::driver::account::Question;
use capgate::simulator::random::Random;
use tokio_util::task::TaskTracker;

use super::clients::{Crowd, Habits};

/// Most uploads in one flood; every fourth has as many.
const FLOOD: u64 = 500;

/// See the module.
#[derive(Debug)]
pub struct Traffic {
    pub crowd: Arc<Crowd>,
    pub visits: TaskTracker,
    random: Random,
    questions: u64,
}

impl Traffic {
    pub fn new(crowd: Arc<Crowd>, seed: u64) -> Self {
        Self { crowd, visits: TaskTracker::new(), random: Random::new(seed, "traffic"), questions: 0 }
    }

    /// Lets clients come until `end`.
    pub async fn run(mut self, end: Timestamp) -> TaskTracker {
        let clock = self.crowd.shared.world().clock;
        while clock.now() < end {
            match self.random.below(9) {
                0..=2 => self.come(end, 60 * 60, 400_000).await,
                3..=5 => self.come(end, 20 * 60, 16_000).await,
                6 => self.come(end, 40, 160).await,
                7 => self.flood(end).await,
                _ => self.ask(end).await,
            }
        }
        self.visits.close();
        self.visits
    }

    /// Single visits for up to twice as long as told, at up to twice the gap from each other.
    async fn come(&mut self, end: Timestamp, seconds: u64, gap_ms: u64) {
        let clock = self.crowd.shared.world().clock;
        let until = end.min(clock.now() + Duration::from_secs(1 + self.random.below(2 * seconds)));
        while clock.now() < until {
            let client = self.some_client();
            self.visit(client);
            clock.sleep_until(until.min(clock.now() + self.up_to_ms(2 * gap_ms))).await;
        }
    }

    /// One client brings hundreds at once, others come in between.
    async fn flood(&mut self, end: Timestamp) {
        let clock = self.crowd.shared.world().clock;
        let flooding = self.some_client();
        let uploads = if self.random.below(4) == 0 { FLOOD } else { self.random.below(FLOOD) };
        for _ in 0..uploads {
            self.visit(flooding);
        }
        for _ in 0..self.random.below(40) {
            let client = self.some_client();
            self.visit(client);
            clock.sleep_until(end.min(clock.now() + self.up_to_ms(400))).await;
        }
    }

    /// Balances and statistics, each a call of its own.
    async fn ask(&mut self, end: Timestamp) {
        let clock = self.crowd.shared.world().clock;
        for _ in 0..self.random.below(120) {
            if clock.now() >= end {
                return;
            }
            self.questions += 1;
            // A day that nobody asked for before, so that no cache answers: caches expire by a clock of their own.
            let question = Question::Stats(format!("{:010}", self.questions));
            if let Some(driver) = self.crowd.shared.driver() {
                let client = self.some_client();
                let client = Arc::clone(&self.crowd.clients[client].name);
                self.visits.spawn(async move { driver.account.ask_for(&client, question).await.ok() });
            }
            clock.sleep(self.up_to_ms(800)).await;
        }
    }

    fn visit(&mut self, client: usize) {
        let habits = Habits::draw(&mut self.random);
        let random = Random::new(self.random.number(), "visit");
        self.visits.spawn(Arc::clone(&self.crowd).visit(client, habits, random));
    }

    fn some_client(&mut self) -> usize {
        let clients = u64::try_from(self.crowd.clients.len()).unwrap_or(u64::MAX);
        usize::try_from(self.random.below(clients)).unwrap_or(0)
    }

    fn up_to_ms(&mut self, ms: u64) -> Duration {
        Duration::from_millis(1 + self.random.below(ms))
    }
}
