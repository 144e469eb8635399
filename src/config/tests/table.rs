//! Every row of the settings table.

use super::*;
use crate::protocol::methods::Method;

#[test]
fn each_bound_holds_at_its_limit_and_one_over() {
    const MS: Duration = Duration::from_millis(1);
    for setting in SETTINGS {
        let ok = |value: &str| with(setting.name, value).map(drop);
        match setting.accepts {
            Accepts::Time(min, max) => {
                let text = |time: Duration| format!("\"{}ms\"", time.as_millis());
                assert_eq!(ok(&text(min)), Ok(()));
                assert_eq!(ok(&text(max)), Ok(()));
                assert!(ok(&text(max + MS)).is_err(), "{}", setting.name);
                let under = min.checked_sub(MS).map_or("\"-1ms\"".to_owned(), text);
                assert!(ok(&under).is_err(), "{}", setting.name);
            }
            Accepts::Count(min, max) => {
                assert_eq!(ok(&min.to_string()), Ok(()));
                assert_eq!(ok(&max.to_string()), Ok(()));
                let under = min.checked_sub(1).map_or("-1".to_owned(), |under| under.to_string());
                assert!(ok(&under).is_err(), "{}", setting.name);
                assert!(ok(&(max + 1).to_string()).is_err(), "{}", setting.name);
            }
            Accepts::Above0UpTo(max) => {
                for good in ["0.001".to_owned(), "1".to_owned(), max.to_string()] {
                    assert_eq!(ok(&good), Ok(()));
                }
                for bad in ["0", "-1", "nan", "inf", "1000000.5"] {
                    assert!(ok(bad).is_err(), "{bad}");
                }
            }
            Accepts::From0UpTo(max) => {
                for good in ["0".to_owned(), "0.001".to_owned(), max.to_string()] {
                    assert_eq!(ok(&good), Ok(()));
                }
                for bad in ["-0.001", "nan", "inf", &format!("{max}.001"), "\"1\""] {
                    assert!(ok(bad).is_err(), "{bad}");
                }
            }
            Accepts::Switch => {
                assert_eq!((ok("true"), ok("false")), (Ok(()), Ok(())));
                assert!(ok("1").is_err() && ok("\"true\"").is_err(), "{}", setting.name);
            }
            Accepts::Each(items, _) => {
                let item = |number: usize| match items {
                    Items::Methods => "\"image\"".to_owned(),
                    Items::Open => "\"status\"".to_owned(),
                    Items::Hosts => format!("\"host-{number}.example\""),
                };
                let list = |length| format!("[{}]", (0..length).map(item).collect::<Vec<_>>().join(", "));
                assert_eq!((ok(&list(1)), ok(&list(LIST_MAX))), (Ok(()), Ok(())));
                assert!(ok(&list(LIST_MAX + 1)).is_err(), "{}", setting.name);
                assert_eq!(ok("[]").is_ok(), items == Items::Open, "{}", setting.name);
                assert!(ok(&item(1)).is_err() && ok("[1]").is_err(), "{}", setting.name);
            }
            Accepts::Text(_) | Accepts::Secret(_) => assert!(ok("1").is_err(), "{}", setting.name),
        }
    }
}

#[test]
fn every_method_has_a_price_and_nothing_else_has() {
    for method in Method::ALL {
        let config = with(&format!("prices.{}", method.label()), "0.5").unwrap();
        assert_eq!(config.prices.of_1000(*method), "0.5".parse().unwrap());
    }
    let faults = with("prices.hcapcha", "1").unwrap_err();
    assert!(faults.ends_with("prices.hcapcha: unknown setting; did you mean prices.hcaptcha?"), "{faults}");
    assert!(with("prices.METHOD", "1").is_ok(), "a test's name for any of them");
    let env = [("CAPGATE_PRICES__RECAPTCHA_V2", "1.5"), ("CAPGATE_PRICES__IMAGE", "cheap")];
    let faults = load("", &env).unwrap_err();
    assert_eq!(
        faults,
        "CAPGATE_PRICES__IMAGE: prices.image: found \"cheap\", expected a number from 0 to 10000"
    );
    assert_eq!(load("", &env[..1]).unwrap().prices.of_1000(Method::RecaptchaV2), "1.5".parse().unwrap());
}

#[test]
fn texts_hold_to_their_form() {
    let long = |length: usize| format!("\"{}\"", "a".repeat(length));
    let right = [
        ("upstream.url", "\"http://127.0.0.1:8080/api/\""),
        ("upstream.url", "\"http://[::1]:80\""),
        ("upstream.key", &long(32)),
        ("store.url", "\"sqlite:/var/lib/capgate.db\""),
        ("log.level", "\"warn,capgate::driver=trace\""),
        ("log.format", "\"json\""),
        ("client.name", &long(64)),
        ("client.key", &format!("[\"{CLIENT}\", \"{OTHER}\"]")),
        ("client.key_sha256", &long(64)),
        ("listen.clients", "\"[::]:0\""),
    ];
    for (name, value) in right {
        assert_eq!(with(name, value).map(drop), Ok(()), "{name} {value}");
    }
    let wrong = [
        ("upstream.url", "\"2captcha.com\""),
        ("upstream.url", "\"ftp://2captcha.com\""),
        ("upstream.url", "\"https://2captcha.com/?key=1\""),
        ("upstream.url", "\"https://2captcha.com/#a\""),
        ("upstream.key", &long(33)),
        ("upstream.key", &long(31)),
        ("store.url", "\"sqlite:\""),
        ("store.url", "\"sqlite::memory:\""),
        ("store.url", "\"sqlite://capgate.db\""),
        ("store.url", "\"memory\""),
        ("log.level", "\"\""),
        ("log.level", "\"capgate=loud\""),
        ("log.format", "\"xml\""),
        ("auth.mode", "\"none\""),
        ("client.name", &long(65)),
        ("client.name", "\"\""),
        ("upstream.url", "\"https://gw:99999\""),
        ("upstream.url", "\"https://[::1]:x\""),
        ("client.key", "[]"),
        ("client.key", &format!("[\"{CLIENT}\", \"{OTHER}\", \"{UPSTREAM}\"]")),
        ("client.key_sha256", &long(63)),
        ("client.weight", "99999999999999999999"),
        ("polling.hold", "\"5\""),
    ];
    for (name, value) in wrong {
        assert!(with(name, value).is_err(), "{name} {value}");
    }
    assert_eq!(with("upstream.url", "\"http://gw/api/\"").unwrap().upstream.url, "http://gw/api");
}

#[test]
fn the_reference_file_holds_every_setting_at_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/capgate.toml");
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, reference_file()).unwrap();
    }
    let file = std::fs::read_to_string(&path).unwrap();
    assert_eq!(file, reference_file(), "UPDATE_README=1 rewrites deploy/capgate.toml");
    assert_eq!(load(&file, &[]).unwrap().effective(), Config::default().effective());
    for setting in SETTINGS {
        let is_default = setting.default_value().is_some();
        assert_ne!(is_default, !setting.example.is_empty(), "{}: a default or an example", setting.name);
    }
}

#[test]
fn the_settings_table_has_a_line_for_each_setting_in_five_columns() {
    let table = settings_table();
    assert_eq!(table.lines().count(), SETTINGS.len() + 2);
    assert!(table.lines().all(|line| line.matches('|').count() == 6), "{table}");
    assert!(table.contains("| `polling.interval` | `\"5s\"` |"), "{table}");
}
