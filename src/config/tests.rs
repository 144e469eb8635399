use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rust_decimal::Decimal;

use super::*;
use crate::clock::Day;
use crate::protocol::ids::ClientKey;
use crate::protocol::methods::Method;

const UPSTREAM: &str = "fake-upstream-key-00000000000000";
const CLIENT: &str = "fake-client-key-0000000000000001";
const OTHER: &str = "fake-client-key-0000000000000002";

const TODAY: Day = Day(20_000);

mod table;

/// A folder of its own for one test, gone when it ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("capgate-config-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn variables(env: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let env: Vec<_> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    env.into_iter()
}

/// Loads `text` as `capgate.toml`; the faults are as they print, without the folder.
fn load_as(text: &str, env: &[(&str, &str)], sandbox: bool) -> Result<Config, String> {
    let folder = Folder::new();
    let file = folder.file("capgate.toml", text);
    Config::load(Some(&file), variables(env), sandbox)
        .map_err(|faults| faults.to_string().replace(&format!("{}/", folder.0.display()), ""))
}

fn load(text: &str, env: &[(&str, &str)]) -> Result<Config, String> {
    load_as(text, env, true)
}

/// One setting alone, as a file has it.
fn with(name: &str, value: &str) -> Result<Config, String> {
    let (section, name) = name.split_once('.').unwrap();
    // Any method's price stands for all of them.
    let name = if name == "METHOD" { "image" } else { name };
    let text = if section == "client" {
        let identity = [("name", "\"a\""), ("key", &format!("\"{CLIENT}\""))];
        let identity = identity.iter().filter(|(own, _)| !name.starts_with(own));
        let identity: Vec<String> = identity.map(|(own, value)| format!("{own} = {value}\n")).collect();
        let identity = identity.concat();
        format!("[[client]]\n{identity}{name} = {value}\n")
    } else {
        format!("[{section}]\n{name} = {value}\n")
    };
    load(&text, &[])
}

#[test]
fn all_faults_of_all_sources_are_reported_at_once_each_with_its_place() {
    let text = format!(
        r#"[listen]
clients = "localhost"
tls = "0.0.0.0:8443"

[upstream]
url = "https://user:password@2captcha.com"
key = "{UPSTREAM}x"
timeout = 30

[polling]
intervall = "5s"
interval = "49ms"
max_ids = 1001

[polls]
hold = "1s"

[store]
url = "postgres://user:password@db/capgate"

[[client]]
name = "team a"
key = "short"
weight = 0

[[client]]
name = "b"
key_file = "/nowhere/key"
key = "{CLIENT}"

[[client]]
rate = 0
"#
    );
    let env = [
        ("CAPGATE_LOG__LEVEL", "inof"),
        ("CAPGATE_CACHE__BALANCE", "soon"),
        ("CAPGATE_CLIENT__1__KEE", CLIENT),
        ("CAPGATE_CLIENT__4__NAME", "e"),
        ("CAPGATE_PORT", "tcp://10.0.0.1:80"),
    ];
    let faults = load_as(&text, &env, false).unwrap_err();
    let expected = r#"capgate.toml:2:1: listen.clients: found "localhost", expected an address with a port, such as "127.0.0.1:8080"
capgate.toml:6:1: upstream.url: found ***, expected an http or https URL without user, query and fragment
capgate.toml:7:1: upstream.key: found ***, expected 32 symbols
capgate.toml:8:1: upstream.timeout: found 30, expected a time from 1s to 5m, such as "5s"
capgate.toml:11:1: polling.intervall: unknown setting; did you mean polling.interval?
capgate.toml:12:1: polling.interval: found "49ms", expected a time from 50ms to 5m, such as "5s"
capgate.toml:13:1: polling.max_ids: found 1001, expected a whole number from 1 to 1000
capgate.toml:15:2: polls: unknown setting; did you mean polling?
capgate.toml:19:1: store.url: found ***, expected "sqlite:PATH" or "memory:" (postgres is not supported yet)
capgate.toml:22:1: client.0.name: found "team a", expected 1 to 64 letters (a-z, A-Z), digits, dots, hyphens and underscores
capgate.toml:23:1: client.0.key: found ***, expected a key of 32 symbols, or a list of up to two
capgate.toml:24:1: client.0.weight: found 0, expected a whole number from 1 to 1000
capgate.toml:28:1: client.1.key_file: found "/nowhere/key": No such file or directory (os error 2), expected the path of a file with 32 symbols in it, or a list of up to two
capgate.toml:32:1: client.2.rate: found 0, expected a number above 0, up to 1000000
CAPGATE_CACHE__BALANCE: cache.balance: found "soon", expected a time from 50ms to 1h, such as "5s"
CAPGATE_CLIENT__1__KEE: client.1.kee: unknown setting; did you mean client.key?
CAPGATE_LOG__LEVEL: log.level: found "inof", expected a level or filter, such as "info" or "info,capgate=debug"
capgate.toml: listen.tls_cert: missing, expected the path of a PEM file
capgate.toml: listen.tls_key: missing, expected the path of a PEM file
capgate.toml:28:1: client.1.key_file: client.1.key is given too, expected one of them (capgate.toml:29:1)
capgate.toml:31:1: client.2.name: missing, expected 1 to 64 letters (a-z, A-Z), digits, dots, hyphens and underscores
capgate.toml:31:1: client.2.key: missing, expected a key of 32 symbols, or a list of up to two
CAPGATE_CLIENT__4__NAME: client.4: found number 4, expected 3: clients are numbered from 0 without gaps
CAPGATE_CLIENT__4__NAME: client.4.key: missing, expected a key of 32 symbols, or a list of up to two"#;
    assert_eq!(faults, expected, "\n{faults}");
}

