//! `capgate usage`, as an operator runs it: beside a gateway, after it has stopped, and after it was killed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::command_line::{address_in, folder, get, write};
use crate::support::{TestBinary, client_key, post_bytes, run, send, wait_until};

/// Runs `capgate usage` and gives what it says.
#[track_caller]
pub(super) fn usage(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, &[&["usage", "--config", "capgate.toml"], arguments].concat(), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[track_caller]
fn usage_json(folder: &Path, by: &str) -> Value {
    serde_json::from_str(&usage(folder, &["--by", by, "--format", "json"])).expect("JSON")
}

fn decimal(value: &Value) -> Decimal {
    // As it is written: a number of few digits is printed as it was read.
    value.to_string().parse().unwrap_or_else(|error| panic!("{value}: {error}"))
}

/// The program twice: the simulator, and a gateway with a file in front of it.
struct Account<'f> {
    folder: &'f Path,
    simulator: SocketAddr,
    gateway: SocketAddr,
}

impl Account<'_> {
    fn upload(&self, client: usize, query: &str) -> String {
        get(self.gateway, &format!("/in.php?key={}&{query}", client_key(client)))
    }

    /// Uploads, and polls until there is an end.
    #[track_caller]
    fn solve(&self, client: usize, query: &str, action: &str) -> (String, String) {
        let accepted = self.upload(client, query);
        let id = accepted.strip_prefix("OK|").unwrap_or_else(|| panic!("{accepted}")).to_owned();
        let mut answer = String::new();
        wait_until("an answer", || {
            answer = self.res(client, &format!("action={action}&id={id}"));
            answer != "CAPCHA_NOT_READY"
        });
        (id, answer)
    }

    /// The price that `get2` tells.
    #[track_caller]
    fn price(&self, client: usize, query: &str) -> Decimal {
        let (_, answer) = self.solve(client, query, "get2");
        answer.rsplit('|').next().and_then(|price| price.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
    }

    fn res(&self, client: usize, query: &str) -> String {
        get(self.gateway, &format!("/res.php?key={}&{query}", client_key(client)))
    }

    fn faults(&self, faults: &Value) {
        let body = json!({"faults": faults}).to_string();
        let reply = send(self.simulator, &post_bytes("/scenario", Some("application/json"), body.as_bytes()));
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    /// Asks for the balance until a reading of it shows what `is_there` looks for.
    #[track_caller]
    fn read_balance(&self, what: &str, is_there: impl Fn() -> bool) {
        wait_until(what, || {
            self.res(1, "action=getbalance");
            is_there()
        });
    }

    fn has_readings(&self) -> bool {
        let file = rusqlite::Connection::open(self.folder.join("usage.db")).expect("the file is there");
        file.query_row("SELECT count(*) FROM readings", [], |row| row.get::<_, u32>(0)).expect("a table") > 0
    }
}

fn start(folder: &Path, simulator: SocketAddr) -> (TestBinary, SocketAddr) {
    let settings = format!(
        "[listen]\nclients = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n[upstream]\nurl = \"http://{simulator}\"\n\
         key = \"{}\"\n\n[polling]\ninterval = \"50ms\"\nfirst_look = \"50ms\"\nfirst_look_token = \"50ms\"\n\n\
         [uploads]\nhold = \"1s\"\n\n[store]\nurl = \"sqlite:usage.db\"\n\n[cache]\nbalance = \"50ms\"\n\n\
         [log]\nformat = \"json\"\n\n[prices]\ntext = 0.5\nhcaptcha = 2\n\n\
         [[client]]\nname = \"team-a\"\nkey = \"{}\"\n\n[[client]]\nname = \"team-b\"\nkey = \"{}\"\n",
        capgate::simulator::DEFAULT_KEY,
        client_key(1),
        client_key(2),
    );
    write(folder, "capgate.toml", &settings);
    let gateway = TestBinary::start(folder, &["serve", "--config", "capgate.toml"], &[]);
    let clients = address_in(&gateway.line_with("for clients"));
    (gateway, clients)
}

/// What a row must say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Expected {
    captchas: u64,
    solved: u64,
    unsolvable: u64,
    unknown: u64,
    reported_bad: u64,
    cost: Decimal,
    estimated: Decimal,
}

