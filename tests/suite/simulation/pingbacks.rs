//! Pingback both ways: receivers of the clients' that fail now and then, an upstream that pushes, and somebody who forges
//! pushes; with the judge of what is pushed to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use capgate::config::Pingback;
use capgate::driver::Driver;
use capgate::driver::callbacks::EXPIRED;
use capgate::protocol::pingback::{Host, Push, Target};
use capgate::protocol::{CaptchaId, ErrorCode};
use capgate::receivers::{NotTaken, Receivers};
use capgate::simulator::random::Random;
use futures_util::future::BoxFuture;

use super::promises::Promise;
use super::world::{Shared, World};
use crate::support::urlencoded;

/// Where the upstream pushes to.
pub const OURS: &str = "http://gateway.example:8080/capgate";
/// Receivers of the clients'.
const RECEIVERS: u64 = 4;
/// Each is out of reach for one of so many such times.
const OUT_OF: u64 = 5;
const OUT_FOR: Duration = Duration::from_mins(12);
/// Parts of a hundred pushes that a receiver takes and does not answer, and that it refuses.
const LOST: u64 = 5;
const REFUSED: u64 = 10;
/// How long a client waits for its receiver to be registered.
const REGISTERED_WITHIN: Duration = Duration::from_secs(10);
/// One push in so many is forged besides.
const FORGED: u64 = 8;

/// What was uploaded with a `pingback`, and what became of it.
#[derive(Debug)]
pub struct Pingbacks {
    random: Random,
    /// By the upload's number: the answer that its receiver must be told.
    uploads: BTreeMap<u64, String>,
    /// Captchas whose clients read their ids, and were promised a push.
    promised: BTreeSet<u64>,
    /// Captchas whose outcomes reached a receiver.
    told: BTreeSet<u64>,
    /// Captchas of which the upstream pushed something that reached the gateway.
    pub pushed: BTreeSet<u64>,
}

impl Pingbacks {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed, "pingbacks"),
            uploads: BTreeMap::new(),
            promised: BTreeSet::new(),
            told: BTreeSet::new(),
            pushed: BTreeSet::new(),
        }
    }

    /// The receiver's address, if a client wants to be told.
    fn receiver(&mut self) -> Option<String> {
        (self.random.below(5) == 0)
            .then(|| format!("http://receiver-{}.example/", self.random.below(RECEIVERS)))
    }

    /// An upload names a URL of this receiver, which is told its answer.
    pub fn wants(&mut self, receiver: &str, upload: u64, answer: &str) -> String {
        self.uploads.insert(upload, answer.to_owned());
        format!("{receiver}told/{upload}")
    }

    /// The client read the id of its upload.
    pub fn id_is_read(&mut self, upload: u64, id: CaptchaId) {
        if self.uploads.contains_key(&upload) {
            self.promised.insert(id.0);
        }
    }
}

/// Receivers that fail now and then.
#[derive(Debug)]
pub struct SimulatedReceivers(pub Arc<Shared>);

impl Receivers for SimulatedReceivers {
    fn resolve(&self, _: &Host, _: &Pingback) -> BoxFuture<'static, Result<Vec<IpAddr>, NotTaken>> {
        Box::pin(std::future::ready(Ok(vec![IpAddr::from([192, 0, 2, 1])])))
    }

    fn push(&self, target: &Target, body: Bytes, _: &Pingback) -> BoxFuture<'static, Result<(), NotTaken>> {
        let (shared, target) = (Arc::clone(&self.0), target.as_str().to_owned());
        Box::pin(async move {
            let (clock, way) = {
                let mut world = shared.world();
                world.step();
                (world.clock, Duration::from_millis(1 + world.pingbacks.random.below(300)))
            };
            clock.sleep(way).await;
            let taken = shared.world().receiver_is_told(&target, &body);
            clock.sleep(way).await;
            taken
        })
    }
}

/// The receiver that a client wants to be told, registered.
pub async fn registered(shared: &Shared, driver: &Driver, client: &str) -> Option<String> {
    let receiver = shared.world().pingbacks.receiver()?;
    let host = Host::parse(receiver.as_bytes()).expect("it is a URL");
    let from = Some(IpAddr::from([192, 0, 2, 7]));
    tokio::select! {
        biased;
        added = driver.pingbacks.add(client, host, from) => added.ok()?,
        // A process that is killed meanwhile answers nothing.
        () = driver.clock.sleep(REGISTERED_WITHIN) => return None,
    }
    Some(receiver)
}

/// Carries the upstream's pushes to the process that runs, until it is dropped.
pub async fn push(shared: Arc<Shared>) {
    let clock = shared.world().clock;
    loop {
        let uploaded = shared.uploaded.notified();
        let (next, due) = {
            let mut world = shared.world();
            let now = clock.now();
            let early = world.model.early_pushes(now);
            let due = world.model.pushes_due(now);
            (world.model.next_push_at(), early.into_iter().chain(due))
        };
        for (push, code) in due {
            tokio::spawn(carry(Arc::clone(&shared), push.id, push.url, code));
        }
        tokio::select! {
            biased;
            () = uploaded => {}
            () = clock.sleep_until(next) => {}
        }
    }
}