#[test]
fn the_environment_goes_over_the_file_and_the_file_over_the_defaults() {
    let text = format!(
        "[polling]\ninterval = \"7s\"\nmax_ids = 7\n[[client]]\nname = \"a\"\nkey = \"{CLIENT}\"\nweight = 3\n"
    );
    let env = [
        ("CAPGATE_POLLING__MAX_IDS", "9"),
        ("CAPGATE_CLIENT__0__RATE", "2.5"),
        ("CAPGATE_CLIENT__0__KEY", OTHER),
        ("CAPGATE_CLIENT__1__NAME", "123"),
        ("CAPGATE_CLIENT__1__KEY", &format!("[\"{CLIENT}\", \"{UPSTREAM}\"]")),
        ("CAPGATE_UPSTREAM__KEY", "12345678901234567890123456789012"),
    ];
    let config = load_as(&text, &env, false).unwrap();
    assert_eq!(config.polling.interval, Duration::from_secs(7));
    assert_eq!(config.polling.max_ids, 9);
    assert_eq!(config.polling.hold, Duration::from_secs(4));
    let [a, b] = config.clients.as_slice() else { panic!("two clients: {:?}", config.clients) };
    assert_eq!((a.name.as_str(), a.weight, a.rate), ("a", 3, Some(2.5)));
    assert_eq!(a.keys, [ClientKey::parse(OTHER.as_bytes()).unwrap()]);
    assert_eq!((b.name.as_str(), b.keys.len()), ("123", 2));
    assert_eq!(config.upstream.key.unwrap().expose(), "12345678901234567890123456789012");
}

#[test]
fn keys_come_from_files_as_well_and_are_trimmed() {
    let folder = Folder::new();
    let upstream = folder.file("upstream", &format!(" {UPSTREAM}\r\n"));
    let client = folder.file("client", &format!("{CLIENT}\n"));
    let text = format!(
        "[upstream]\nkey_file = {upstream:?}\n[[client]]\nname = \"a\"\nkey_file = [{client:?}]\n[[client]]\nname = \"b\"\nkey_sha256 = \"{}\"\n",
        ClientKey::parse(OTHER.as_bytes()).unwrap().sha256_hex()
    );
    let config = load_as(&text, &[], false).unwrap();
    assert_eq!(config.upstream.key.as_ref().unwrap().expose(), UPSTREAM);
    assert_eq!(config.clients[0].keys, [ClientKey::parse(CLIENT.as_bytes()).unwrap()]);
    assert_eq!(config.clients[1].keys, [ClientKey::parse(OTHER.as_bytes()).unwrap()]);

    let faults = load_as(&text, &[("CAPGATE_UPSTREAM__KEY", UPSTREAM)], false).unwrap_err();
    assert_eq!(
        faults,
        "capgate.toml:2:1: upstream.key_file: upstream.key is given too, expected one of them (CAPGATE_UPSTREAM__KEY)"
    );
}

