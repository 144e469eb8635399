//! What is fed with strange bytes, and what must hold of the outcome.

use std::path::PathBuf;

use bytes::Bytes;
use capgate::audit::{HOST_BYTES_MAX, PAGES_MAX};
use capgate::config::Config;
use capgate::protocol::form::{NAME_BYTES_MAX, PARAMETERS_MAX};
use capgate::protocol::pingback::{self, Host, Push};
use capgate::protocol::reply::{
    self, ANSWER_BYTES_MAX, Batch, Look, Told, UploadReply, read_batch, read_look, read_priced_look,
    read_told, read_upload,
};
use capgate::protocol::submit::urlencoded;
use capgate::protocol::{Answer, Code, Form, FormError, ResCall, Upload, UpstreamKey};
use serde_json::value::RawValue;

pub type Target = fn(&[u8]);

/// A call: its query up to the first line end, then its body.
pub fn decoder(input: &[u8]) {
    let (query, body) = match input.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &[][..]),
    };
    let query = String::from_utf8_lossy(query);
    let Ok(form) = Form::decode(&query, &Bytes::copy_from_slice(body)) else { return };
    holds_what_came(&form, query.len() + body.len());

    let again = Form::decode("", &urlencoded(form.fields().iter(), 0)).expect("what was read can be written");
    assert_eq!(pairs(&again), pairs(&form), "urlencoded and back");
    let again =
        Form::decode(std::str::from_utf8(&urlencoded(form.fields().iter(), 0)).unwrap(), &Bytes::new());
    assert_eq!(pairs(&again.unwrap()), pairs(&form), "into a query and back");
    if let Some(json) = as_json(&form) {
        let again = Form::decode("", &json.into()).expect("what was read can be written as JSON");
        assert_eq!(pairs(&again), pairs(&form), "JSON and back");
    }

    // A call is refused with a code and a reason, or taken apart; neither may fail.
    let _ = ResCall::parse(&form);
    if let Ok(upload) = Upload::check(form) {
        goes_out_whole(&upload);
        let pages = capgate::audit::pages_of(upload.fields());
        assert!(pages.len() <= PAGES_MAX);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
        assert!(
            pages.iter().all(|page| page.len() <= HOST_BYTES_MAX && page.bytes().all(is_plain)),
            "{pages:?}"
        );
    }
}

/// A body that says itself that it is multipart.
pub fn multipart(input: &[u8]) {
    let Ok(form) = Form::decode("", &Bytes::copy_from_slice(input)) else { return };
    holds_what_came(&form, input.len());
    if input.starts_with(b"--b\r\n") {
        for field in form.fields() {
            assert!(has(input, &field.value), "{} has a value that nobody sent", field.name);
        }
    }
    if let Ok(upload) = Upload::check(form) {
        goes_out_whole(&upload);
    }
}

/// A reply to `ids`: the first byte says how many there are.
pub fn batch(input: &[u8]) {
    let Some((count, body)) = input.split_first() else { return };
    let ids = 2 + usize::from(*count) % 99;
    match read_batch(body, ids) {
        Batch::Garbage | Batch::Mismatch { .. } => {}
        Batch::Account(code) => is_a_code(&code),
        Batch::Pieces(pieces) => {
            assert_eq!(pieces.len(), ids);
            let pieces: Vec<_> = pieces.iter().map(plain_piece).collect();
            for piece in pieces.iter().flatten() {
                let text = std::str::from_utf8(piece).expect("a piece is text");
                assert!(!text.contains(|symbol: char| symbol == '|' || symbol == '<' || symbol.is_control()));
            }
            // Nothing is lost, added or moved on the way to the clients.
            if body.trim_ascii().first() != Some(&b'{') && pieces.iter().all(Option::is_some) {
                let pieces: Vec<Bytes> = pieces.into_iter().flatten().collect();
                assert_eq!(reply::write_batch(&pieces, reply::Form::Plain), body.trim_ascii());
            }
        }
    }
}

/// None: the piece says nothing.
fn plain_piece(look: &Look) -> Option<Bytes> {
    Some(match look {
        Look::NotReady => "CAPCHA_NOT_READY".into(),
        Look::Code(code) => {
            is_a_code(code);
            Bytes::copy_from_slice(code.as_bytes())
        }
        Look::Solved(solution) => solution.answer.plain(),
        Look::Garbage => return None,
    })
}