async fn carry(shared: Arc<Shared>, id: CaptchaId, url: String, code: String) {
    let (clock, way, is_forged) = {
        let mut world = shared.world();
        let (clock, random) = (world.clock, &mut world.pingbacks.random);
        (clock, Duration::from_millis(1 + random.below(200)), random.below(FORGED) == 0)
    };
    if is_forged {
        shared.world().push_arrives(id, "/capgate/0123456789abcdef0123456789abcdef", "forged");
    }
    clock.sleep(way).await;
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    shared.world().push_arrives(id, &format!("/{path}"), &code);
}

impl World {
    /// A push comes to the process that runs, whoever sent it.
    fn push_arrives(&mut self, id: CaptchaId, path: &str, code: &str) {
        self.step();
        let Some(driver) = self.life.driver.clone() else { return };
        if !driver.pushes.is_path(path) {
            self.tally.count("pushes that are not believed");
            return;
        }
        self.note(format_args!("{id} is pushed: {code:?}"));
        self.tally.count("pushes");
        self.pingbacks.pushed.insert(id.0);
        let (id_text, now) = (id.to_string(), self.clock.now());
        driver.pushes.arrived("", &urlencoded(&[("id", &id_text), ("code", code)]).into());
        self.model.push_taken(id, now);
    }

    /// A push comes to a receiver.
    fn receiver_is_told(&mut self, target: &str, body: &Bytes) -> Result<(), NotTaken> {
        self.step();
        let now = self.clock.now();
        let receiver = target.bytes().find(u8::is_ascii_digit).map_or(0, |digit| u64::from(digit - b'0'));
        let period = now.0 / u64::try_from(OUT_FOR.as_millis()).expect("some minutes");
        if (period + receiver).is_multiple_of(OUT_OF) {
            self.tally.count("receivers out of reach");
            return Err(NotTaken::NotConnected("refused".to_owned()));
        }
        let luck = self.pingbacks.random.below(100);
        if (LOST..LOST + REFUSED).contains(&luck) {
            self.tally.count("pingbacks refused");
            return Err(NotTaken::Status(500));
        }
        self.judge_pingback(target, body);
        if luck < LOST {
            return Err(NotTaken::Lost("reset".to_owned()));
        }
        Ok(())
    }

    /// What is told is the outcome of what was uploaded with this receiver, and it stands in the store.
    fn judge_pingback(&mut self, target: &str, body: &Bytes) {
        let now = self.clock.now();
        let Some(Push { id, code }) = Push::parse("", body) else {
            return self.broke(Promise::RightAnswer, format!("{target} is told what is no push"));
        };
        let upload = target.rsplit('/').next().and_then(|number| number.parse().ok());
        let expected = upload.and_then(|upload: u64| self.pingbacks.uploads.get(&upload)).cloned();
        self.note(format_args!("{id}: {target} is told {code:?}"));
        self.tally.count("pingbacks");
        self.pingbacks.told.insert(id.0);
        if !self.disk.due.contains(&id.0) {
            self.broke(Promise::StoredBeforeTold, format!("{id}'s outcome is pushed and not stored"));
        }
        let Some(expected) = expected else {
            return self.broke(Promise::OwnCaptchasOnly, format!("{id} is pushed to {target}"));
        };
        let captcha = self.model.captcha(id, now);
        let is_right = match ErrorCode::parse(&code) {
            None => code == expected && captcha.is_none_or(|captcha| captcha.ready_at <= now),
            // The upstream has forgotten it, and with it how it ended.
            Some(code) => captcha.is_none_or(|captcha| {
                let is_end = captcha.ends_with == Some(code) && captcha.ready_at <= now;
                is_end || (code == EXPIRED && captcha.uploaded_at + capgate::engine::captcha::LIFETIME <= now)
            }),
        };
        if !is_right && !self.was_strange(id) {
            self.broke(Promise::RightAnswer, format!("{target} is told {code:?} of {id}, not {expected:?}"));
        }
    }

    /// Everybody has gone: whoever was promised a push has got it, or it is in the list of the dead.
    pub fn judge_pingbacks(&mut self) {
        let Some(driver) = self.life.driver.clone() else { return };
        let dead: BTreeSet<u64> =
            driver.callbacks.dead_letters().into_iter().map(|letter| letter.id.0).collect();
        self.tally.add("pingbacks given up", dead.len() as u64);
        let owed =
            self.pingbacks.promised.iter().find(|id| !self.pingbacks.told.contains(id) && !dead.contains(id));
        if let Some(id) = owed.copied() {
            self.broke(Promise::OutcomesArePushed, format!("{id}'s receiver was never told"));
        }
        let (wanted, due) = driver.callbacks.counts();
        if wanted + due > 0 {
            self.broke(
                Promise::IdleInTheEnd,
                format!("{wanted} outcomes are wanted, {due} are to be pushed"),
            );
        }
    }
}
