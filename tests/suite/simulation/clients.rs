//! One upload's client, with its habits: how often it polls, whether it hangs up, what it asks beside.
//!
//! Polls that are answered from memory are not played one by one: a client that polls every 10 ms sleeps until the
//! answer changes, which is what its next poll would find.

use std::sync::Arc;
use std::time::Duration;

use capgate::clients::Client;
use capgate::clock::{Clock, Timestamp};
use capgate::driver::answers::Found;
use capgate::driver::repeats::HungUp;
use capgate::driver::{Driver, Wait};
use capgate::protocol::{CaptchaId, Field, Form, Upload, Verdict};
use capgate::simulator::expected_answer;
use capgate::simulator::random::Random;

use super::pingbacks;
use super::uploads;
use super::world::{Fate, Paid, Shared};

/// How long before a captcha's end the last poll comes; the gateway's last look is back by then.
const LAST_POLL_BEFORE_END: Duration = Duration::from_secs(3);

/// Longest that the gateway holds a poll, and a little more.
const HOLD_LONGEST: Duration = Duration::from_secs(5);

/// Who calls, and through what.
#[derive(Debug)]
pub struct Crowd {
    pub shared: Arc<Shared>,
    pub clients: Vec<Arc<Client>>,
    /// Fraction of image answers with a bar, as at the upstream.
    pub piped: f64,
    /// A planted fault: the gateway takes all for one client.
    pub is_one: bool,
}

/// How a client asks for its answer.
#[derive(Clone, Copy, Debug)]
enum Polls {
    /// Each poll waits as long as the gateway lets it.
    Held,
    /// Every 10 ms.
    Frantic,
    Every(Duration),
    /// Once, shortly before it is too late.
    AtTheEnd,
}

/// What one upload's client does.
#[derive(Clone, Debug)]
pub struct Habits {
    polls: Polls,
    hangs_up_after: Option<Duration>,
    /// How often it tries again, at once, when it got no id.
    retries: u64,
    wants_price: bool,
    report: Option<Verdict>,
    asks_for_others: bool,
}

impl Habits {
    pub fn draw(random: &mut Random) -> Self {
        let polls = match random.below(8) {
            0..=2 => Polls::Held,
            3 | 4 => Polls::Frantic,
            5 | 6 => Polls::Every(Duration::from_millis(500 + random.below(40_000))),
            _ => Polls::AtTheEnd,
        };
        let hangs_up = random.below(10) == 0;
        Self {
            polls,
            hangs_up_after: hangs_up.then(|| Duration::from_millis(random.below(4_000))),
            retries: if random.below(4) == 0 { random.below(12) } else { 0 },
            wants_price: random.below(12) == 0,
            report: match random.below(8) {
                0 => Some(Verdict::Good),
                1 => Some(Verdict::Bad),
                _ => None,
            },
            asks_for_others: random.below(10) == 0,
        }
    }
}

impl Crowd {
    /// One client's whole visit: upload, poll, report.
    pub async fn visit(self: Arc<Self>, client: usize, habits: Habits, mut random: Random) {
        for _ in 0..=habits.retries {
            if let Some(id) = self.upload(client, &habits, &mut random).await {
                self.follow(client, id, &habits).await;
                return;
            }
        }
    }

    fn caller(&self, client: usize) -> &Client {
        &self.clients[if self.is_one { 0 } else { client }]
    }

    async fn upload(&self, client: usize, habits: &Habits, random: &mut Random) -> Option<CaptchaId> {
        let Some(driver) = self.shared.driver() else {
            // Nobody listens; even the ugliest client takes a moment to find out.
            let clock = self.shared.world().clock;
            clock.sleep(Duration::from_secs(1)).await;
            return None;
        };
        let receiver = pingbacks::registered(&self.shared, &driver, &self.caller(client).name).await;
        let (number, mut form) = self.begin(client, random);
        let expected = expected_answer(&form, self.piped).expect("an upload is well formed");
        if let Some(receiver) = receiver {
            let url = self.shared.world().pingbacks.wants(&receiver, number, &expected.plain);
            form.set(Field::text("pingback", url)).expect("an upload has few parameters");
        }
        let upload = Upload::check(form);
        let submit = driver.submit(self.caller(client), upload);
        let told = match habits.hangs_up_after {
            None => Some(submit.await),
            Some(after) => tokio::select! {
                biased;
                told = submit => Some(told),
                () = driver.clock.sleep(after) => None,
            },
        };
        let mut world = self.shared.world();
        world.turns.gone(client, number);
        match told {
            None => {
                world.tally.count("hung up");
                world.note(format_args!("upload {number}: client {client} hangs up"));
                None
            }
            Some(Err(refusal)) => {
                world.tally.count("uploads refused");
                world.note(format_args!("upload {number}: {refusal:?}"));
                None
            }
            Some(Ok(id)) => {
                world.id_is_read(number, client, &self.caller(client).name, id, expected);
                Some(id)
            }
        }
    }

