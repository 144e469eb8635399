//! Logs are kept, shipped and searched by people who are not to have the account's key, nor another team's.

use capgate::simulator::DEFAULT_KEY;

use serde_json::Value;

use crate::support::{Setup, client_key, post_bytes, send, urlencoded, wait_until};

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

#[test]
fn each_upload_answer_refusal_and_state_has_its_line_and_polls_have_none() {
    let mut program = Setup::new()
        .simulator(&["--solve-times", "fast", "--fault", "zero_balance@in=next 1"])
        .set("LOG__FORMAT", "json")
        .start();
    assert_eq!(program.upload_as(1, "without+money").text(), "ERROR_ZERO_BALANCE");
    assert_eq!(program.act("/clear-latches").status, 200);
    let id = program.upload_as(1, "question").id();
    assert_eq!(program.upload_as(9, "stranger").text(), "ERROR_KEY_DOES_NOT_EXIST");
    assert_eq!(program.upload_as(1, &"x".repeat(141)).text(), "ERROR_BAD_PARAMETERS");
    assert!(program.answer_as(1, &id).starts_with("OK|"));
    let key = client_key(1);
    for _ in 0..20 {
        program.get(&format!("/res.php?key={key}&action=get&id={id}"));
        program.get(&format!("/res.php?key={}&action=get&id={id}", client_key(9)));
    }
    program.get(&format!("/res.php?key={key}&action=reportbad&id={id}"));
    let (_, logged) = program.stop();
    let lines: Vec<Value> =
        logged.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    let of = |message: &str, fields: &[(&str, &str)]| {
        let is_it = |line: &&Value| {
            let has = |(name, value): &(&str, &str)| line[*name] == **value;
            line["message"] == message && fields.iter().all(has)
        };
        lines.iter().filter(is_it).count()
    };
    let whose = [("client", "team-a"), ("captcha", id.as_str())];
    assert_eq!(of("upload accepted", &whose), 1, "{logged}");
    assert_eq!(of("captcha ended", &whose), 1, "{logged}");
    assert_eq!(of("captcha reported", &whose), 1, "{logged}");
    let of_upstream = [("client", "team-a"), ("reason", "upstream"), ("detail", "ERROR_ZERO_BALANCE")];
    assert_eq!(of("upload refused", &of_upstream), 1, "{logged}");
    assert_eq!(of("upload refused", &[("client", "team-a"), ("reason", "wrong")]), 1, "{logged}");
    assert_eq!(of("upload refused: no client has its key", &[]), 1, "{logged}");
    let state = [("reason", "zero_balance")];
    assert_eq!(of("calls to the upstream wait", &state), 1, "{logged}");
    assert_eq!(of("calls to the upstream no longer wait for this", &state), 1, "{logged}");
    assert!(lines.len() < 30, "forty polls and more have no line of their own:\n{logged}");
}

#[test]
fn a_flood_leaves_few_lines_and_the_number_of_those_left_out() {
    const CALLS: usize = 300;
    let mut program = Setup::new().set("LOG__FORMAT", "json").set("LOG__LINES_PER_SECOND", "5").start();
    let text = "x".repeat(141);
    for _ in 0..CALLS {
        program.upload_as(1, &text);
    }
    let (_, logged) = program.stop();
    let lines: Vec<Value> =
        logged.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    let told = lines.iter().filter(|line| line["message"] == "upload refused").count();
    let left_out: u64 = lines.iter().filter_map(|line| line["lines"].as_u64()).sum();
    assert_eq!(told as u64 + left_out, CALLS as u64, "each is told or counted:\n{logged}");
    assert!(left_out > 0 && logged.contains("upload refused: "), "{logged}");
}

#[test]
fn a_log_that_nobody_reads_holds_up_no_call_and_what_it_misses_is_counted() {
    let program =
        Setup::new().unread_log().set("LOG__LEVEL", "trace").set("LOG__LINES_PER_SECOND", "1000000").start();
    let missed = || program.metric("capgate_log_lines_left_out_total", "reason=\"no_place\"");
    // Each call leaves dozens of lines; a pipe and the lines that may wait hold some thousands.
    let too_long = "x".repeat(141);
    wait_until("more was logged than can wait", || {
        (0..50).for_each(|_| assert!(program.upload_as(1, &too_long).text().starts_with("ERROR_")));
        missed() > 0.0
    });
    program.upload_as(1, "still+served").id();
}
