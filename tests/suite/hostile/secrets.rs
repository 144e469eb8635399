//! Everything that a busy, failing gateway wrote at the highest log level, searched for every secret, in every form in
//! which a secret could get there.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::support::{
    Recorder, Reply, Say, TestBinary, image, multipart, post_bytes, run, send, urlencoded, wait_until,
};

const UPSTREAM_KEY: &str = "acc0unt.key/of+the=upstream-0001";
const CLIENT_KEY: &str = "cl1ent.key/of+the=first-team-001";
const OTHER_KEY: &str = "cl1ent.key/of+the=other-team-002";
/// Mistyped: as good as the right one to whoever reads it.
const WRONG_KEY: &str = "cl1ent.key/of+the=first-team-00!";
const SHORT_KEY: &str = "cl1ent.key/of+the=firs";
const TOKEN: &str = "0perat0r.token/of+the=admin-00001";
/// Mistyped, too.
const WRONG_TOKEN: &str = "0perat0r.token/of+the=admin-0000!";
const PASSWORD: &str = "pr0xy/pass+word=";
const COOKIE: &str = "c00kie/value+of=somebody";
const JSON_COOKIE: &str = "js0n/cookie+of=somebody";

const SECRETS: &[&str] = &[
    UPSTREAM_KEY,
    CLIENT_KEY,
    OTHER_KEY,
    WRONG_KEY,
    SHORT_KEY,
    TOKEN,
    WRONG_TOKEN,
    PASSWORD,
    COOKIE,
    JSON_COOKIE,
];

/// A secret as it is, urlencoded, escaped, in hexadecimal digits, and in base64 at each offset.
fn forms(secret: &str) -> Vec<String> {
    let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let digits: Vec<_> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms =
        vec![secret.to_owned(), encoded.to_lowercase(), encoded, digits.concat(), secret.replace('/', "\\/")];
    for offset in 0..3 {
        let shifted = [&[0; 2][..offset], secret.as_bytes()].concat();
        for text in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            forms.push(text[[0, 2, 3][offset]..text.len() - 1].to_owned());
        }
    }
    forms
}

#[track_caller]
fn holds_no_secret(what: &str, bytes: &[u8]) {
    for secret in SECRETS {
        for form in forms(secret) {
            if let Some(at) = bytes.windows(form.len()).position(|window| window == form.as_bytes()) {
                let around =
                    String::from_utf8_lossy(&bytes[at.saturating_sub(200)..(at + 100).min(bytes.len())]);
                panic!("{what} shows {secret} as {form}: {around}");
            }
        }
    }
}

/// An upstream that does everything, one after the other; it also shows the key, as `debug_dump` would.
fn moody() -> Recorder {
    let turn = AtomicUsize::new(0);
    Recorder::start(move |call| {
        let turn = turn.fetch_add(1, Ordering::AcqRel);
        let looked_at = call.query().contains("action=get&");
        match turn % 11 {
            _ if call.query().contains("action=getbalance") => Say::Text("1.5".into()),
            _ if looked_at && turn.is_multiple_of(2) => {
                Say::Text(match call.parameter("ids").matches(',').count() {
                    0 => "OK|an answer".into(),
                    commas => vec!["an answer"; commas + 1].join("|"),
                })
            }
            2 => Say::Close,
            3 => Say::Text(format!("Array ( [key] => {UPSTREAM_KEY} )")),
            4 => Say::Page(500, "<html>500</html>"),
            5 => Say::HalfOf("OK|51555263943".into()),
            6 => Say::Text("ERROR_CAPTCHA_UNSOLVABLE".into()),
            7 => Say::Text(format!(
                r#"{{"status":0,"request":"ERROR_PAGEURL","error_text":"{UPSTREAM_KEY}"}}"#
            )),
            8 => Say::Text("ERROR_PROXY_FORMAT".into()),
            9 => Say::Raw(
                format!("HTTP/1.1 200 {UPSTREAM_KEY}\r\nX: {UPSTREAM_KEY}\r\nbad header\r\n\r\n")
                    .into_bytes(),
            ),
            _ if call.is_upload() => Say::Text(format!("OK|{}", 51_555_263_000 + turn)),
            _ => Say::Text("CAPCHA_NOT_READY".into()),
        }
    })
}

const SETTINGS: &str = "
[listen]
clients = \"127.0.0.1:0\"
admin = \"127.0.0.1:0\"
[upstream]
timeout = \"1s\"
[polling]
interval = \"50ms\"
first_look = \"50ms\"
first_look_token = \"50ms\"
hold = \"0s\"
[uploads]
hold = \"200ms\"
[log]
level = \"trace,actix_http=trace,awc=trace,actix_server=trace,rustls=trace,mio=trace\"
";