#[test]
fn secrets_are_never_printed() {
    let text = format!(
        "[upstream]\nkey = \"{UPSTREAM}\"\n[[client]]\nname = \"a\"\nkey = [\"{CLIENT}\", \"{OTHER}\"]\n"
    );
    let config = load_as(&text, &[], false).unwrap();
    let digest = ClientKey::parse(CLIENT.as_bytes()).unwrap().sha256_hex();
    for printed in [format!("{config:?}"), config.effective().unwrap()] {
        for secret in [UPSTREAM, CLIENT, OTHER, &digest] {
            assert!(!printed.contains(secret), "{printed}");
        }
        assert!(printed.contains("***"));
    }
    // Each on a line or in a place where it is wrong.
    let pasted = "0123456789abcdef0123456789abcdef";
    for text in [
        format!("[upstream]\nkey = {pasted}\n"),
        format!("[upstream]\nkey = \"{pasted}\nurl = 1\n"),
        format!("[upstream]\nkey = \"{pasted}\"\nkey = \"{pasted}\"\n"),
        format!("[upstream]\nkee = \"{pasted}\"\n"),
        format!("[upstream]\nkey = [\"{pasted}\"]\n"),
        format!("[upstream]\nkey_file = \"{pasted}\"\n"),
        format!("[upstream]\nurl = \"{pasted}\"\n"),
        format!("[upstream]\nurl = \"https://2captcha.com/?key={pasted}\"\n"),
        format!("upstream = \"{pasted}\"\n"),
        format!("client = [\"{pasted}\"]\n"),
        format!("[[client]]\nname = \"a\"\nkey_sha256 = \"{pasted}\"\n"),
        format!("[[client]]\nname = \"a\"\nkey_file = [\"{pasted}\"]\n"),
    ] {
        let faults = load(&text, &[]).unwrap_err();
        assert!(!faults.contains(pasted), "{text}\n{faults}");
    }
}

#[test]
fn a_file_that_is_no_toml_or_not_there_is_one_fault() {
    let faults = load_as("[listen]\nclients = \"127.0.0.1:1\nadmin = 1\n", &[], false).unwrap_err();
    assert!(faults.starts_with("capgate.toml:2:"), "{faults}");
    assert_eq!(faults.lines().count(), 1, "{faults}");
    let faults = Config::load(Some(Path::new("/nowhere/capgate.toml")), variables(&[]), false).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "/nowhere/capgate.toml: cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn a_key_and_a_client_are_required_unless_there_is_a_sandbox_or_no_authentication() {
    let faults = Config::load(None, variables(&[]), false).unwrap_err().to_string();
    assert_eq!(
        faults,
        "CAPGATE_UPSTREAM__KEY: upstream.key: missing, expected 32 symbols\n\
         CAPGATE_CLIENT__0__NAME: client: missing, expected [[client]], one for each client, or auth.mode = \"open\""
    );
    Config::load(None, variables(&[]), true).unwrap();
    let open = [("CAPGATE_AUTH__MODE", "open"), ("CAPGATE_UPSTREAM__KEY", UPSTREAM)];
    Config::load(None, variables(&open), false).unwrap();
}

