//! Every way in which clients are known to write a call, on in.php and on res.php.

use std::collections::BTreeMap;

use capgate::simulator::DEFAULT_KEY;
use serde_json::{Map, Value, json};

use crate::support::{
    Recorder, Reply, TestGateway, client_key, expected, multipart, post_bytes, send, urlencoded,
};

type Fields<'a> = [(&'a str, &'a str)];
type Write = fn(&str, &Fields) -> Vec<u8>;

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n").into_bytes()
}

fn json_of(fields: &Fields) -> String {
    let object: Map<String, Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    Value::from(object).to_string()
}

/// The same with each value that is a number as one.
fn json_with_numbers(fields: &Fields) -> String {
    let number = |value: &str| value.parse::<u64>().map_or_else(|_| Value::from(value), Value::from);
    let object: Map<String, Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), number(value))).collect();
    Value::from(object).to_string()
}

/// Some parameters in the query, the others in the body.
fn split(page: &str, fields: &Fields, label: Option<&str>, body: fn(&Fields) -> String) -> Vec<u8> {
    let (query, rest) = fields.split_at(fields.len() / 2);
    post_bytes(&format!("{page}?{}", urlencoded(query)), label, body(rest).as_bytes())
}

const FORM: Option<&str> = Some("application/x-www-form-urlencoded");
/// A label that promises a boundary and does not give it.
const NO_BOUNDARY: Option<&str> = Some("multipart/form-data");

const ENCODINGS: &[(&str, Write)] = &[
    ("GET, all in the query", |page, fields| get(&format!("{page}?{}", urlencoded(fields)))),
    ("a stray & after ?", |page, fields| get(&format!("{page}?&{}", urlencoded(fields)))),
    ("an absolute http target", |page, fields| {
        get(&format!("http://gateway.example{page}?{}", urlencoded(fields)))
    }),
    ("an absolute https target", |page, fields| {
        post_bytes(&format!("https://2captcha.com{page}"), FORM, urlencoded(fields).as_bytes())
    }),
    ("POST, urlencoded", |page, fields| post_bytes(page, FORM, urlencoded(fields).as_bytes())),
    ("POST, urlencoded without a label", |page, fields| {
        post_bytes(page, None, urlencoded(fields).as_bytes())
    }),
    ("POST, urlencoded, labelled multipart without a boundary", |page, fields| {
        post_bytes(page, NO_BOUNDARY, urlencoded(fields).as_bytes())
    }),
    ("POST, multipart", |page, fields| {
        post_bytes(page, Some("multipart/form-data; boundary=abc"), &multipart("abc", fields, &[]))
    }),
    ("POST, JSON", |page, fields| post_bytes(page, Some("application/json"), json_of(fields).as_bytes())),
    ("POST, JSON with numbers", |page, fields| {
        post_bytes(page, Some("application/json"), json_with_numbers(fields).as_bytes())
    }),
    ("POST, JSON labelled text/plain", |page, fields| {
        split(page, fields, Some("text/plain;charset=UTF-8"), json_of)
    }),
    ("POST, JSON labelled multipart without a boundary", |page, fields| {
        split(page, fields, NO_BOUNDARY, json_of)
    }),
    ("POST, all in the query and an empty body", |page, fields| {
        post_bytes(&format!("{page}?{}", urlencoded(fields)), FORM, b"")
    }),
    ("POST, split over query and body", |page, fields| {
        split(page, fields, FORM, |fields: &Fields| urlencoded(fields))
    }),
    ("POST, chunked", |page, fields| {
        let body = urlencoded(fields);
        let (one, two) = body.split_at(7);
        let chunks = format!("{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
        let head = format!("POST {page} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n");
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}").into_bytes()
    }),
];

const TOKEN: &Fields<'static> = &[
    ("method", "userrecaptcha"),
    ("googlekey", "6Le-k"),
    ("pageurl", "https://shop.example/größe?a=1&b=c+d"),
    ("data[blob]", "x=1;y={2}"),
    ("min_len", "3"),
];

