//! Answers as a function of the upload: whoever knows what was uploaded can compute what must come back, so an answer
//! that reaches the wrong client is caught. Tests in other languages compute them too: these rules do not change.
//!
//! `H(x)` is the lower-case hexadecimal SHA-256 of the bytes x, `b0`, `b1`.. are the bytes of the raw digest.
//!
//! | kind | answer |
//! | --- | --- |
//! | image | first 8 digits of H(image); with `numeric=1` those as a decimal number |
//! | image, `piped_answers` | the fraction with b4 * 256 + b5 under 65536 * fraction: a bar after the fourth digit |
//! | text | first 8 digits of H(`textcaptcha`, or `textinstructions`) |
//! | grid | `click:A/B/C`, A = 1 + b0 % 3, B = 4 + b1 % 3, C = 7 + b2 % 3 |
//! | canvas | `canvas:b0,b1,b2,b3,b4,b5;` |
//! | coordinates | `coordinate:x=b0,y=b1;x=b2,y=b3`; JSON: `[{"x":"b0","y":"b1"},{"x":"b2","y":"b3"}]` |
//! | rotate | for each image angle · (1 + b0 % 8), negative when b1 is odd, joined by a bar |
//! | bounding box | `[{"xMin":b0,"yMin":b1,"xMax":b0+b2,"yMax":b1+b3}]`; JSON: that as a string |
//! | audio | first 8 digits of H(audio) |
//! | tokens | `token-` and h, where h = H(site, a bar, `pageurl`) and site is the first of [`SITES`] that was sent |
//! | others | `token-` and H of all parameters but [`NOT_HASHED`], as `name=value`, sorted by name, joined by LF |
//!
//! Methods with a shape of their own build it from h; see [`answer`].

use std::fmt::Write;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::uploads::{Upload, angle};
use crate::protocol::ids::hex;
use crate::protocol::{Form, Method};

/// Parameters that name the site of a token captcha; the first that was sent counts.
#[rustfmt::skip]
pub const SITES: &[&str] = &[
    "googlekey", "sitekey", "publickey", "captchakey", "captcha_id", "gt", "master_url_id", "misery_key", "app_id",
    "captcha_url", "s_s_c_user_id",
];

/// Parameters that say who asks and how, not what: they do not change an answer.
pub const NOT_HASHED: &[&str] = &["key", "json", "soft_id", "header_acao", "pingback", "debug_dump"];

/// The browser whose token it is (protocol.md 3.4).
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36";

/// A solved captcha's answer in the forms in which it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What follows `OK|`, and the piece of a batch.
    pub plain: String,
    /// The JSON text that is the value of `request`.
    pub request: String,
    /// Members beside it, as JSON text that begins with a comma; empty for most.
    pub extras: String,
}

impl Answer {
    fn text(plain: String) -> Self {
        Self { request: quoted(&plain), plain, extras: String::new() }
    }

    /// JSON in both forms (protocol.md 3.4).
    fn object(members: &[(&str, serde_json::Value)]) -> Self {
        let members: Vec<String> =
            members.iter().map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
        let object = format!("{{{}}}", members.join(","));
        Self { plain: object.clone(), request: object, extras: String::new() }
    }

    fn with(mut self, name: &str, value: &serde_json::Value) -> Self {
        let _ = write!(self.extras, ",{}:{value}", quoted(name));
        self
    }
}

