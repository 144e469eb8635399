//! Answers that the upstream pushes to us, so that nobody has to look.
//!
//! ```text
//! registering -> registered: uploads ask for a push
//!             -> refused: again later            registered -the upstream refuses an upload for it-> registering
//! ```
//! **Invariants.** A push is believed only on the secret path, only for a captcha that is ours, and only while it is open.
//! Whoever pushes is told the same whatever comes of it, and before that is known.

mod early;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};

use super::answers::Answers;
use super::gate::{Gate, NotDone};
use super::poller::Poller;
use super::tasks::Tasks;
use crate::clock::Clock;
use crate::config::{Config, Live};
use crate::engine::refusal::CallKind as Asked;
use crate::metrics::{Metrics, PushOutcome};
use crate::protocol::errors::{Code, ErrorCode};
use crate::protocol::ids::CaptchaId;
use crate::protocol::pingback::{Host, Push, PushSecret, PushUrl};
use crate::upstream::Call;
use early::Early;
pub use early::{HELD_BYTES_MAX, HELD_FOR, HELD_MAX};

/// Pushes that arrived and were not judged yet; further ones are dropped, and looks find their answers.
const INBOX_MAX: usize = 1_024;
/// Secrets that are taken: of the account's key, and of those that it had before a reload.
const SECRETS_MAX: usize = 4;
/// How long after a failed registration the next one is tried; doubles up to [`REGISTER_LATEST`].
const REGISTER_AGAIN: Duration = Duration::from_mins(1);
const REGISTER_LATEST: Duration = Duration::from_hours(1);
/// How long a registration is relied on.
const REGISTERED_FOR: Duration = Duration::from_hours(24);

/// Takes pushes.
#[derive(Debug)]
pub struct Pushes {
    clock: Clock,
    gate: Arc<Gate>,
    answers: Arc<Answers>,
    poller: Arc<Poller>,
    metrics: Arc<Metrics>,
    live: Live,
    /// The one in use last.
    secrets: Mutex<Vec<PushSecret>>,
    is_registered: AtomicBool,
    /// Something speaks against the registration, or for another one.
    doubted: Notify,
    inbox: mpsc::Sender<Push>,
    early: Mutex<Early>,
}

/// Starts the tasks that take pushes and have our host registered.
#[must_use]
pub fn start(tasks: &Tasks, poller: &Arc<Poller>) -> Arc<Pushes> {
    let (pushes, arrived) = Pushes::new(poller);
    tasks.spawn_endless(Arc::clone(&pushes).run(arrived));
    tasks.spawn_endless(Arc::clone(&pushes).register());
    pushes
}

impl Pushes {
    fn new(poller: &Arc<Poller>) -> (Arc<Self>, mpsc::Receiver<Push>) {
        let (inbox, arrived) = mpsc::channel(INBOX_MAX);
        let live = poller.live.clone();
        let secrets = secret_of(&live.load()).into_iter().collect();
        let pushes = Self {
            clock: poller.clock,
            gate: Arc::clone(&poller.gate),
            answers: Arc::clone(&poller.answers),
            poller: Arc::clone(poller),
            metrics: Arc::clone(&poller.metrics),
            live,
            secrets: Mutex::new(secrets),
            is_registered: AtomicBool::new(false),
            doubted: Notify::new(),
            inbox,
            early: Mutex::default(),
        };
        pushes.metrics.pushes_registered(false);
        (Arc::new(pushes), arrived)
    }

    /// Where the upstream is to push an upload's answer to, while it may.
    #[must_use]
    pub fn url(&self) -> Option<PushUrl> {
        if !self.is_registered.load(Ordering::Acquire) {
            return None;
        }
        let config = self.live.load();
        Some(secret_of(&config)?.url(config.upstream.pingback_url.as_ref()?))
    }

    /// Whether a call to `path` is from the upstream.
    #[must_use]
    pub fn is_path(&self, path: &str) -> bool {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        // Each is compared: how long it takes tells nothing of which.
        secrets.iter().fold(false, |found, secret| secret.ends(path) | found)
    }

    /// A push arrives; what comes of it is found out later, for its sender is not to know.
    pub fn arrived(&self, query: &str, body: &Bytes) {
        match Push::parse(query, body).map(|push| self.inbox.try_send(push)) {
            Some(Ok(())) => {}
            Some(Err(_)) => self.metrics.pushed(PushOutcome::Dropped, 1),
            None => self.metrics.pushed(PushOutcome::Malformed, 1),
        }
    }

    /// The settings are others, perhaps with another key: it brings another secret.
    pub fn reload(&self, config: &Config) {
        if let Some(secret) = secret_of(config) {
            let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
            secrets.retain(|known| *known != secret);
            secrets.push(secret);
            let too_many = secrets.len().saturating_sub(SECRETS_MAX);
            secrets.drain(..too_many);
        }
    }