/// What the upstream has to get: these parameters and its own key, nothing else.
fn forwarded(fields: &Fields) -> BTreeMap<String, Vec<u8>> {
    let key = ("key", DEFAULT_KEY);
    fields.iter().chain([&key]).map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

fn with_key<'a>(key: &'a str, fields: &Fields<'a>) -> Vec<(&'a str, &'a str)> {
    [&[("key", key)], fields].concat()
}

#[test]
fn an_upload_in_every_encoding_reaches_the_upstream_as_one_clean_post() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let key = client_key(1);
    for (at, (name, write)) in ENCODINGS.iter().enumerate() {
        let reply = gateway.send(&write("/in.php", &with_key(&key, TOKEN)));
        assert!(reply.text().starts_with("OK|"), "{name}: {}", reply.text());
        let uploads = upstream.uploads();
        assert_eq!(uploads.len(), at + 1, "{name}");
        let sent = &uploads[at];
        assert_eq!((sent.method(), sent.query()), ("POST", ""), "{name}");
        assert_eq!(sent.parameters(), forwarded(TOKEN), "{name}");
    }
}

#[test]
fn a_poll_in_every_encoding_gets_the_answer() {
    let gateway = TestGateway::start();
    let id = gateway.upload(TOKEN).id();
    let answer = format!("OK|{}", expected(TOKEN, 0.0).plain);
    assert_eq!(gateway.answer(&format!("action=get&id={id}")).text(), answer);
    let key = client_key(1);
    let poll = [("key", key.as_str()), ("action", "get"), ("id", &id)];
    for (name, write) in ENCODINGS {
        assert_eq!(gateway.send(&write("/res.php", &poll)).text(), answer, "{name}");
    }
    let in_json = [("key", key.as_str()), ("action", "get"), ("id", &id), ("json", "1")];
    for (name, write) in ENCODINGS {
        let reply = gateway.send(&write("/res.php", &in_json)).json();
        assert_eq!(reply, json!({"status": 1, "request": expected(TOKEN, 0.0).plain}), "{name}");
    }
}

#[test]
fn a_client_that_expects_100_continue_is_told_to_go_on() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let call = post_bytes("/in.php", FORM, urlencoded(&with_key(&client_key(1), TOKEN)).as_bytes());
    let call = String::from_utf8(call).expect("text").replace("Host:", "Expect: 100-continue\r\nHost:");
    let reply = gateway.send(call.as_bytes());
    assert!(reply.text().starts_with("OK|"), "{}", reply.text());
    assert_eq!(upstream.uploads()[0].parameters(), forwarded(TOKEN));
}