#[test]
fn open_mode_is_refused_off_loopback() {
    let text = "[listen]\nclients = \"0.0.0.0:8080\"\n[auth]\nmode = \"open\"\n";
    let faults = load(text, &[]).unwrap_err();
    assert!(
        faults.starts_with("capgate.toml:2:1: listen.clients: found \"0.0.0.0:8080\", expected a loopback"),
        "{faults}"
    );
    load(&text.replace("0.0.0.0", "127.0.0.2"), &[]).unwrap();
    let tls = "[listen]\ntls = \"0.0.0.0:1\"\ntls_cert = \"a\"\ntls_key = \"b\"\n[auth]\nmode = \"open\"\n";
    assert!(load(tls, &[]).unwrap_err().contains("listen.tls: found"));
}

#[test]
fn names_keys_and_addresses_are_not_used_twice() {
    let text = format!(
        "[[client]]\nname = \"a\"\nkey = \"{CLIENT}\"\n[[client]]\nname = \"a\"\nkey = [\"{OTHER}\", \"{CLIENT}\"]\n"
    );
    assert_eq!(
        load(&text, &[("CAPGATE_LISTEN__CLIENTS", "127.0.0.1:9464")]).unwrap_err(),
        "CAPGATE_LISTEN__CLIENTS: listen.clients: the same address as listen.admin (capgate.toml), expected another\n\
         capgate.toml:5:1: client.1.name: the same name as client.0.name (capgate.toml:2:1), expected another\n\
         capgate.toml:6:1: client.1.key: the same key as client.0.key (capgate.toml:3:1), expected another"
    );
}

#[test]
fn a_client_has_one_number_only() {
    for name in ["CAPGATE_CLIENT__00__NAME", "CAPGATE_CLIENT__+0__NAME", "CAPGATE_CLIENT__NAME"] {
        assert!(load("", &[(name, "a")]).unwrap_err().contains("unknown setting"), "{name}");
    }
    let huge = ("CAPGATE_CLIENT__99999999999999999999__NAME", "a");
    assert!(load("", &[huge]).unwrap_err().contains("unknown setting"));
    assert!(load("", &[("CAPGATE_POLLING__0__HOLD", "1s")]).unwrap_err().contains("unknown setting"));
}

#[test]
fn what_is_hardly_ever_meant_gets_a_warning() {
    assert_eq!(Config::default().warnings(TODAY), Vec::<String>::new());
    let text = format!(
        "[polling]\ninterval = \"50ms\"\nhold = \"5s\"\n[store]\nurl = \"memory:\"\n[upstream]\nurl = \"http://10.0.0.1\"\n\
         [[client]]\nname = \"a\"\nkey = \"{CLIENT}\"\nhold = \"20s\"\n"
    );
    let warnings = load(&text, &[]).unwrap().warnings(TODAY).join("\n");
    for part in [
        "interval is 50ms",
        "only for a simulator",
        "memory:",
        "plain http",
        "polling.hold is 5s",
        "client a",
    ] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
    let local = load("[upstream]\nurl = \"http://[::1]:8080\"\n[polling]\nhold = \"4999ms\"\n", &[]).unwrap();
    assert_eq!(local.warnings(TODAY), Vec::<String>::new());
}

