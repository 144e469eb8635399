//! Logs are kept, shipped and searched by people who are not to have the account's key, nor another team's.

use capgate::simulator::DEFAULT_KEY;

use crate::support::{TestBinary, client_key, post_bytes, send, urlencoded};

const PASSWORD: &str = "proxy-password-of-somebody";
const COOKIE: &str = "cookie-of-somebody";

#[test]
fn no_secret_is_in_any_log_at_any_level() {
    for format in ["pretty", "json"] {
        let folder = tempfile::tempdir().expect("a folder");
        let key = client_key(1);
        let simulator = &[
            "simulate",
            "--listen",
            "127.0.0.1:0",
            "--solve-times",
            "1-1",
            "--fault",
            "reset_before@in=1/4",
        ];
        let simulator = TestBinary::start(folder.path(), simulator, &[]);
        let line = simulator.line_with("simulated upstream on");
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect("an address");
        let env = [
            ("CAPGATE_LISTEN__CLIENTS", "127.0.0.1:0"),
            ("CAPGATE_LISTEN__ADMIN", "127.0.0.1:0"),
            ("CAPGATE_UPSTREAM__URL", url),
            ("CAPGATE_UPSTREAM__KEY", DEFAULT_KEY),
            ("CAPGATE_POLLING__INTERVAL", "50ms"),
            ("CAPGATE_POLLING__FIRST_LOOK", "50ms"),
            ("CAPGATE_POLLING__FIRST_LOOK_TOKEN", "50ms"),
            ("CAPGATE_STORE__URL", "memory:"),
            ("CAPGATE_CLIENT__0__NAME", "team-a"),
            ("CAPGATE_CLIENT__0__KEY", &key),
            ("CAPGATE_LOG__LEVEL", "trace"),
            ("CAPGATE_LOG__FORMAT", format),
        ];
        let gateway = TestBinary::start(folder.path(), &["serve"], &env);
        let line = gateway.line_with("for clients");
        let (_, address) = line.split_once("http://").expect("an address");
        let address = address.split(' ').next().expect("an address").parse().expect("an address");
        let get = |target: &str| {
            let call = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            send(address, call.as_bytes()).text().to_owned()
        };
        let proxy = format!("user:{PASSWORD}@203.0.113.7:80");
        let cookies = format!("session:{COOKIE};");
        for number in 0..6 {
            let page = format!("http://p/{number}");
            let fields = [
                ("key", key.as_str()),
                ("method", "userrecaptcha"),
                ("googlekey", "k"),
                ("pageurl", &page),
                ("proxy", &proxy),
                ("proxytype", "HTTP"),
                ("cookies", &cookies),
            ];
            let body = urlencoded(&fields);
            let accepted = if number % 2 == 0 {
                get(&format!("/in.php?{body}"))
            } else {
                let call = post_bytes("/in.php", Some("application/x-www-form-urlencoded"), body.as_bytes());
                send(address, &call).text().to_owned()
            };
            if let Some(id) = accepted.strip_prefix("OK|") {
                get(&format!("/res.php?key={key}&action=get&id={id}"));
            }
        }
        get(&format!("/res.php?key={key}&action=getbalance"));
        get(&format!("/res.php?key={}&action=getbalance", "w".repeat(32)));
        get(&format!("/nothing-here.php?key={key}"));
        let (said, logged) = gateway.stop();
        simulator.stop();
        assert!(logged.contains("upload accepted"), "the logs are on:\n{logged}");
        for secret in [&key, DEFAULT_KEY, PASSWORD, COOKIE, &"w".repeat(32)] {
            let line = logged.lines().chain(said.lines()).find(|line| line.contains(secret));
            assert_eq!(line, None, "{format}: a secret was logged");
        }
    }
}