fn settings(folder: &Path, format: &str) -> Vec<(String, String)> {
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name).to_str().unwrap().to_owned()
    };
    let upstream_key = write("upstream-key", UPSTREAM_KEY);
    // Every upload of the second that names a page is refused by its policy.
    let clients = format!(
        "[[client]]\nname = \"team-a\"\nkey = \"{CLIENT_KEY}\"\n\
         [[client]]\nname = \"team-b\"\nkey = \"{OTHER_KEY}\"\npages = [\"other.example\"]\n\
         [audit]\nfile = \"audit.jsonl\"\n"
    );
    let token = write("admin-token", TOKEN);
    write("capgate.toml", &format!("{SETTINGS}{clients}"));
    let pairs = [
        ("CAPGATE_UPSTREAM__KEY_FILE", upstream_key.as_str()),
        ("CAPGATE_ADMIN__TOKEN_FILE", token.as_str()),
        ("CAPGATE_LOG__FORMAT", format),
    ];
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What operators do, rightly and wrongly, with the token wherever it could be.
fn actions() -> Vec<Vec<u8>> {
    let call = |method: &str, target: &str, header: String| {
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{header}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            .into_bytes()
    };
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    let basic = |token: &str| {
        format!(
            "Authorization: Basic {}",
            base64::engine::general_purpose::STANDARD.encode(format!("operator:{token}"))
        )
    };
    let mut calls = Vec::new();
    for token in [TOKEN, WRONG_TOKEN] {
        for target in [
            "/clients/team-b/stop",
            "/clients/team-b/resume",
            "/clear-latches",
            "/pingbacks/retry",
            &format!("/clients/{token}/stop"),
        ] {
            calls.extend([call("POST", target, bearer(token)), call("POST", target, basic(token))]);
        }
        calls.push(call("POST", &format!("/drain?token={token}"), format!("X-Token: {token}")));
        calls.push(call("POST", "/drain", format!("{}\r\nOrigin: https://{token}.example", bearer(token))));
        calls.push(call("GET", "/clients", basic(token)));
        calls.push(call("GET", "/pingbacks", bearer(token)));
    }
    calls
}

