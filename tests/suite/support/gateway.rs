//! A gateway in this process, wired as `capgate serve` wires it, on a thread of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use capgate::app::{Addresses, App};
use capgate::config::{AdminToken, Client, Config, StoreUrl};
use capgate::protocol::ids::{ClientKey, UpstreamKey};
use capgate::protocol::methods::{FirstLook, Method};
use capgate::simulator::{DEFAULT_KEY, Scenario, Simulator};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::program::metric;
use super::wait_until;
use super::wire::{Reply, post_bytes, send, urlencoded};

/// Shortest time between two looks at one captcha, unless a test sets another.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long after the upload the first look may come.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// Gateway and simulator each cut the present down to a whole millisecond.
const ROUNDING_MS: u64 = 1;

/// The operators' token.
pub const ADMIN_TOKEN: &str = "fake-admin-token-000000000000000";

/// The key of client `number`, 32 symbols.
pub fn client_key(number: usize) -> String {
    format!("client-key-{number:021}")
}

/// What a test's gateway is made of.
pub struct Builder {
    config: Config,
    scenario: Value,
    has_simulator: bool,
    lost_captchas: usize,
}

impl Builder {
    /// Changes settings.
    pub fn settings(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Changes the simulator's switches, as `POST /scenario` does.
    pub fn scenario(mut self, patch: Value) -> Self {
        self.scenario = patch;
        self
    }

    /// May call receivers on this machine, and tries again soon.
    pub fn near(self) -> Self {
        self.settings(|config| {
            config.pingback.allow = vec!["127.0.0.0/8".parse().expect("a network")];
            config.pingback.retry_after = Duration::from_millis(50);
        })
    }

    /// Fronts this address in place of a simulator.
    pub fn upstream(mut self, url: &str) -> Self {
        url.clone_into(&mut self.config.upstream.url);
        self.has_simulator = false;
        self
    }

    /// As many clients, `client-1` and so on, each with its [`client_key`].
    pub fn clients(mut self, count: usize) -> Self {
        self.config.clients = (1..=count)
            .map(|number| {
                let key = ClientKey::parse(client_key(number).as_bytes()).expect("a key has 32 symbols");
                Client { name: format!("client-{number}"), keys: vec![key], ..Client::default() }
            })
            .collect();
        self
    }

    /// Listens by https too, with the certificate and key in `folder`.
    pub fn tls(self, folder: &Path) -> Self {
        self.settings(|config| {
            config.listen.tls = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
            config.listen.tls_cert = Some(folder.join("server.pem"));
            config.listen.tls_key = Some(folder.join("server.key"));
        })
    }

    /// So many uploads lose their reply on the way: they are paid for, and nobody can ask for their answers.
    pub fn loses(mut self, captchas: usize) -> Self {
        self.lost_captchas = captchas;
        self
    }

    #[track_caller]
    pub fn start(self) -> TestGateway {
        let scenario = Scenario::default()
            .merged(&json!({"solve_times": "fast"}))
            .and_then(|scenario| scenario.merged(&self.scenario))
            .expect("the test's switches are right");
        let scenario = self.has_simulator.then_some(scenario);
        let (started, is_started) = std::sync::mpsc::channel();
        let (stop, told_to_stop) = oneshot::channel::<()>();
        let mut config = self.config.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let listen = SocketAddr::from(([127, 0, 0, 1], 0));
                let simulator = scenario
                    .map(|scenario| Simulator::start(scenario, listen).expect("the simulator starts"))
                    .map(Arc::new);
                if let Some(simulator) = &simulator {
                    config.upstream.url = simulator.url();
                }
                let app = App::build(&config).await.expect("the gateway starts");
                // A test that has given up does not listen any more.
                let _ = started.send((app.addresses(), simulator));
                app.run_until(async move { drop(told_to_stop.await) }).await.expect("the gateway stops");
            });
        });
        let (addresses, simulator) = is_started.recv().expect("the gateway starts");
        TestGateway {
            addresses,
            simulator,
            config: self.config,
            lost_captchas: self.lost_captchas,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

/// A running gateway. When it is dropped, it stops, and says whether the upstream has anything to complain of.
pub struct TestGateway {
    addresses: Addresses,
    simulator: Option<Arc<Simulator>>,
    config: Config,
    lost_captchas: usize,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestGateway {
    /// One client, a simulator, and times short enough for tests.
    pub fn builder() -> Builder {
        let mut config = Config::default();
        config.listen.clients.set_port(0);
        config.listen.admin.set_port(0);
        config.upstream.key = Some(UpstreamKey::new(DEFAULT_KEY));
        config.polling.interval = INTERVAL;
        config.polling.first_look = FIRST_LOOK;
        config.polling.first_look_token = FIRST_LOOK;
        config.store.url = StoreUrl::Memory;
        config.admin.token = AdminToken::parse(ADMIN_TOKEN);
        let builder = Builder { config, scenario: json!({}), has_simulator: true, lost_captchas: 0 };
        builder.clients(1)
    }

    pub fn start() -> Self {
        Self::builder().start()
    }

    /// In front of `url`, where nothing is checked at the end.
    pub fn fronting(url: &str) -> Self {
        Self::builder().upstream(url).start()
    }

    pub const fn clients(&self) -> SocketAddr {
        self.addresses.clients
    }

    pub const fn admin(&self) -> SocketAddr {
        self.addresses.admin
    }

    pub fn tls(&self) -> SocketAddr {
        self.addresses.tls.expect("the test asked for https")
    }

    #[track_caller]
    pub fn simulator(&self) -> &Simulator {
        self.simulator.as_deref().expect("the test did not ask for another upstream")
    }

    /// Sends bytes to the listener for clients.
    #[track_caller]
    pub fn send(&self, call: &[u8]) -> Reply {
        send(self.clients(), call)
    }

    #[track_caller]
    pub fn get(&self, target: &str) -> Reply {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n").as_bytes())
    }

    #[track_caller]
    pub fn get_admin(&self, path: &str) -> Reply {
        let call = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        send(self.admin(), call.as_bytes())
    }

    /// What an operator does, with the token.
    #[track_caller]
    pub fn act(&self, path: &str) -> Reply {
        self.act_with(path, &format!("Authorization: Bearer {ADMIN_TOKEN}\r\n"))
    }

    /// The same with other headers, each with its line end.
    #[track_caller]
    pub fn act_with(&self, path: &str, headers: &str) -> Reply {
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}");
        send(self.admin(), format!("{head}Content-Length: 0\r\n\r\n").as_bytes())
    }

    #[track_caller]
    pub fn post(&self, target: &str, content_type: &str, body: &[u8]) -> Reply {
        self.send(&post_bytes(target, Some(content_type), body))
    }

    /// An in.php call of client 1, urlencoded.
    #[track_caller]
    pub fn upload(&self, fields: &[(&str, &str)]) -> Reply {
        self.upload_as(1, fields)
    }

    #[track_caller]
    pub fn upload_as(&self, client: usize, fields: &[(&str, &str)]) -> Reply {
        let key = client_key(client);
        let fields = [&[("key", key.as_str())], fields].concat();
        self.post("/in.php", "application/x-www-form-urlencoded", urlencoded(&fields).as_bytes())
    }

    /// A res.php call of client 1.
    #[track_caller]
    pub fn res(&self, query: &str) -> Reply {
        self.res_as(1, query)
    }

    #[track_caller]
    pub fn res_as(&self, client: usize, query: &str) -> Reply {
        self.get(&format!("/res.php?key={}&{query}", client_key(client)))
    }

    /// Polls as client 1 until there is another answer than "not ready".
    #[track_caller]
    pub fn answer(&self, query: &str) -> Reply {
        self.answer_as(1, query)
    }

    #[track_caller]
    pub fn answer_as(&self, client: usize, query: &str) -> Reply {
        let mut reply = self.res_as(client, query);
        wait_until(&format!("an answer to {query}"), || {
            let is_there = !reply.text().contains("CAPCHA_NOT_READY");
            if !is_there {
                reply = self.res_as(client, query);
            }
            is_there
        });
        reply
    }

    /// The value of a metric, summed over the rows whose labels contain `labels`.
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &str) -> f64 {
        metric(self.get_admin("/metrics").text(), name, labels)
    }

    fn check(&self, simulator: &Simulator) {
        let now = simulator.now();
        let untold = || {
            let captchas = simulator.captchas();
            // A lost one counts once it is solved, which may take a moment yet.
            let now = if self.lost_captchas > 0 { simulator.now() } else { now };
            let is_untold = |captcha: &&capgate::simulator::Captcha| {
                captcha.ready_at <= now && captcha.told_at.is_none() && captcha.ends_with.is_none()
            };
            captchas.iter().filter(is_untold).count()
        };
        let is_solved = |captcha: &capgate::simulator::Captcha| captcha.ready_at <= simulator.now();
        wait_until("every captcha that was paid for was told", || {
            untold() <= self.lost_captchas
                && (self.lost_captchas == 0 || simulator.captchas().iter().all(is_solved))
        });
        assert_eq!(untold(), self.lost_captchas, "as many replies were lost as the test meant to lose");
        let state = simulator.state();
        assert_eq!((state.blocks, state.counts.calls_while_blocked), (0, 0), "{:?}", state.block_log);
        assert_eq!(state.captchas.paid_and_never_told, 0);
        let ms = |time: Duration| u64::try_from(time.as_millis()).expect("a short time");
        let polling = &self.config.polling;
        let gap = state.captchas.looks_min_gap_ms.unwrap_or(u64::MAX);
        assert!(
            gap.saturating_add(ROUNDING_MS) >= ms(polling.interval),
            "two looks at one captcha within {gap} ms"
        );
        for (label, at) in &state.captchas.first_look_min_ms {
            let first = match Method::from_label(label).map(Method::first_look) {
                Some(FirstLook::Image) => polling.first_look,
                Some(FirstLook::Token) | None => polling.first_look_token,
            };
            assert!(at + ROUNDING_MS >= ms(first), "{label} was first looked at after {at} ms");
        }
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        if let Some(simulator) = self.simulator.take().filter(|_| !std::thread::panicking()) {
            self.check(&simulator);
        }
        drop(self.stop.take());
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}