/// A JSON string.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The answer to a well-formed upload; a fraction `piped` of image texts hold a `|`.
pub fn answer(upload: &Upload, form: &Form, piped: f64) -> Answer {
    let file = |at: usize| digest(upload.files.get(at).map_or(&[][..], |file| file));
    match upload.method {
        Method::Image => Answer::text(image_text(file(0), form, piped)),
        Method::Audio => Answer::text(hex(&file(0)[..4])),
        Method::Text => {
            let text = form.value("textcaptcha").or_else(|| form.value("textinstructions"));
            Answer::text(hex(&digest(text.map_or(&[][..], |text| text))[..4]))
        }
        Method::Grid => {
            let [a, b, c, ..] = file(0);
            Answer::text(format!("click:{}/{}/{}", 1 + a % 3, 4 + b % 3, 7 + c % 3))
        }
        Method::Canvas => {
            let points: Vec<String> = file(0).iter().take(6).map(u8::to_string).collect();
            Answer::text(format!("canvas:{};", points.join(",")))
        }
        Method::Coordinates => {
            let [a, b, c, d, ..] = file(0).map(|byte| byte.to_string());
            Answer {
                request: format!(r#"[{{"x":"{a}","y":"{b}"}},{{"x":"{c}","y":"{d}"}}]"#),
                ..Answer::text(format!("coordinate:x={a},y={b};x={c},y={d}"))
            }
        }
        Method::BoundingBox => {
            let [a, b, c, d, ..] = file(0).map(u32::from);
            let (x_max, y_max) = (a + c, b + d);
            Answer::text(format!(r#"[{{"xMin":{a},"yMin":{b},"xMax":{x_max},"yMax":{y_max}}}]"#))
        }
        Method::Rotate => {
            let step = angle(form).unwrap_or_default();
            let turns = upload.files.iter().map(|file| turn(digest(file), step).to_string());
            Answer::text(turns.collect::<Vec<_>>().join("|"))
        }
        method => token(method, form),
    }
}

fn image_text(digest: [u8; 32], form: &Form, piped: f64) -> String {
    let [a, b, c, d, next @ ..] = digest;
    let number = u32::from_be_bytes([a, b, c, d]);
    if form.is_on("numeric") {
        number.to_string()
    } else if f64::from(u16::from_be_bytes([next[0], next[1]])) < piped * 65_536.0 {
        format!("{}|{}", hex(&[a, b]), hex(&[c, d]))
    } else {
        format!("{number:08x}")
    }
}

fn turn([a, b, ..]: [u8; 32], step: i64) -> i64 {
    let clicks = step * i64::from(1 + a % 8);
    if b % 2 == 1 { -clicks } else { clicks }
}

fn token(method: Method, form: &Form) -> Answer {
    let sent =
        |name: &str| String::from_utf8_lossy(form.value(name).map_or(&[][..], |value| value)).into_owned();
    let h = hex(&site_digest(form));
    let text = |text: &str| json!(text);
    match method {
        Method::RecaptchaV2
        | Method::Cybersiara
        | Method::MtCaptcha
        | Method::Cutcaptcha
        | Method::FriendlyCaptcha
        | Method::AtbCaptcha
        | Method::Prosopo
        | Method::Captchafox
        | Method::Yandex => Answer::text(format!("token-{h}")),
        Method::RecaptchaCookies => {
            Answer::text(format!("token-{h}")).with("cookies", &json!({"session": &h[..16]}))
        }
        Method::RecaptchaV3 => Answer::text(format!("token-{h}"))
            .with("user_check", &text("ok"))
            .with("user_score", &text("0.9")),
        Method::Turnstile => Answer::text(format!("token-{h}")).with("useragent", &text(USER_AGENT)),
        Method::Hcaptcha => Answer::text(format!("token-{h}"))
            .with("useragent", &text(USER_AGENT))
            .with("respKey", &text(&h[..16])),
        Method::Funcaptcha => Answer::text(format!("{}|r=us-east-1|pk={}", &h[..16], sent("publickey"))),
        Method::Keycaptcha => Answer::text(format!("{}|{}|{}|c|1", &h[..16], &h[16..32], sent("pageurl"))),
        Method::Datadome => Answer::text(format!(
            "datadome={h}; Max-Age=31536000; Domain=.example.com; Path=/; Secure; SameSite=Lax"
        )),
        Method::Geetest => Answer::object(&[
            ("geetest_challenge", json!(sent("challenge"))),
            ("geetest_validate", text(&h[..32])),
            ("geetest_seccode", json!(format!("{}|jordan", &h[..32]))),
        ]),
        Method::GeetestV4 => Answer::object(&[
            ("captcha_id", json!(sent("captcha_id"))),
            ("lot_number", text(&h[..32])),
            ("pass_token", text(&h)),
            ("gen_time", text("1700000000")),
            ("captcha_output", text(&h[32..])),
        ]),
        Method::Capy => Answer::object(&[
            ("captchakey", json!(sent("captchakey"))),
            ("challengekey", text(&h[..32])),
            ("answer", text(&h[32..])),
        ]),
        Method::Lemin => Answer::object(&[("answer", text(&h)), ("challenge_id", text(&h[..32]))]),
        Method::AmazonWaf => {
            Answer::object(&[("captcha_voucher", text(&h)), ("existing_token", text(&h[..32]))])
        }
        Method::Tencent => Answer::object(&[
            ("appid", json!(sent("app_id"))),
            ("ret", json!(0)),
            ("ticket", text(&h)),
            ("randstr", text(&h[..8])),
        ]),
        _ => Answer::text(format!("token-{}", hex(&parameters_digest(form)))),
    }
}

fn site_digest(form: &Form) -> [u8; 32] {
    let site = SITES.iter().find_map(|name| form.value(name));
    let page = form.value("pageurl");
    Sha256::new()
        .chain_update(site.map_or(&[][..], |site| site))
        .chain_update(b"|")
        .chain_update(page.map_or(&[][..], |page| page))
        .finalize()
        .into()
}

/// What an upload says, whoever sends it and however, as 16 hexadecimal digits.
pub fn content(form: &Form) -> String {
    hex(&parameters_digest(form)[..8])
}

fn parameters_digest(form: &Form) -> [u8; 32] {
    let mut fields: Vec<_> =
        form.fields().iter().filter(|field| !NOT_HASHED.contains(&field.name.as_str())).collect();
    fields.sort_by(|one, other| one.name.cmp(&other.name));
    let mut hash = Sha256::new();
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            hash.update(b"\n");
        }
        hash.update(field.name.as_bytes());
        hash.update(b"=");
        hash.update(&field.value);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