    fn begin(&self, client: usize, random: &mut Random) -> (u64, Form) {
        let mut world = self.shared.world();
        world.step();
        let number = u64::try_from(world.uploads.len()).unwrap_or(u64::MAX);
        world.uploads.insert(number, (client, Fate::CertainlyNot));
        let now = world.clock.now();
        world.turns.begin(client, number, now);
        world.tally.count("uploads tried");
        world.note(format_args!("upload {number}: begun by client {client}"));
        (number, uploads::form(number, random))
    }

    async fn follow(&self, client: usize, id: CaptchaId, habits: &Habits) {
        let Some(paid) = self.shared.world().paid.get(&id.0).cloned() else { return };
        let last_poll = paid.ends_at - LAST_POLL_BEFORE_END;
        if habits.asks_for_others
            && let Some(driver) = self.shared.driver()
        {
            let other = (client + 1) % self.clients.len();
            let found = driver.find(&self.clients[other], id, false);
            self.shared.world().others_read(id, other, &found);
        }
        let is_read = self.poll(client, id, habits, last_poll).await;
        if !is_read {
            return;
        }
        if let Some(verdict) = habits.report {
            self.report(client, id, verdict).await;
        }
        // Once told, it stays told, across restarts too.
        let clock = self.shared.world().clock;
        clock.sleep_until(last_poll).await;
        if clock.now() <= last_poll
            && let Some(driver) = self.shared.driver()
        {
            let found = driver.find(self.caller(client), id, false);
            self.shared.world().answer_is_read_again(id, &found);
        }
    }

    /// Polls until there is an answer; true when it came.
    async fn poll(&self, client: usize, id: CaptchaId, habits: &Habits, last_poll: Timestamp) -> bool {
        let clock = self.shared.world().clock;
        loop {
            let now = clock.now();
            let is_last = now >= last_poll;
            let Some(driver) = self.shared.driver() else {
                if is_last {
                    return false;
                }
                clock.sleep(Duration::from_secs(1)).await;
                continue;
            };
            let with_price = habits.wants_price && !is_last;
            let found = match habits.polls {
                Polls::Held if now + HOLD_LONGEST < last_poll => {
                    driver
                        .wait_for(self.caller(client), id, with_price, Wait::Hold, &HungUp::default())
                        .await
                        .0
                }
                _ => driver.find(self.caller(client), id, with_price),
            };
            if self.shared.world().is_answered(id, &found, is_last) {
                return true;
            }
            if is_last || matches!(found, Found::Nothing) {
                return false;
            }
            match habits.polls {
                Polls::Held if clock.now() + HOLD_LONGEST < last_poll => {}
                Polls::Frantic => changed(&driver, clock, id, last_poll).await,
                Polls::Every(gap) => clock.sleep_until(last_poll.min(now + gap)).await,
                Polls::Held | Polls::AtTheEnd => clock.sleep_until(last_poll).await,
            }
        }
    }

    async fn report(&self, client: usize, id: CaptchaId, verdict: Verdict) {
        let Some(driver) = self.shared.driver() else { return };
        let told = driver.reports.report(&self.caller(client).name, id, verdict).await;
        self.shared.world().note(format_args!("{id} is reported: {told:?}"));
    }
}

/// The next poll that can find something else.
async fn changed(driver: &Driver, clock: Clock, id: CaptchaId, until: Timestamp) {
    let Some(mut changes) = driver.answers.changes(id) else { return };
    // The gateway may be killed in the meantime.
    let soon = until.min(clock.now() + Duration::from_secs(10));
    tokio::select! {
        biased;
        _ = changes.changed() => clock.sleep(Duration::from_millis(10)).await,
        () = clock.sleep_until(soon) => {}
    }
}

impl super::world::World {
    /// A client reads `OK|id`.
    fn id_is_read(
        &mut self,
        upload: u64,
        client: usize,
        name: &str,
        id: CaptchaId,
        expected: capgate::simulator::Answer,
    ) {
        use super::promises::Promise;
        self.tally.count("ids read");
        self.note(format_args!("upload {upload}: client {client} reads {id}"));
        if self.disk.accepted.get(&id.0).is_none_or(|owner| owner != name) {
            self.broke(
                Promise::StoredBeforeTold,
                format!("{id} is told to {name} and not stored as its own"),
            );
        }
        let now = self.clock.now();
        let Some(captcha) = self.model.captcha(id, now) else {
            return self.broke(Promise::RightAnswer, format!("the upstream does not know {id}"));
        };
        let (is_right, ends_at) =
            (captcha.answer == expected, captcha.uploaded_at + capgate::engine::captcha::LIFETIME);
        if !is_right {
            self.broke(Promise::RightAnswer, format!("{id} is not the id of upload {upload}"));
        }
        self.pingbacks.id_is_read(upload, id);
        self.paid.insert(id.0, Paid { expected, ends_at });
        self.step();
    }
}