#[test]
fn a_clients_policy_is_read_and_faults_in_it_are_named_one_by_one() {
    let text = format!(
        "[[client]]\nname = \"a\"\nkey = \"{CLIENT}\"\nmethods = [\"image\", \"recaptcha_v2\"]\n\
         pages = [\"Shop.Example.com\", \"*.example.org\"]\npage_required = true\nstopped = true\nexpires = 2024-10-03\n"
    );
    let config = load(&text, &[]).unwrap();
    let client = &config.clients[0];
    assert_eq!(client.methods, [Method::Image, Method::RecaptchaV2].into());
    assert_eq!(
        client.pages.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["shop.example.com", "*.example.org"]
    );
    assert!(client.page_required && client.stopped);
    assert_eq!(client.expires, Some("2024-10-03".parse().unwrap()));
    let warned = config.warnings(TODAY).join("\n");
    assert_eq!(warned, "expires of client a is 2024-10-03, which is over: it may not upload");
    assert_eq!(config.warnings(Day(19_999)), Vec::<String>::new(), "its last day");

    let env = [
        ("CAPGATE_CLIENT__0__METHODS", r#"["imgae", "no_such", 1]"#),
        ("CAPGATE_CLIENT__0__PAGES", r#"["https://example.com/", "*.example.com"]"#),
        ("CAPGATE_CLIENT__0__PAGE_REQUIRED", "yes"),
        ("CAPGATE_CLIENT__0__STOPPED", "false"),
        ("CAPGATE_CLIENT__0__EXPIRES", "2027-02-30"),
    ];
    let faults = load(&text, &env).unwrap_err();
    let expected = r#"CAPGATE_CLIENT__0__EXPIRES: client.0.expires: found "2027-02-30", expected a day as YYYY-MM-DD
CAPGATE_CLIENT__0__METHODS: client.0.methods: found "imgae", "no_such", 1, expected a list of 1 to 1000 labels of the methods' table, such as ["image", "recaptcha_v2"]; did you mean image?
CAPGATE_CLIENT__0__PAGES: client.0.pages: found "https://example.com/", expected a list of 1 to 1000 hosts, such as ["shop.example.com", "*.example.com"]
CAPGATE_CLIENT__0__PAGE_REQUIRED: client.0.page_required: found "yes", expected true or false"#;
    assert_eq!(faults, expected, "\n{faults}");
}

#[test]
fn budgets_are_taken_by_their_digits_and_a_months_usage_has_to_be_kept() {
    let text = |days: u32| {
        format!(
            "[store]\nusage_days = {days}\n[[client]]\nname = \"a\"\nkey = \"{CLIENT}\"\nmax_open = 5\n\
             daily_budget_usd = 0.1\nmonthly_budget_usd = 3\ndaily_budget_captchas = 0\nbudget_warning = 0.95\n"
        )
    };
    let client = load(&text(31), &[]).unwrap().clients.remove(0);
    assert_eq!(
        (client.daily_budget_usd, client.monthly_budget_usd),
        (Some(Exact(Decimal::new(1, 1))), Some(Exact(3.into())))
    );
    assert_eq!((client.max_open, client.daily_budget_captchas), (Some(5), Some(0)));
    assert_eq!(client.budget_warning, Exact(Decimal::new(95, 2)));
    assert_eq!(Client::default().budget_warning, Exact(Decimal::new(8, 1)));
    assert_eq!(
        load(&text(30), &[]).unwrap_err(),
        "capgate.toml:2:1: store.usage_days: found 30, expected at least 31, because client a has a monthly budget"
    );
    load(&text(7).replace("monthly_budget_usd = 3\n", ""), &[]).unwrap();
}

#[test]
fn a_health_check_looks_past_faults_elsewhere() {
    let env = [("CAPGATE_LISTEN__ADMIN", "127.0.0.1:7"), ("CAPGATE_POLLING__HOLD", "no")];
    assert_eq!(Config::admin_address(None, variables(&env)).unwrap().port(), 7);
    Config::admin_address(None, variables(&[("CAPGATE_LISTEN__ADMIN", "7")])).unwrap_err();
}

#[test]
fn a_report_of_usage_looks_past_faults_elsewhere() {
    let wrong = [("CAPGATE_UPSTREAM__KEY_FILE", "/nowhere/key"), ("CAPGATE_POLLING__HOLD", "no")];
    let right = [("CAPGATE_STORE__URL", "sqlite:other.db"), ("CAPGATE_PRICES__IMAGE", "0.5")];
    let (url, prices) = Config::for_usage(None, variables(&[wrong, right].concat())).unwrap();
    assert_eq!(url, "sqlite:other.db".parse().unwrap());
    assert_eq!(prices.of_1000(Method::Image), "0.5".parse().unwrap());
    for fault in
        [("CAPGATE_STORE__URL", "other.db"), ("CAPGATE_PRICES__IMAGE", "x"), ("CAPGATE_STORE__URI", "x")]
    {
        assert_eq!(Config::for_usage(None, variables(&[fault])).unwrap_err().len(), 1, "{fault:?}");
    }
}

#[test]
fn the_effective_settings_are_settings_again() {
    let text = Config::default().effective().unwrap();
    assert_eq!(load(&text, &[]).unwrap().effective().unwrap(), text);
}