    /// The upstream accepted a captcha, which is not kept yet: until then its answer could not be kept either.
    pub fn accepting(&self, id: CaptchaId) {
        self.early().expect(id);
    }

    /// The captcha is kept, or will be later: it may have been pushed already.
    pub fn accepted(&self, id: CaptchaId) {
        let held = self.early().release(id);
        if let Some(push) = held {
            self.judge(push, PushOutcome::Early);
        }
    }

    /// Whether an upload that asked for a push was refused for that; then no other asks until the registration is new.
    #[must_use]
    pub fn is_refused(&self, code: &Code) -> bool {
        let is_about_it = match code.known() {
            Some(known) => known == ErrorCode::IpAddress,
            None => ["PINGBACK", "CALLBACK"].iter().any(|word| code.as_str().contains(word)),
        };
        if is_about_it && self.is_registered.load(Ordering::Acquire) {
            tracing::warn!(%code, "the upstream does not push: answers are looked for until it takes our host again");
            self.set_registered(false);
            self.doubted.notify_one();
        }
        is_about_it
    }

    /// Judges what arrives, for ever.
    async fn run(self: Arc<Self>, mut arrived: mpsc::Receiver<Push>) {
        while let Some(push) = arrived.recv().await {
            let now = self.clock.now();
            let mut early = self.early();
            // Under the lock: a captcha that becomes ours in between is told by `accepted`.
            if early.is_expected(push.id) || self.answers.owned(push.id).is_none() {
                let left = early.hold(push, now);
                self.metrics.pushed(PushOutcome::Unknown, left);
                continue;
            }
            let left = early.forget(now);
            drop(early);
            self.metrics.pushed(PushOutcome::Unknown, left);
            self.judge(push, PushOutcome::Taken);
        }
    }

    fn judge(&self, push: Push, taken: PushOutcome) {
        let outcome = self.poller.pushed(push);
        self.metrics.pushed(if outcome == PushOutcome::Taken { taken } else { outcome }, 1);
    }

    /// Has our host registered at the upstream, for ever: each try is a call that looks may need, so there are few.
    async fn register(self: Arc<Self>) {
        let mut settings = self.live.changes();
        let mut wait = REGISTER_AGAIN;
        loop {
            let target = target_of(&settings.borrow_and_update());
            self.metrics.pushes_wanted(target.is_some());
            let next = match &target {
                None => {
                    self.set_registered(false);
                    Duration::MAX
                }
                Some((host, _)) => match self.register_once(host).await {
                    Ok(()) => {
                        tracing::info!(%host, "the upstream pushes answers");
                        self.set_registered(true);
                        wait = REGISTER_AGAIN;
                        REGISTERED_FOR
                    }
                    Err(why) => {
                        tracing::warn!(%host, why, "the upstream does not push answers: they are looked for");
                        self.set_registered(false);
                        let longer = (wait * 2).min(REGISTER_LATEST);
                        std::mem::replace(&mut wait, longer)
                    }
                },
            };
            let until = self.clock.now() + next;
            loop {
                tokio::select! {
                    biased;
                    changed = settings.changed() => match changed {
                        Ok(()) if target_of(&settings.borrow()) == target => {}
                        Ok(()) => break,
                        // The settings live as long as the driver.
                        Err(_) => return,
                    },
                    () = self.doubted.notified() => {
                        self.clock.sleep(wait).await;
                        break;
                    }
                    () = self.clock.sleep_until(until) => break,
                }
            }
        }
    }

    async fn register_once(&self, host: &Host) -> Result<(), String> {
        let ticket = loop {
            let changed = self.gate.changed();
            match self.gate.admit(Asked::Balance) {
                Ok(ticket) => break ticket,
                Err(refusal) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = self.clock.sleep_until(refusal.until) => {}
                },
            }
        };
        let call = Call::AddPingback { host: host.to_string() };
        self.gate.send_for_ok(ticket, call).await.map_err(|not_done| match not_done {
            NotDone::Code(code) => format!("it answered {code}"),
            NotDone::Garbage => "its answer is none".to_owned(),
            NotDone::NoReply(error) => error.to_string(),
        })
    }

    fn set_registered(&self, is_registered: bool) {
        self.is_registered.store(is_registered, Ordering::Release);
        self.metrics.pushes_registered(is_registered);
    }

    fn early(&self) -> std::sync::MutexGuard<'_, Early> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The secret of the account's key, when answers are to be pushed.
fn secret_of(config: &Config) -> Option<PushSecret> {
    config.upstream.pingback_url.as_ref()?;
    config.upstream.key.as_ref().map(PushSecret::of)
}

/// What has to be registered: the host, for the account of a key.
fn target_of(config: &Config) -> Option<(Host, PushSecret)> {
    let url = config.upstream.pingback_url.as_ref()?;
    Some((Host::parse(url.as_bytes()).ok()?, secret_of(config)?))
}
