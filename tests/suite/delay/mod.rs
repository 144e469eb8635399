//! How late clients learn of their answers, and how often the upstream is called for them: the same clients with the same
//! captchas, once on their own and once through the gateway, under a paused clock.
//!
//! | file | what it is |
//! | --- | --- |
//! | `traffic` | who uploads what and when, and how each client polls |
//! | `figures` | what is measured |
//! | `soonest` | how soon anybody could be told who looks every 5 s |
//! | `rows` | the rows of the table, which `cargo bench --bench delay` prints |
//! | `goals` | what the gateway promises of them |

mod figures;
#[cfg(test)]
mod goals;
mod rows;
mod soonest;
mod traffic;

pub use figures::Figures;
pub use rows::Row;
pub use traffic::{Kinds, Polls, Route, Traffic};

use std::sync::{Arc, Mutex};
use std::time::Duration;

use capgate::clients::Client;
use capgate::driver::Wait;
use capgate::driver::answers::Found;
use capgate::driver::repeats::HungUp;
use capgate::protocol::{CaptchaId, Form, Method, Upload};
use capgate::simulator::{DEFAULT_KEY, Endpoint, Scenario};

use crate::support::{PausedGateway, paused};

/// One way between a client or the gateway and the upstream, as over the internet.
const WAY: Duration = Duration::from_millis(50);
/// One way between a client and the gateway.
const WAY_INSIDE: Duration = Duration::from_millis(1);
/// How often the documentation advises to ask, and the shortest time between two looks at one captcha.
const ADVISED: Duration = Duration::from_secs(5);
/// How long a client that was told no slot waits before it uploads again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// One client's visit, on its way.
struct Visit {
    gateway: Arc<PausedGateway>,
    client: Arc<Client>,
    route: Route,
    polls: Polls,
    form: Form,
}

/// Plays the traffic and measures it.
pub fn measure(traffic: &Traffic, route: Route) -> Figures {
    paused(async {
        let scenario = Scenario { seed: traffic.seed, slots: 100_000, ..Scenario::default() };
        let settings = |config: &mut capgate::config::Config| {
            let Route::Through { hold, is_pushed } = route else { return };
            config.polling.hold = hold.unwrap_or(config.polling.hold);
            config.upstream.pingback_url = is_pushed.then(|| "http://gateway.example:8080".to_owned());
        };
        let gateway = Arc::new(PausedGateway::start(scenario, WAY, traffic.clients, settings).await);
        // Time for the gateway's host to be registered for pushes.
        gateway.clock.sleep(Duration::from_secs(5)).await;
        let (began, visited) = (gateway.clock.now(), Arc::new(Mutex::new(Vec::new())));
        let mut visits = tokio::task::JoinSet::new();
        for arrival in traffic.arrivals() {
            gateway.clock.sleep_until(began + arrival.at).await;
            let visit = Visit {
                client: gateway.client(arrival.client),
                gateway: Arc::clone(&gateway),
                route,
                polls: arrival.polls,
                form: arrival.form,
            };
            let visited = Arc::clone(&visited);
            visits.spawn(async move {
                let told = visit.play().await;
                visited.lock().unwrap().push(told);
            });
        }
        while let Some(visit) = visits.join_next().await {
            visit.unwrap();
        }
        let state = gateway.upstream.model().state(gateway.clock.now());
        assert_eq!(state.blocks, 0, "{:?}", state.block_log);
        let visited = visited.lock().unwrap();
        Figures::new(&visited, &state)
    })
}

/// One captcha that was told.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub method: Method,
    /// From the upload to the answer.
    pub took: Duration,
    /// How long the answer lay there before the client was told.
    pub delay: Duration,
}

impl Visit {
    /// From the upload to the answer.
    async fn play(self) -> Told {
        let clock = self.gateway.clock;
        let id = loop {
            if let Some(id) = self.upload().await {
                break id;
            }
            clock.sleep(AGAIN_AFTER).await;
        };
        let pause = match (self.polls, self.route) {
            (Polls::Every(pause), _) => pause,
            (Polls::Waits, Route::Direct) => ADVISED,
            (Polls::Waits, Route::Through { .. }) => Duration::ZERO,
        };
        while !self.poll(id).await {
            clock.sleep(pause).await;
        }
        let now = clock.now();
        let mut model = self.gateway.upstream.model();
        let captcha = model.captcha(id, now).expect("it is not too old");
        Told {
            method: Method::from_label(captcha.method).expect("a label of the table"),
            took: captcha.ready_at.since(captcha.uploaded_at),
            delay: now.since(captcha.ready_at),
        }
    }

    async fn upload(&self) -> Option<CaptchaId> {
        match self.route {
            Route::Direct => {
                self.gateway.upstream.connect().await;
                let reply = self.gateway.upstream.handle(Endpoint::InPhp, &with_key(&self.form)).await;
                let text = std::str::from_utf8(&reply.body).unwrap();
                text.strip_prefix("OK|")?.parse().ok().map(CaptchaId)
            }
            Route::Through { .. } => {
                self.gateway.clock.sleep(WAY_INSIDE).await;
                let submitted =
                    self.gateway.driver.submit(&self.client, Upload::check(self.form.clone())).await;
                self.gateway.clock.sleep(WAY_INSIDE).await;
                submitted.ok()
            }
        }
    }

    async fn poll(&self, id: CaptchaId) -> bool {
        match self.route {
            Route::Direct => {
                // The official Python client makes a new connection for each call; the gateway keeps its own.
                self.gateway.upstream.connect().await;
                let query = format!("key={DEFAULT_KEY}&action=get&id={id}");
                let form = Form::decode(&query, &bytes::Bytes::new()).unwrap();
                let reply = self.gateway.upstream.handle(Endpoint::ResPhp, &form).await;
                assert!(!reply.body.starts_with(b"ERROR"), "{:?}", reply.body);
                reply.body.starts_with(b"OK|")
            }
            Route::Through { .. } => {
                self.gateway.clock.sleep(WAY_INSIDE).await;
                let wait = match self.polls {
                    Polls::Every(_) => Wait::Hold,
                    Polls::Waits => Wait::Asked(Duration::from_mins(1)),
                };
                let (found, _) =
                    self.gateway.driver.wait_for(&self.client, id, false, wait, &HungUp::default()).await;
                assert!(!matches!(found, Found::Nothing));
                self.gateway.clock.sleep(WAY_INSIDE).await;
                matches!(found, Found::Solved(_))
            }
        }
    }
}

fn with_key(form: &Form) -> Form {
    let mut form = form.clone();
    form.set(capgate::protocol::Field::text("key", DEFAULT_KEY)).expect("an upload has few parameters");
    form
}
