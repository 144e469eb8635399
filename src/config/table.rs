//! The settings table: every setting once, with its bounds and its doc. Its default is `impl Default`'s.

use std::time::Duration;

use super::Config;
use super::prices::PRICE_MAX;
use crate::protocol::hosts::PagePattern;
use crate::protocol::methods::Method;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// `section.name`; a client's own are `client.name`.
    pub name: &'static str,
    pub accepts: Accepts,
    /// A TOML value for the reference file where there is no default.
    pub example: &'static str,
    applies: Applies,
    pub doc: &'static str,
}

/// When a change of a setting takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    AtReload,
    AtRestart,
}

impl Applies {
    /// As the tables have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AtReload => "reload",
            Self::AtRestart => "restart",
        }
    }
}

/// What a setting may be.
#[derive(Clone, Copy, Debug)]
pub enum Accepts {
    /// A length of time, such as `5s`, bounds included.
    Time(Duration, Duration),
    /// A whole number, bounds included.
    Count(u64, u64),
    /// A number above zero, up to and including this.
    Above0UpTo(u32),
    /// A number from zero, up to and including this.
    From0UpTo(u32),
    /// True or false.
    Switch,
    /// A list of up to [`LIST_MAX`] items, of which the words say what each is.
    Each(Items, &'static str),
    /// What these words say; its type in `sections` or `values` checks it.
    Text(&'static str),
    /// The same, of which no fault ever shows the value.
    Secret(&'static str),
}

/// What a list's items are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Items {
    /// Labels of the methods' table.
    Methods,
    /// Hosts, exact or `*.` and a domain.
    Hosts,
    /// What [`Open`](super::sections::Open) names; none, too.
    Open,
}

impl Items {
    const fn fewest(self) -> usize {
        match self {
            Self::Methods | Self::Hosts => 1,
            Self::Open => 0,
        }
    }
}

/// Most items of a list.
pub const LIST_MAX: usize = 1_000;

const MS: Duration = Duration::from_millis(1);
const SEC: Duration = Duration::from_secs(1);
const MIN: Duration = Duration::from_mins(1);
const ADDRESS: Accepts = Accepts::Text(r#"an address with a port, such as "127.0.0.1:8080""#);
const HOLD: Accepts = Accepts::Time(Duration::ZERO, MIN);
const REUSE: Accepts = Accepts::Time(MS.saturating_mul(50), MIN.saturating_mul(60));
const NETWORKS: Accepts =
    Accepts::Text(r#"networks or addresses such as "10.0.0.0/8", a list or one text with commas"#);
const LOOK: Accepts = Accepts::Time(Duration::ZERO, MIN.saturating_mul(5));
/// What a client's name has to be.
pub(crate) const CLIENT_NAME: &str = "1 to 64 letters (a-z, A-Z), digits, dots, hyphens and underscores";
/// Most captchas that a limit allows open at once.
const OPEN_MAX: u64 = 1_000_000;
/// The highest budget in USD.
const BUDGET_USD_MAX: u32 = 1_000_000;
/// TOML's largest integer.
const UNBOUNDED: u64 = i64::MAX.unsigned_abs();

/// The row of all prices: each method's label is a setting.
pub(super) const PRICE: &str = "prices.METHOD";

/// A setting that is looked at once, at the start.
const fn row(name: &'static str, accepts: Accepts, example: &'static str, doc: &'static str) -> Setting {
    Setting { name, accepts, example, applies: Applies::AtRestart, doc }
}

/// A setting that a reload changes. What uses it asks [`Live`](super::Live) each time, or is told.
const fn live(name: &'static str, accepts: Accepts, example: &'static str, doc: &'static str) -> Setting {
    Setting { name, accepts, example, applies: Applies::AtReload, doc }
}

/// Every setting, in the order of the reference file.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    row("listen.clients", ADDRESS, "", "Where clients call: in.php, res.php, load.php. Port 0: any free one."),
    row("listen.admin", ADDRESS, "", "Where the status page, /metrics, /healthz and /readyz are."),
    row("listen.tls", ADDRESS, r#""0.0.0.0:8443""#, "Where clients call by https, besides the plain listener."),
    live("listen.tls_cert", Accepts::Text("the path of a PEM file"), r#""server.pem""#, "The server's certificate chain, leaf first; `capgate cert` makes one."),
    live("listen.tls_key", Accepts::Text("the path of a PEM file"), r#""server.key""#, "The key of that certificate."),
    row("listen.connections_max", Accepts::Count(1, 1_000_000), "", "How many connections of clients may be open at once; each takes two file descriptors."),
    row("listen.connections_per_address", Accepts::Count(1, 1_000_000), "", "How many of them one address may have; as many as all when a proxy stands before capgate."),
    live("listen.trusted_proxies", NETWORKS, "", "Networks of proxies of your own, whose X-Forwarded-For is believed: for calls with wrong keys and for add_pingback. From elsewhere nobody's is."),
    live("listen.drain", Accepts::Time(SEC, MIN.saturating_mul(10)), "", "How long calls under way may take to end once the gateway is told to stop; what is left is cut off."),
    live("listen.drain_delay", Accepts::Time(Duration::ZERO, MIN), "", "How much of that time new connections are still taken, while /readyz says 503 and a load balancer looks elsewhere."),

    row("upstream.url", Accepts::Text("an http or https URL without user, query and fragment"), "", "The solver service, or another capgate."),
    live("upstream.key", Accepts::Secret("32 symbols"), r#""…""#, "The account's key. It goes to the upstream and nowhere else."),
    live("upstream.key_file", Accepts::Text("the path of a file with 32 symbols in it"), r#""/run/secrets/upstream-key""#, "The file with the account's key, instead of `key`."),
    live("upstream.timeout", Accepts::Time(SEC, MIN.saturating_mul(5)), "", "The longest an upstream call may take."),
    live("upstream.ca_file", Accepts::Text("the path of a PEM file"), r#""ca.pem""#, "A private CA that signed the upstream's certificate."),
    live("upstream.batch_counts_as", Accepts::Text(r#""unknown", "one" or "each""#), "", "How block rule 1005 counts a look at several captchas; unknown: both readings are kept."),
    live("upstream.balance_every", Accepts::Time(Duration::ZERO, MIN.saturating_mul(24 * 60)), "", "How often the account's balance is read for `capgate usage`, when captchas were answered since; 0s: only when clients ask for it."),
    live("upstream.pingback_url", Accepts::Text("an http or https URL without user, query and fragment, on port 80, 443 or from 1024 on"), r#""https://gw.example/capgate""#, "Where the service reaches the listener for clients, to push answers; a secret is added to its path. Without it: answers are only looked for."),
    live("upstream.pingback_token", Accepts::Text("1 to 200 visible symbols"), r#""…""#, "What /2captcha.txt shows, where the service checks by it whose domain that is."),

    live("polling.interval", Accepts::Time(MS.saturating_mul(50), MIN.saturating_mul(5)), "", "The shortest time between two looks at one captcha; below 5s for a simulator only."),
    live("polling.first_look", LOOK, "", "How long after an image or text was accepted the first look comes, at the earliest."),
    live("polling.first_look_token", LOOK, "", "The same for methods that are answered with a token."),
    live("polling.max_ids", Accepts::Count(1, 1000), "", "How many captchas one upstream call may look at; the number in use is found out and is often lower."),
    live("polling.hold", HOLD, "", "A client's poll waits up to this long for an answer that is due and not there yet; 0s: never."),
    row("polling.held_max", Accepts::Count(1, 1_000_000), "", "How many polls may wait at once, of all clients together; one more is answered at once."),

    live("uploads.hold", HOLD, "", "An upload waits this long for its turn before ERROR_NO_SLOT_AVAILABLE."),
    live("uploads.queue_max", Accepts::Count(1, UNBOUNDED), "", "How many uploads may wait at once, of all clients together."),
    live("uploads.queue_bytes_max", Accepts::Count(1, UNBOUNDED), "", "How many bytes the waiting uploads may have together."),

    live("budget.mode", Accepts::Text(r#""enforce" or "observe""#), "", "observe: calls that a budget refuses go all the same, are counted and logged; for trying out, the account can be blocked."),
    live("budget.upload_gap", Accepts::Time(Duration::ZERO, MIN), "", "The shortest time between two uploads; the service asks for 100ms."),

    row("store.url", Accepts::Text(r#""sqlite:PATH" or "memory:" (postgres is not supported yet)"#), "", "Where captchas and budgets are kept; memory: nothing survives a restart, for sandboxes and tests."),
    row("store.usage_days", Accepts::Count(7, 36_500), "", "How many days of usage are kept for `capgate usage`; answers leave a minute after their 15 minutes."),

    live("pingback.allow", NETWORKS, "", "Networks to which clients' answers may be pushed although they are not public: loopback, private, link-local."),
    live("pingback.register_from", NETWORKS, "", "Networks from which a client may register any host for pingback; from elsewhere only the host's own address may."),
    row("pingback.ca_file", Accepts::Text("the path of a PEM file"), r#""receivers-ca.pem""#, "A private CA that signed the certificates of clients' receivers."),
    live("pingback.timeout", Accepts::Time(MS.saturating_mul(100), MIN), "", "The longest that one push to a client's receiver may take."),
    live("pingback.retry_after", Accepts::Time(MS.saturating_mul(50), MIN.saturating_mul(10)), "", "How long after a failed push the next one comes; the wait doubles up to 10m."),
    live("pingback.retry_for", Accepts::Time(SEC, MIN.saturating_mul(24 * 60)), "", "How long a push is tried before it is given up."),

    row("auth.mode", Accepts::Text(r#""keys" or "open""#), "", "keys: each client has its own. open: any key is taken as one client; for a sidecar, loopback listeners only."),

    live("admin.token", Accepts::Secret("32 to 256 visible symbols"), r#""…""#, "With it operators stop and resume clients, clear latches and drain; also what they see where the admin listener is not on loopback. Without it nothing of that can be done."),
    live("admin.token_file", Accepts::Text("the path of a file with 32 to 256 visible symbols in it"), r#""/run/secrets/admin-token""#, "The file with that token, instead of `token`."),
    live("admin.open", Accepts::Each(Items::Open, r#"of "metrics" and "status""#), "", "What the admin listener shows without the token where it is not on loopback, beside /healthz and /readyz."),
    live("admin.hosts", Accepts::Each(Items::Hosts, r#"hosts, such as ["gw.example.com"]"#), r#"["gw.example.com"]"#, "The names in the Host header under which the admin listener may be called; without it: on loopback addresses and localhost only, elsewhere any."),

    row("audit.file", Accepts::Text("the path of a file"), r#""/var/lib/capgate/audit.jsonl""#, "The file to which the audit trail is added; without it there is none."),
    row("audit.file_bytes_max", Accepts::Count(4_096, UNBOUNDED), "", "How many bytes one file of the trail may have; then it is put beside, as NAME.1, and a new one is begun."),
    row("audit.files_kept", Accepts::Count(1, 1_000), "", "How many files that are put beside are kept; the oldest leaves."),

    row("log.format", Accepts::Text(r#""pretty" or "json""#), "", "One line of text or one JSON object for each log line."),
    live("log.level", Accepts::Text(r#"a level or filter, such as "info" or "info,capgate=debug""#), "", "What is logged."),
    live("log.lines_per_second", Accepts::Count(1, 1_000_000), "", "How many lines of one kind, such as \"upload refused\", are logged in a second; what is left out is counted and told."),

    live("cache.balance", REUSE, "", "How long one balance reply serves everybody."),
    live("cache.stats", REUSE, "", "The same for statistics."),
    live("cache.load", REUSE, "", "The same for the service's load."),

    live(PRICE, Accepts::From0UpTo(PRICE_MAX), "2.99", "USD per 1000 answers of a method, by its label, where `get2` did not tell the price; `capgate usage` estimates with it. The methods' table has the defaults."),

    row("client.name", Accepts::Text(CLIENT_NAME), r#""team-a""#, "The client's label in metrics, logs and reports."),
    row("client.key", Accepts::Secret("a key of 32 symbols, or a list of up to two"), r#""…""#, "The client's key; two while rotating."),
    row("client.key_sha256", Accepts::Secret("64 hexadecimal digits, or a list of up to two such texts"), r#""…""#, "The same as SHA-256 digests, instead of `key`; `capgate new-key` prints it."),
    row("client.key_file", Accepts::Text("the path of a file with 32 symbols in it, or a list of up to two"), r#""/run/secrets/team-a""#, "The same as files with one key each, instead of `key`."),
    row("client.weight", Accepts::Count(1, 1000), "", "The client's share where uploads have to wait for their turn."),
    row("client.rate", Accepts::Above0UpTo(1_000_000), "10.0", "How many uploads a second the client may make; without it: no limit."),
    row("client.hold", HOLD, r#""4s""#, "polling.hold for this client."),
    row("client.max_open", Accepts::Count(1, OPEN_MAX), "50", "How many of the client's captchas may be open at once, with uploads that wait for their turn; without it: no limit."),
    row("client.daily_budget_usd", Accepts::From0UpTo(BUDGET_USD_MAX), "5.0", "What the client may spend in a day, in UTC; what is under way counts with the price in [prices]."),
    row("client.daily_budget_captchas", Accepts::Count(0, UNBOUNDED), "1000", "How many captchas the client may upload in a day."),
    row("client.monthly_budget_usd", Accepts::From0UpTo(BUDGET_USD_MAX), "100.0", "The same for a month of the calendar, in money."),
    row("client.monthly_budget_captchas", Accepts::Count(0, UNBOUNDED), "20000", "The same for a month, in captchas."),
    row("client.budget_warning", Accepts::Above0UpTo(1), "", "The part of a budget from which on a log line, a metric and an alert say that the rest runs out."),
    row("client.methods", Accepts::Each(Items::Methods, r#"labels of the methods' table, such as ["image", "recaptcha_v2"]"#), r#"["image", "recaptcha_v2"]"#, "The methods that the client may upload; without it: all."),
    row("client.pages", Accepts::Each(Items::Hosts, r#"hosts, such as ["shop.example.com", "*.example.com"]"#), r#"["shop.example.com", "*.example.com"]"#, "The hosts of the pages that the client may work on, a `*.` standing for every host below; without it: all."),
    row("client.page_required", Accepts::Switch, "", "true: an upload has to name its page, so images and texts are refused."),
    row("client.stopped", Accepts::Switch, "", "true: the client uploads nothing more; what it has uploaded it may still poll and report."),
    row("client.expires", Accepts::Text("a day as YYYY-MM-DD"), r#""2027-01-31""#, "The last day, in UTC, on which the client may upload."),
];

/// The row for a setting's full name, `client.0.name` for a client's, `prices.image` for a price.
pub(super) fn find(name: &str) -> Option<&'static Setting> {
    let numbered = name.starts_with("client.");
    let unnumbered = without_number(name);
    let is_price = name.strip_prefix("prices.").and_then(Method::from_label).is_some();
    let is_it = |setting: &&Setting| match setting.name {
        PRICE => is_price,
        own => own == unnumbered && (unnumbered != name) == numbered,
    };
    SETTINGS.iter().find(is_it)
}

/// A client's number as it is written: without sign and leading zeros, so that no client has two names.
pub(super) fn client_number(part: &str) -> Option<usize> {
    part.parse().ok().filter(|number: &usize| number.to_string() == part)
}

/// Whether settings begin with this name and a dot.
pub(super) fn is_section(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.section() == name)
}

/// The known name that is most like an unknown one, if any is; a section's for one without a dot.
pub(super) fn nearest(name: &str) -> Option<String> {
    let name = without_number(name);
    let known = |setting: &Setting| match setting.name {
        _ if !name.contains('.') => vec![setting.section().to_owned()],
        PRICE => Method::ALL.iter().map(|method| format!("prices.{}", method.label())).collect(),
        own => vec![own.to_owned()],
    };
    most_like(&name, SETTINGS.iter().flat_map(known))
}

/// The candidate that is most like `name`, if any is.
fn most_like(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    candidates
        .map(|known| (strsim::jaro_winkler(&known, name), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// `client.name` for `client.0.name`.
fn without_number(name: &str) -> String {
    let after_number = |rest: &str| {
        let (number, short_name) = rest.split_once('.')?;
        client_number(number).map(|_| format!("client.{short_name}"))
    };
    let client = name.strip_prefix("client.").and_then(after_number);
    client.unwrap_or_else(|| name.to_owned())
}

impl Setting {
    pub fn section(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(section, _)| section)
    }

    /// When a change takes effect. A client is made anew as a whole, so all of its settings are alike.
    pub fn applies(&self) -> Applies {
        if self.section() == "client" { Applies::AtReload } else { self.applies }
    }

    /// Whether it names a file, or several, whose content counts.
    pub(super) fn is_file(&self) -> bool {
        ["_file", "tls_cert", "tls_key"].iter().any(|end| self.name.ends_with(end))
    }

    /// The name within its section.
    pub fn short_name(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, name)| name)
    }

    /// The default as TOML, where there is one.
    pub fn default_value(&self) -> Option<toml::Value> {
        let defaults = if self.section() == "client" {
            toml::Value::try_from(super::Client::default())
        } else {
            toml::Value::try_from(Config::default())
        };
        let defaults = defaults.ok()?;
        let section = defaults.get(self.section()).unwrap_or(&defaults);
        let absent = self.section() == "client" && self.required();
        section.get(self.short_name()).filter(|_| !absent).cloned()
    }

    /// Whether a client is incomplete without it.
    fn required(&self) -> bool {
        matches!(self.short_name(), "name" | "key_sha256")
    }
}

impl Accepts {
    /// What a fault and the README say is expected.
    pub fn words(&self) -> String {
        match self {
            Self::Time(min, max) => format!("a time from {} to {}, such as \"5s\"", short(*min), short(*max)),
            Self::Count(min, UNBOUNDED) => format!("a whole number from {min}"),
            Self::Count(min, max) => format!("a whole number from {min} to {max}"),
            Self::Above0UpTo(max) => format!("a number above 0, up to {max}"),
            Self::From0UpTo(max) => format!("a number from 0 to {max}"),
            Self::Switch => "true or false".to_owned(),
            Self::Each(items, words) => format!("a list of {} to {LIST_MAX} {words}", items.fewest()),
            Self::Text(words) | Self::Secret(words) => (*words).to_owned(),
        }
    }

    /// Whether `value`, which has the right type, is within the bounds.
    pub(super) fn allows(&self, value: &toml::Value) -> bool {
        match self {
            Self::Time(min, max) => value
                .as_str()
                .and_then(|text| text.parse::<jiff::SignedDuration>().ok())
                .and_then(|time| Duration::try_from(time).ok())
                .is_some_and(|time| (*min..=*max).contains(&time)),
            Self::Count(min, max) => value
                .as_integer()
                .and_then(|count| u64::try_from(count).ok())
                .is_some_and(|count| (*min..=*max).contains(&count)),
            Self::Above0UpTo(max) => {
                number(value).is_some_and(|number| number > 0.0 && number <= f64::from(*max))
            }
            Self::From0UpTo(max) => {
                number(value).is_some_and(|number| (0.0..=f64::from(*max)).contains(&number))
            }
            Self::Each(items, _) => {
                value.as_array().is_some_and(|list| (items.fewest()..=LIST_MAX).contains(&list.len()))
            }
            Self::Switch | Self::Text(_) | Self::Secret(_) => true,
        }
    }

    /// The items of a list that are none of those expected, and what each could have been meant to be.
    pub(super) fn wrong_items<'v>(&self, value: &'v toml::Value) -> Vec<(&'v toml::Value, Option<String>)> {
        let (Self::Each(items, _), Some(list)) = (self, value.as_array()) else { return Vec::new() };
        let labels = || Method::ALL.iter().map(|method| method.label().to_owned());
        let judge = |item: &'v toml::Value| {
            let text = item.as_str();
            let (is_right, meant) = match items {
                Items::Methods => (
                    text.is_some_and(|label| Method::from_label(label).is_some()),
                    text.and_then(|label| most_like(label, labels())),
                ),
                Items::Hosts => (text.is_some_and(|host| host.parse::<PagePattern>().is_ok()), None),
                Items::Open => (item.clone().try_into::<super::sections::Open>().is_ok(), None),
            };
            (!is_right).then_some((item, meant))
        };
        list.iter().filter_map(judge).collect()
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Count(..) | Self::Above0UpTo(_) | Self::From0UpTo(_))
    }

    pub(super) fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }
}

fn number(value: &toml::Value) -> Option<f64> {
    value.as_float().or_else(|| value.to_string().parse().ok())
}

/// A length of time as the file has it: `5m`.
fn short(time: Duration) -> String {
    let signed = jiff::SignedDuration::try_from(time).unwrap_or(jiff::SignedDuration::MAX);
    format!("{signed:#}")
}
