//! Logs are kept, shipped and searched by people who are not to have the account's key, nor another team's.

use capgate::simulator::DEFAULT_KEY;

use crate::support::{Setup, client_key, post_bytes, send, urlencoded};

const PASSWORD: &str = "proxy-password-of-somebody";
const COOKIE: &str = "cookie-of-somebody";

#[test]
fn no_secret_is_in_any_log_at_any_level() {
    for format in ["pretty", "json"] {
        let key = client_key(1);
        let mut program = Setup::new()
            .simulator(&["--solve-times", "1-1", "--fault", "reset_before@in=1/4"])
            .set("LOG__LEVEL", "trace")
            .set("LOG__FORMAT", format)
            .start();
        let address = program.clients();
        let get = |target: &str| program.get(target).text().to_owned();
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
        let (said, logged) = program.stop();
        assert!(logged.contains("upload accepted"), "the logs are on:\n{logged}");
        for secret in [&key, DEFAULT_KEY, PASSWORD, COOKIE, &"w".repeat(32)] {
            let line = logged.lines().chain(said.lines()).find(|line| line.contains(secret));
            assert_eq!(line, None, "{format}: a secret was logged");
        }
    }
}