/// Calls of every kind, right and wrong, with secrets in all of them.
fn calls(number: usize) -> Vec<Vec<u8>> {
    let proxy = format!("user:{PASSWORD}@203.0.113.7:{}", 1_000 + number);
    let cookies = format!("session:{COOKIE};");
    let json_cookies = format!(r#"[{{"name":"a","value":"{JSON_COOKIE}"}}]"#);
    let fields = |key: &'static str| {
        [
            ("key", key),
            ("method", "userrecaptcha"),
            ("googlekey", "k"),
            ("pageurl", "https://shop.example/"),
            ("proxy", &proxy),
            ("proxytype", "HTTP"),
            ("cookies", &cookies),
            ("json_cookies", &json_cookies),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let form = |key| {
        let fields = fields(key);
        urlencoded(&fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>())
    };
    let get = |target: String| {
        format!("GET {target} HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n").into_bytes()
    };
    let json = format!(
        r#"{{"key":"{CLIENT_KEY}","method":"userrecaptcha","proxy":"{proxy}","json":1,"json_cookies":{json_cookies}"#
    );
    let parts = [("key", CLIENT_KEY), ("method", "post"), ("proxy", &proxy), ("cookies", &cookies)];
    let file = image(number, 300);
    let whole = multipart("b", &parts, &[("file", "a.png", &file)]);
    vec![
        get(format!("/in.php?{}", form(CLIENT_KEY))),
        post_bytes("/in.php", Some("application/x-www-form-urlencoded"), form(OTHER_KEY).as_bytes()),
        post_bytes("/in.php", Some("application/json"), format!("{json}}}").as_bytes()),
        post_bytes("/in.php", Some("application/json"), format!("{json},\"key\":\"{CLIENT_KEY}").as_bytes()),
        post_bytes("/in.php", Some("multipart/form-data; boundary=b"), &whole),
        post_bytes("/in.php", Some("multipart/form-data; boundary=b"), &whole[..whole.len() - 100]),
        get(format!("/in.php?{}&pingback=http://x/{COOKIE}", form(CLIENT_KEY))),
        get(format!("/in.php?{}&debug_dump=1", form(CLIENT_KEY))),
        get(format!("/in.php?{}", form(WRONG_KEY))),
        get(format!("/res.php?key={SHORT_KEY}&action=getbalance")),
        get(format!("/res.php?key={CLIENT_KEY}&action=getbalance&json=1")),
        get(format!("/res.php?key={CLIENT_KEY}&action={COOKIE}")),
        get(format!("/res.php?key={CLIENT_KEY}&action=get&id={PASSWORD}")),
        get(format!("/nowhere?key={CLIENT_KEY}")),
        format!("GET /res.php?key={CLIENT_KEY} HTTP/1.1\r\nAuthorization: Bearer {COOKIE}\r\nbroken header\r\n\r\n").into_bytes(),
        format!("POST /in.php?key={CLIENT_KEY} HTTP/1.1\r\nHost: g\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes(),
    ]
}

#[test]
fn nothing_that_a_busy_failing_gateway_writes_shows_a_secret() {
    for format in ["pretty", "json"] {
        let upstream = moody();
        let folder = tempfile::tempdir().unwrap();
        let mut env = settings(folder.path(), format);
        env.push(("CAPGATE_UPSTREAM__URL".into(), upstream.url()));
        let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();

        let checked = run(folder.path(), &["check-config", "--config", "capgate.toml"], &env);
        assert!(checked.status.success());
        holds_no_secret("check-config", &[checked.stdout, checked.stderr].concat());

        let gateway = TestBinary::start(folder.path(), &["serve", "--config", "capgate.toml"], &env);
        let address =
            |line: String| line.split_once("://").unwrap().1.split(' ').next().unwrap().parse().unwrap();
        let clients = address(gateway.line_with("for clients"));
        let admin = address(gateway.line_with("for operators"));
        let tell = |what: &str, reply: &Reply| {
            holds_no_secret(what, reply.head.as_bytes());
            holds_no_secret(what, &reply.body);
        };
        let mut ids = Vec::new();
        for number in 0..12 {
            for call in calls(number) {
                let reply = send(clients, &call);
                tell("a reply", &reply);
                ids.extend(reply.text().strip_prefix("OK|").map(str::to_owned));
            }
        }
        assert!(ids.len() > 3, "{} uploads were accepted", ids.len());
        let pages = ["/metrics", "/readyz", "/healthz", "/", "/status.json", "/nowhere"];
        let get = |address, target: &str| {
            send(address, format!("GET {target} HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n").as_bytes())
        };
        wait_until("one has come to its end", || {
            let polls =
                ids.iter().map(|id| get(clients, &format!("/res.php?key={CLIENT_KEY}&action=get&id={id}")));
            let mut said = polls.inspect(|reply| tell("a poll", reply)).map(|reply| reply.text().to_owned());
            said.any(|text| text != "CAPCHA_NOT_READY" && text != "ERROR_WRONG_CAPTCHA_ID")
        });
        for page in pages {
            tell(page, &get(admin, page));
        }
        for action in actions() {
            tell("an action", &send(admin, &action));
        }
        gateway.signal("HUP");
        // The journal beside the store is folded into it at the end, so it is read before.
        files_hold_no_secret(folder.path());
        let (said, logged) = gateway.stop();
        assert!(logged.contains("upload accepted"), "the logs are on: {logged}");
        holds_no_secret("the output", said.as_bytes());
        holds_no_secret("the log", logged.as_bytes());
        files_hold_no_secret(folder.path());
        let trail = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
        for event in
            ["uploaded", "unknown", "ended", "refused", "operator", "operator_refused", "reload", "stopped"]
        {
            assert!(trail.contains(&format!("\"event\":\"{event}\"")), "{event} in {trail}");
        }
        for how in ["table", "csv", "json"] {
            let usage = run(folder.path(), &["usage", "--config", "capgate.toml", "--format", how], &env);
            assert!(usage.status.success(), "{}", String::from_utf8_lossy(&usage.stderr));
            holds_no_secret("usage", &[usage.stdout, usage.stderr].concat());
        }
    }
}

/// Everything in the folder but what was put there.
fn files_hold_no_secret(folder: &Path) {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !["capgate.toml", "upstream-key", "admin-token"].contains(&name.as_str()) {
            holds_no_secret(&name, &std::fs::read(&path).unwrap());
            count += 1;
        }
    }
    assert!(count > 0, "there is a store");
}

#[test]
fn the_faults_of_settings_show_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    for text in [
        format!("[upstream]\nkey = \"{UPSTREAM_KEY}\n"),
        format!("[upstream]\nkey = \"{UPSTREAM_KEY}x\"\n"),
        format!("[upstream]\nkey = [\"{UPSTREAM_KEY}\"]\n"),
        format!("[upstream]\nkey = \"{UPSTREAM_KEY}\" \"{UPSTREAM_KEY}\"\n"),
        format!("[upstream]\nkeys = \"{UPSTREAM_KEY}\"\n"),
        format!("[upstream]\nkey = \"{UPSTREAM_KEY}\"\nkey = \"{UPSTREAM_KEY}\"\n"),
        format!(
            "[[client]]\nname = \"a\"\nkey = \"{CLIENT_KEY}\"\n[[client]]\nname = \"b\"\nkey = \"{CLIENT_KEY}\"\n"
        ),
        format!("[[client]]\nname = \"a\"\nkey = [\"{CLIENT_KEY}\", \"{SHORT_KEY}\"]\n"),
        format!("[[client]]\nname = \"a\"\nkey_sha256 = \"{CLIENT_KEY}\"\n"),
        format!("[admin]\ntoken = \"{TOKEN} \"\n"),
        format!("[admin]\ntoken = [\"{TOKEN}\"]\n"),
        format!("[admin]\ntoken = \"{TOKEN}\"\ntoken = \"{TOKEN}\"\n"),
    ] {
        std::fs::write(folder.path().join("capgate.toml"), &text).unwrap();
        let checked = run(folder.path(), &["check-config", "--config", "capgate.toml"], &[]);
        assert!(!checked.status.success(), "{text}");
        holds_no_secret(
            &text.replace(UPSTREAM_KEY, "K").replace(CLIENT_KEY, "C").replace(TOKEN, "T"),
            &[checked.stdout, checked.stderr].concat(),
        );
    }
}