/// A reply to everything else.
pub fn reply(input: &[u8]) {
    match read_upload(input) {
        UploadReply::Accepted(id) => {
            assert!(has(input, id.to_string().as_bytes()), "{id} is nobody's id");
        }
        UploadReply::Refused { code, .. } => is_refusal(&code),
        UploadReply::Garbage => {}
    }
    match read_told(input) {
        Told::Text(text) => assert!(text.len() <= 200 && !text.starts_with('<')),
        Told::Code(code) => is_a_code(&code),
        Told::Garbage => {}
    }
    for (look, with_price) in [(read_look(input), false), (read_priced_look(input), true)] {
        match look {
            Look::NotReady | Look::Garbage => {}
            Look::Code(code) => is_a_code(&code),
            Look::Solved(solution) => {
                if let Answer::Text(text) = &solution.answer {
                    assert!(text.len() <= ANSWER_BYTES_MAX && has(input, text));
                }
                let plain = reply::write_solution(&solution, with_price, reply::Form::Plain);
                if input.trim_ascii_start().first() != Some(&b'{') {
                    assert_eq!(plain, input.trim_ascii_end(), "a plain answer goes on to the letter");
                }
                assert!(plain.starts_with(b"OK|"));
                let json = reply::write_solution(&solution, with_price, reply::Form::Json);
                let json: Vec<(String, Box<RawValue>)> = members(&json);
                let of = |name: &str| json.iter().filter(|(member, _)| member == name).collect::<Vec<_>>();
                assert_eq!((of("status").len(), of("request").len()), (1, 1));
                assert_eq!(of("status")[0].1.get(), "1");
                let stored = solution.answer.to_stored();
                let back = Answer::from_stored(&stored).expect("what was stored can be read");
                assert_eq!((back.to_stored(), back.plain()), (stored, solution.answer.plain()));
            }
        }
    }
}

/// What is pushed to us, and the addresses that clients name: a query up to the first line end, then a body.
pub fn pingback(input: &[u8]) {
    let (query, body) = match input.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (&[][..], input),
    };
    if let Some(push) = Push::parse(&String::from_utf8_lossy(query), &Bytes::copy_from_slice(body)) {
        assert!(!push.code.is_empty());
        assert_eq!(Push::parse("", &push.to_body()), Some(push), "pushed on and read");
    }
    if let Ok(host) = Host::parse(body) {
        assert_eq!(Host::parse(host.as_str().as_bytes()), Ok(host), "a host is its own name");
    }
    if let Ok(target) = pingback::Target::parse(body) {
        assert!(target.port() == 80 || target.port() == 443 || target.port() >= 1_024);
        assert!(!target.receiver().contains('@') && !target.as_str().contains(['\r', '\n', ' ']));
        let again = pingback::Target::parse(target.as_str().as_bytes());
        assert_eq!(again.as_ref(), Ok(&target), "kept and read again");
    }
}

/// A settings file.
pub fn config(input: &[u8]) {
    // One file for each thread that runs this.
    thread_local! {
        static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder");
    }
    let file: PathBuf = FOLDER.with(|folder| folder.path().join("capgate.toml"));
    std::fs::write(&file, input).expect("the folder is ours");
    let is_a_key = |line: &[u8]| !has(line, SECRET) || line.trim_ascii_start().starts_with(b"key = \"");
    // Where chance has put the secret elsewhere it is none.
    let hides_secret =
        input.split(|byte| *byte == b'\n').all(is_a_key) && !has(input, b"'''") && !has(input, b"\"\"\"");
    let env = [("CAPGATE_LOG__LEVEL".to_owned(), "info".to_owned())];
    let said = match Config::load(Some(&file), env.into_iter(), false) {
        Ok(config) => {
            let effective = config.effective().expect("settings can be written");
            assert!(toml::from_str::<toml::Table>(&effective).is_ok());
            format!("{effective}{config:?}")
        }
        Err(faults) => faults.to_string(),
    };
    assert!(!hides_secret || !has(said.as_bytes(), SECRET), "the secret got out: {said}");
}