impl Expected {
    #[track_caller]
    fn check(&self, row: &Value) {
        let count = |name: &str| row[name].as_u64().unwrap_or_else(|| panic!("{name}: {row}"));
        let found = Self {
            captchas: count("captchas"),
            solved: count("solved"),
            unsolvable: count("unsolvable"),
            unknown: count("unknown"),
            reported_bad: count("reported_bad"),
            cost: decimal(&row["cost_usd"]),
            estimated: decimal(&row["estimated_usd"]),
        };
        assert_eq!(found, *self, "{row}");
        assert_eq!(row["is_estimated"], !self.estimated.is_zero(), "{row}");
        assert_eq!((count("open"), count("expired")), (0, 0), "{row}");
    }

    fn csv(&self) -> [String; 6] {
        let Self { captchas, solved, unsolvable, unknown, .. } = self;
        [
            format!("{captchas},{solved},{unsolvable},0,0,{unknown},0,{}", self.reported_bad),
            self.cost.normalize().to_string(),
            self.estimated.normalize().to_string(),
            (!self.estimated.is_zero()).to_string(),
            String::new(),
            String::new(),
        ]
    }
}

/// All three formats by every grouping, against what really happened.
#[track_caller]
fn check(folder: &Path, clients: &[(&str, Expected)], methods: &[(&str, Expected)], total: &Expected) {
    for (by, expected) in [("client", clients), ("method", methods)] {
        let report = usage_json(folder, by);
        let rows = report["rows"].as_array().expect("rows");
        assert_eq!(rows.len(), expected.len(), "{report}");
        let csv = usage(folder, &["--by", by, "--format", "csv"]);
        let table = usage(folder, &["--by", by]);
        assert!(csv.starts_with(&format!("{by},captchas,solved,unsolvable,")), "{csv}");
        for ((row, (name, expected)), line) in rows.iter().zip(expected).zip(csv.lines().skip(1)) {
            assert_eq!(row[by], *name);
            expected.check(row);
            let [counts, cost, estimated, is_estimated, ..] = expected.csv();
            assert!(line.starts_with(&format!("{name},{counts},")), "{line}");
            assert!(line.ends_with(&format!(",{cost},{estimated},{is_estimated}")), "{line}");
            let words = table.lines().find(|line| line.starts_with(name)).expect("a line for each row");
            let words: Vec<&str> = words.split_whitespace().collect();
            assert_eq!(words[1], expected.captchas.to_string(), "{table}");
            assert_eq!(words[10].parse::<Decimal>().ok(), Some(expected.cost), "{table}");
        }
        assert_eq!(csv.lines().count(), expected.len() + 1, "{csv}");
        total.check(&report["total"]);
    }
    // It may be midnight in between: one day or two.
    let report = usage_json(folder, "day");
    let days = report["rows"].as_array().expect("rows");
    assert!(
        days.iter().all(|row| [&report["until"], &report["since"]] != [&row["day"], &row["day"]]),
        "{report}"
    );
    let sum: u64 = days.iter().filter_map(|row| row["captchas"].as_u64()).sum();
    let cost: Decimal = days.iter().map(|row| decimal(&row["cost_usd"])).sum();
    assert_eq!((sum, cost), (total.captchas, total.cost), "{report}");
    total.check(&report["total"]);
}

