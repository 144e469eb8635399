//! The upstream without sockets: calls go through the simulator's model after a way of their own, and each fault
//! becomes the error that HTTP would make of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use capgate::clock::Timestamp;
use capgate::protocol::{CaptchaId, ErrorCode, Method, Reaction};
use capgate::simulator::faults::UNKNOWN_CODE;
use capgate::simulator::{Fault, Reply};
use capgate::upstream::{Call, Upstream, UpstreamError};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::network::{TIMEOUT, Way};
use super::promises::Promise;
use super::uploads;
use super::waits::{Told, block_length};
use super::world::{Fate, Shared, World};
use crate::support::form_of;

/// How soon an endless body is longer than the gateway reads.
const ENDLESS_READ: Duration = Duration::from_secs(2);
/// The upstream's own words for how soon and how often to look (protocol.md 3.5).
const INTERVAL: Duration = Duration::from_secs(5);
const FIRST_LOOK_IMAGE: Duration = Duration::from_secs(5);
const FIRST_LOOK_TOKEN: Duration = Duration::from_secs(15);

type Answered = Result<Bytes, UpstreamError>;

/// One process's way to the upstream.
#[derive(Clone, Debug)]
pub struct SimulatedUpstream {
    shared: Arc<Shared>,
    life: u32,
}

impl SimulatedUpstream {
    pub const fn new(shared: Arc<Shared>, life: u32) -> Self {
        Self { shared, life }
    }

    async fn send(self, call: Call) -> Answered {
        let (upload, looked_at) = (upload_of(&call), looked_at_alone(&call));
        let (clock, left) = {
            let mut world = self.shared.world();
            (world.clock, world.call_leaves(self.life, &call, upload))
        };
        let Some((number, way)) = left else { return std::future::pending().await };
        let (tell, told) = oneshot::channel();
        if way.is_refused {
            clock.sleep(way.out).await;
            let _ = tell.send((Err(UpstreamError::NotSent("refused".to_owned())), clock.now()));
        } else {
            // A task of its own: what is under way arrives, whatever becomes of its sender.
            tokio::spawn(self.clone().deliver(number, call, way, tell));
        }
        let (answered, arrived_at) = tokio::select! {
            biased;
            told = told => told.unwrap_or_else(|_| (Err(UpstreamError::Lost("closed".to_owned())), clock.now())),
            () = clock.sleep(TIMEOUT) => (Err(UpstreamError::Lost("no reply in time".to_owned())), clock.now()),
        };
        let mut world = self.shared.world();
        if world.is_alive(self.life) {
            world.call_returns(number, looked_at, upload, &answered, arrived_at);
        }
        answered
    }

    async fn deliver(self, number: u64, call: Call, way: Way, tell: oneshot::Sender<(Answered, Timestamp)>) {
        let clock = self.shared.world().clock;
        clock.sleep(way.out).await;
        let (reply, arrived_at) = {
            let mut world = self.shared.world();
            (world.call_arrives(number, self.life, &call, way.is_late()), clock.now())
        };
        let lost = |why: &str| Err(UpstreamError::Lost(why.to_owned()));
        let (takes, answered) = match reply.fault {
            None if reply.status != 200 => (way.back, Err(UpstreamError::Status(reply.status))),
            None => (way.back, Ok(reply.body)),
            Some(Fault::Delay(delay)) => (way.back + delay, Ok(reply.body)),
            Some(Fault::Hang) => (TIMEOUT, lost("no reply in time")),
            Some(Fault::Reset) => (way.back, lost("reset")),
            Some(Fault::CutAfter(_)) => (way.back, lost("the reply's body")),
            Some(Fault::Endless) => (ENDLESS_READ, lost("the reply's body is too long")),
        };
        clock.sleep(takes).await;
        // Nobody waits any more when the time was up or the process ended.
        let _ = tell.send((answered, arrived_at));
    }
}