/// The key in the corpus of [`config`].
const SECRET: &[u8] = b"0secret0";

fn holds_what_came(form: &Form, size: usize) {
    assert!(form.fields().len() <= PARAMETERS_MAX);
    // A byte that is no text becomes a symbol of three.
    let held: usize = form.fields().iter().map(|field| field.name.len() + field.value.len()).sum();
    assert!(held <= 3 * size, "{held} bytes were made of {size}");
    let mut names: Vec<_> = form.fields().iter().map(|field| &field.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|two| two[0] != two[1]), "a name is there twice");
    assert!(names.iter().all(|name| name.len() <= NAME_BYTES_MAX));
}

fn pairs(form: &Form) -> Vec<(&str, &[u8])> {
    form.fields().iter().map(|field| (field.name.as_str(), &field.value[..])).collect()
}

/// None when a value is not Unicode.
fn as_json(form: &Form) -> Option<String> {
    let member = |name: &str, value: &[u8]| {
        let value = std::str::from_utf8(value).ok()?;
        Some(format!("{}:{}", serde_json::Value::from(name), serde_json::Value::from(value)))
    };
    let members = form.fields().iter().map(|field| member(&field.name, &field.value));
    Some(format!("{{{}}}", members.collect::<Option<Vec<_>>>()?.join(",")))
}

/// The upstream reads what the client sent, and one key: ours.
fn goes_out_whole(upload: &Upload) {
    const BOUNDARY: &str = "capgate-5f0e3c9d8b7a69584736251403f2e1d0";
    let key = UpstreamKey::new("key-of-the-account-0000000000001");
    let (content_type, body) = upload.encode(&key, BOUNDARY);
    if has(upload_values(upload).as_slice(), BOUNDARY.as_bytes()) {
        return;
    }
    let names =
        |form: &[capgate::protocol::Field]| form.iter().map(|field| field.name.clone()).collect::<Vec<_>>();
    let expected: Vec<_> = std::iter::once("key".to_owned()).chain(names(upload.fields())).collect();
    let is_plain = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-[]".contains(&byte))
    };
    let has_odd_names = !expected.iter().all(|name| is_plain(name));
    let read = match Form::decode("", &body) {
        // Escaped, a name can be longer than we would take ourselves.
        Err(FormError::NameTooLong) if has_odd_names => return,
        read => read.expect("what we send can be read"),
    };
    if content_type.starts_with("multipart/") && has_odd_names {
        return;
    }
    assert_eq!(names(read.fields()), expected);
    assert_eq!(read.value("key").map(|value| &value[..]), Some(key.expose().as_bytes()));
    for field in upload.fields() {
        assert_eq!(read.value(&field.name), Some(&field.value), "{}", field.name);
    }
}

fn upload_values(upload: &Upload) -> Vec<u8> {
    upload.fields().iter().flat_map(|field| field.value.iter().copied()).collect()
}

fn is_a_code(code: &Code) {
    let text = code.as_bytes();
    assert!((1..=64).contains(&text.len()) && text.iter().all(|byte| (b' '..=b'~').contains(byte)));
}

/// A code, or the address that stands for one.
fn is_refusal(code: &Code) {
    if code.as_bytes().starts_with(b"http") {
        assert!(code.as_bytes().len() <= 500 && code.as_bytes().iter().all(u8::is_ascii_graphic));
    } else {
        is_a_code(code);
    }
}

/// The members of a JSON object, as often as they are there.
fn members(json: &[u8]) -> Vec<(String, Box<RawValue>)> {
    struct Members(Vec<(String, Box<RawValue>)>);
    impl<'de> serde::Deserialize<'de> for Members {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Taking;
            impl<'de> serde::de::Visitor<'de> for Taking {
                type Value = Members;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                    let mut members = Vec::new();
                    while let Some(member) = map.next_entry()? {
                        members.push(member);
                    }
                    Ok(Members(members))
                }
            }
            deserializer.deserialize_map(Taking)
        }
    }
    serde_json::from_slice::<Members>(json).expect("a client gets JSON").0
}

fn has(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|window| window == wanted)
}