#[test]
fn two_clients_and_two_methods_are_reported_to_the_digit_while_the_gateway_runs_and_after() {
    let folder = folder();
    let folder = folder.path();
    let simulator =
        TestBinary::start(folder, &["simulate", "--listen", "127.0.0.1:0", "--solve-times", "fast"], &[]);
    let upstream = address_in(&simulator.line_with("simulated upstream on"));
    let (gateway, clients) = start(folder, upstream);
    let account = Account { folder, simulator: upstream, gateway: clients };
    account.read_balance("a first reading", || account.has_readings());

    let text_price = account.price(1, "textcaptcha=first");
    account.solve(1, "textcaptcha=second", "get");
    let hcaptcha = "method=hcaptcha&sitekey=s&pageurl=http://example.com";
    let (bad, _) = account.solve(1, &format!("{hcaptcha}/1"), "get");
    assert_eq!(account.res(1, &format!("action=reportbad&id={bad}")), "OK_REPORT_RECORDED");
    let hcaptcha_price = account.price(2, &format!("{hcaptcha}/2"));
    assert_eq!(account.price(2, &format!("{hcaptcha}/3")), hcaptcha_price);
    account.faults(&json!({"unsolvable@in": 1}));
    let (_, end) = account.solve(1, "textcaptcha=third", "get2");
    assert_eq!(end, "ERROR_CAPTCHA_UNSOLVABLE");
    account.faults(&json!({}));
    // The simulator's prices, whether they were asked for or not.
    let spent = text_price * Decimal::TWO + hcaptcha_price * Decimal::from(3);
    account.read_balance("a reading after all of this", || {
        let report = usage_json(folder, "client");
        report["balance"].is_object() && decimal(&report["balance"]["spent_usd"]) == spent
    });

    // The settings' prices are for 1000.
    let (text, token) = (Decimal::new(5, 4), Decimal::new(2, 3));
    let team_a = Expected {
        captchas: 4,
        solved: 3,
        unsolvable: 1,
        reported_bad: 1,
        cost: text_price + text + token,
        estimated: text + token,
        ..Expected::default()
    };
    let team_b =
        Expected { captchas: 2, solved: 2, cost: hcaptcha_price * Decimal::TWO, ..Expected::default() };
    let texts = Expected {
        captchas: 3,
        solved: 2,
        unsolvable: 1,
        cost: text_price + text,
        estimated: text,
        ..Expected::default()
    };
    let hcaptchas = Expected {
        captchas: 3,
        solved: 3,
        reported_bad: 1,
        cost: hcaptcha_price * Decimal::TWO + token,
        estimated: token,
        ..Expected::default()
    };
    let total = Expected { captchas: 6, solved: 5, cost: team_a.cost + team_b.cost, ..team_a };
    check(
        folder,
        &[("team-a", team_a), ("team-b", team_b)],
        &[("hcaptcha", hcaptchas), ("text", texts)],
        &total,
    );

    // Between the two readings all of this was answered.
    let report = usage_json(folder, "client");
    let balance = &report["balance"];
    assert_eq!(decimal(&balance["counted_usd"]), total.cost, "{balance}");
    assert_eq!(decimal(&balance["difference_usd"]), spent - total.cost, "{balance}");
    let table = usage(folder, &[]);
    assert!(table.contains(&format!("{} USD left the account", spent.normalize())), "{table}");

    // An upload whose reply is lost is on the books, and costs nothing that is known.
    account.faults(&json!({"reset_after@in": 1}));
    assert_eq!(account.upload(2, "textcaptcha=lost"), "ERROR_NO_SLOT_AVAILABLE");
    account.faults(&json!({}));
    let team_b = Expected { unknown: 1, ..team_b };
    let texts = Expected { unknown: 1, ..texts };
    let total = Expected { unknown: 1, ..total };
    let now = || {
        let clients = [("team-a", team_a), ("team-b", team_b)];
        check(folder, &clients, &[("hcaptcha", hcaptchas), ("text", texts)], &total);
    };
    now();
    let (_, logged) = gateway.stop();
    now();
    solve_times_are_those_of_the_log(folder, &logged);

    let (gateway, _) = start(folder, upstream);
    now();
    // Dropped: killed on the spot.
    drop(gateway);
    now();
    simulator.stop();
}

/// The median and the 95th percentile, within the four percent of their buckets.
#[track_caller]
fn solve_times_are_those_of_the_log(folder: &Path, logged: &str) {
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for fields in logged.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if fields["message"] == "captcha ended" && fields["outcome"] == "solved" {
            let client = fields["client"].as_str().expect("a client").to_owned();
            times.entry(client).or_default().push(fields["seconds"].as_f64().expect("a time"));
        }
    }
    assert_eq!(times.values().map(Vec::len).collect::<Vec<_>>(), [3, 2], "{logged}");
    let report = usage_json(folder, "client");
    for (row, times) in report["rows"].as_array().expect("rows").iter().zip(times.values_mut()) {
        times.sort_by(f64::total_cmp);
        let of = |name: &str| row[name].as_f64().expect("a time");
        for (found, seen) in [
            (of("median_seconds"), times[times.len().div_ceil(2) - 1]),
            (of("p95_seconds"), times[times.len() - 1]),
        ] {
            assert!((found - seen).abs() <= seen * 0.04 + 0.002, "{found} and {seen}: {row}");
        }
    }
}