impl Upstream for SimulatedUpstream {
    fn call(&self, call: Call) -> BoxFuture<'static, Answered> {
        Box::pin(self.clone().send(call))
    }
}

fn upload_of(call: &Call) -> Option<u64> {
    if let Call::Submit(upload) = call { uploads::number_of(upload.fields()) } else { None }
}

fn looked_at_alone(call: &Call) -> Option<CaptchaId> {
    let Call::Look(look) = call else { return None };
    if let [id] = look.ids[..] { Some(id) } else { None }
}

/// Whether the reply to a look at one captcha holds its answer.
fn is_answer(body: &[u8]) -> bool {
    let reply = || serde_json::from_slice::<serde_json::Value>(body).ok();
    body.starts_with(b"OK|") || reply().is_some_and(|reply| reply["status"] == 1)
}

/// What a reply says to whoever gets it.
fn told(answered: &Answered, is_upload: bool) -> Told {
    let body = match answered {
        Ok(body) => body,
        Err(UpstreamError::NotSent(_)) => return Told::NotSent,
        Err(_) => return Told::Nothing,
    };
    let text = std::str::from_utf8(body).unwrap_or_default();
    let is_noise = text.is_empty() || text.chars().any(|symbol| symbol.is_control() && symbol != '\n');
    match code_in(body) {
        Some(code) => Told::Code(code),
        None if is_noise || text.starts_with("<!") || text.contains(UNKNOWN_CODE) => Told::Nothing,
        None if text.starts_with("<?xml") => Told::Page,
        None if !is_upload => Told::Said,
        None if text.starts_with("OK|") => Told::Accepted,
        None => Told::Nothing,
    }
}

/// The code that a whole reply is, plain or in JSON.
fn code_in(body: &[u8]) -> Option<ErrorCode> {
    let text = std::str::from_utf8(body).ok()?.trim();
    if !text.starts_with('{') {
        return ErrorCode::parse(text.as_bytes());
    }
    let reply: serde_json::Value = serde_json::from_str(text).ok()?;
    ErrorCode::parse(reply.get("request")?.as_str()?.as_bytes())
}

/// A code that says nothing of the captcha that was looked at.
fn is_strange(body: &[u8]) -> bool {
    let is_unknown = || String::from_utf8_lossy(body).contains(UNKNOWN_CODE);
    code_in(body).map_or_else(is_unknown, |code| code.reaction() == Reaction::FixCall)
}

impl World {
    /// A call leaves the process; nothing does if that process is dead.
    fn call_leaves(&mut self, life: u32, call: &Call, upload: Option<u64>) -> Option<(u64, Way)> {
        let was_alive = self.is_alive(life);
        self.step();
        let way = self.network.way();
        // A process that is killed at this step may have sent the call or not.
        if !was_alive || (!self.is_alive(life) && way.out.as_millis().is_multiple_of(2)) {
            return None;
        }
        self.calls += 1;
        let number = self.calls;
        self.tally.count(call.kind().label());
        match call {
            Call::Look(look) => self.note(format_args!("call {number}: look at {:?}", look.ids)),
            _ => self.note(format_args!("call {number}: {} {upload:?}", call.kind().label())),
        }
        let now = self.clock.now();
        if self.is_alive(life)
            && let Err((promise, how)) = self.waits.sent(number, upload.is_some(), now)
        {
            self.broke(promise, format!("call {number} ({}): {how}", call.kind().label()));
        }
        if let Some(upload) = upload {
            self.upload_leaves(upload);
        }
        Some((number, way))
    }

    fn upload_leaves(&mut self, upload: u64) {
        let Some((client, fate)) = self.uploads.get_mut(&upload) else { return };
        let (name, before) = (format!("client-{client}"), std::mem::replace(fate, Fate::Perhaps));
        if before != Fate::CertainlyNot {
            self.broke(Promise::PaidOnce, format!("upload {upload} is sent again"));
        }
        if !self.owners_of_intents.values().any(|owner| *owner == name) {
            let how = format!("upload {upload} is sent, and no upload of {name} is noted");
            self.broke(Promise::NotedBeforeSent, how);
        }
    }