#[test]
fn json_values_go_on_as_the_text_that_a_form_would_hold() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let body = json!({
        "key": client_key(1), "method": "userrecaptcha ", "googlekey": "k", "pageurl": "http://p", "invisible": true,
        "enterprise": false, "soft_id": 42, "min_score": 0.3, "nothing": null,
        "json_cookies": [{"name": "a", "secure": true}], "data": {"blob": "x"}, "json": 1,
    });
    let reply = gateway.post("/in.php", "application/json", body.to_string().as_bytes());
    assert_eq!(reply.json()["status"], 1, "json may be a number: {}", reply.text());
    let sent = &upstream.uploads()[0];
    let expected = forwarded(&[
        ("method", "userrecaptcha"),
        ("googlekey", "k"),
        ("pageurl", "http://p"),
        ("invisible", "1"),
        ("enterprise", "0"),
        ("soft_id", "42"),
        ("min_score", "0.3"),
        ("json_cookies", r#"[{"name":"a","secure":true}]"#),
        ("data", r#"{"blob":"x"}"#),
        ("json", "1"),
    ]);
    assert_eq!(sent.parameters(), expected);
}

#[test]
fn the_last_json_switch_decides_and_only_1_is_on() {
    let gateway = TestGateway::start();
    let id = gateway.upload(TOKEN).id();
    gateway.answer(&format!("action=get&id={id}"));
    for (switch, is_json) in [
        ("json=0", false),
        ("json=1", true),
        ("json=1&json=1", true),
        ("json=0&json=1", true),
        ("json=1&json=0", false),
        ("json=true", false),
        ("json=", false),
        ("json=+1+", true),
    ] {
        let reply = gateway.res(&format!("action=get&id={id}&{switch}"));
        assert_eq!(reply.text().starts_with('{'), is_json, "{switch}: {}", reply.text());
    }
}

#[test]
fn a_parameter_in_the_body_goes_over_the_same_in_the_query() {
    let gateway = TestGateway::start();
    let key = client_key(1);
    let body = format!("key={key}&action=getbalance");
    let reply = gateway.post("/res.php?key=someone-else&action=get&json=1", "text/plain", body.as_bytes());
    assert_eq!(reply.json()["request"], "1000.00000");
}

#[test]
fn any_origin_may_read_what_asks_for_it_and_nothing_else() {
    let gateway = TestGateway::start();
    let allowed = |reply: &Reply| reply.header("Access-Control-Allow-Origin").map(str::to_owned);
    let fields = [TOKEN, &[("header_acao", "1")]].concat();
    assert_eq!(allowed(&gateway.upload(&fields)).as_deref(), Some("*"));
    assert_eq!(allowed(&gateway.upload(TOKEN)), None);
    assert_eq!(allowed(&gateway.res("action=getbalance&header_acao=1")).as_deref(), Some("*"));
    assert_eq!(allowed(&gateway.res("action=getbalance")), None);
    assert_eq!(allowed(&gateway.res("action=get&id=x&header_acao=1")).as_deref(), Some("*"), "errors too");
}

/// An urlencoded upload whose body has exactly so many bytes.
fn body_of(size_bytes: usize) -> Vec<u8> {
    let mut body = format!("key={}&method=invented&payload=", client_key(1)).into_bytes();
    body.resize(size_bytes, b'x');
    body
}

#[test]
fn a_body_of_8_mib_is_taken_and_one_byte_more_is_not() {
    const MOST: usize = 8 * 1024 * 1024;
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let reply = gateway.send(&post_bytes("/in.php", FORM, &body_of(MOST)));
    assert!(reply.text().starts_with("OK|"), "{}", reply.text());
    let payload = upstream.uploads()[0].parameters().remove("payload").expect("it was sent on");
    assert!(payload.len() > MOST - 100 && payload.iter().all(|byte| *byte == b'x'));

    let reply = gateway.send(&post_bytes("/in.php?json=1", FORM, &body_of(MOST + 1)));
    assert_eq!(reply.json()["request"], "ERROR_TOO_BIG_CAPTCHA_FILESIZE");
    assert_eq!(upstream.uploads().len(), 1, "what is too large costs no upstream call");
}

#[test]
fn a_body_that_cannot_be_read_is_an_upload_error_and_costs_no_upstream_call() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let key = client_key(1);
    for body in ["{\"method\":", "{]", "--abc\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nhalf"] {
        let reply = gateway.post(&format!("/in.php?key={key}&json=1"), "application/json", body.as_bytes());
        assert_eq!((reply.status, &reply.json()["request"]), (200, &json!("ERROR_UPLOAD")), "{body}");
    }
    assert!(upstream.calls().is_empty());
}

#[test]
fn several_calls_share_a_connection() {
    use std::io::Write;
    use std::net::TcpStream;
    let gateway = TestGateway::start();
    let call = format!("GET /res.php?key={}&action=getbalance HTTP/1.1\r\nHost: x\r\n\r\n", client_key(1));
    let mut stream = TcpStream::connect(gateway.clients()).expect("it listens");
    for _ in 0..3 {
        stream.write_all(call.as_bytes()).expect("the connection is kept");
        assert_eq!(crate::support::read_reply(&stream).text(), "1000.00000");
    }
    drop(stream);
    assert_eq!(send(gateway.clients(), call.as_bytes()).text(), "1000.00000");
}