    /// A call arrives at the upstream.
    fn call_arrives(&mut self, number: u64, life: u32, call: &Call, is_late: bool) -> Reply {
        let now = self.clock.now();
        if let Call::Look(look) = call {
            for id in &look.ids {
                self.look_arrives(*id, life, is_late, now);
            }
        }
        let (endpoint, form) = form_of(call);
        let reply = self.model.handle(endpoint, &form, now);
        if matches!(call, Call::Submit(_)) {
            self.uploaded();
        }
        let said: String = String::from_utf8_lossy(&reply.body).chars().take(40).collect();
        self.note(format_args!("call {number} arrives: {} {said:?} {:?}", reply.status, reply.fault));
        self.step();
        reply
    }

    fn look_arrives(&mut self, id: CaptchaId, life: u32, is_late: bool, now: Timestamp) {
        let before = self.looks.insert(id.0, (life, is_late));
        let Some(captcha) = self.model.captcha(id, now) else { return };
        let is_token = Method::from_label(captcha.method)
            .is_some_and(|method| method.first_look() == capgate::protocol::methods::FirstLook::Token);
        let first = match is_token {
            // There is an answer to be fetched.
            _ if self.pingbacks.pushed.contains(&id.0) => Duration::ZERO,
            true => FIRST_LOOK_TOKEN,
            false => FIRST_LOOK_IMAGE,
        };
        let (since, least) =
            captcha.last_look_at.map_or((captcha.uploaded_at, first), |last| (last, INTERVAL));
        // A call that was held up, or that a killed process had sent, meets later ones by chance.
        let is_comparable = !is_late && before.is_none_or(|(before, was_late)| before == life && !was_late);
        if is_comparable && now < since + least {
            let gap = now.since(since);
            self.broke(
                Promise::LooksAreSpaced,
                format!("{id} is looked at after {gap:?}, least is {least:?}"),
            );
        }
    }

    /// The reply to a look at one captcha reaches the process.
    fn look_returns(&mut self, id: CaptchaId, body: &Bytes, now: Timestamp) {
        if is_answer(body) {
            self.shown.entry(id.0).or_insert(now);
        } else if code_in(body) == Some(ErrorCode::NotReady) {
            self.strange_codes.remove(&id.0);
        } else if is_strange(body) {
            *self.strange_codes.entry(id.0).or_default() += 1;
        }
    }

    /// A reply, or the lack of one, reaches the process.
    fn call_returns(
        &mut self,
        number: u64,
        looked_at: Option<CaptchaId>,
        upload: Option<u64>,
        answered: &Answered,
        arrived_at: Timestamp,
    ) {
        let now = self.clock.now();
        let is_upload = upload.is_some();
        let told = told(answered, is_upload);
        if let (Some(id), Ok(body)) = (looked_at, answered) {
            self.look_returns(id, body, now);
        }
        self.note(format_args!("call {number} returns: {told:?}"));
        self.waits.ended(number, is_upload, told, arrived_at, now);
        if !matches!(told, Told::Accepted | Told::Said | Told::Page | Told::Code(_)) {
            self.tally.count("calls without an answer");
            self.trouble_until(now);
        }
        if let Some(until) = self.waits.blocked_until() {
            self.trouble_until(until + Duration::from_secs(10));
        }
        if let Some(upload) = upload
            && let Some((client, fate)) = self.uploads.get_mut(&upload)
        {
            *fate = match told {
                Told::Accepted => Fate::Taken,
                Told::Code(_) | Told::NotSent => Fate::CertainlyNot,
                Told::Said | Told::Page | Told::Nothing => Fate::Perhaps,
            };
            let client = *client;
            // These wait for another turn; the others are told to the client.
            if let Told::Code(code) = told
                && (code == ErrorCode::NoSlotAvailable || block_length(code).is_some())
            {
                self.turns.comes_back(client, upload);
            }
        }
    }
}
