//! Uploads of every kind, and the answers that they must get.

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use capgate::protocol::Method;
use capgate::protocol::form::{Field, Form};
use capgate::simulator::{Answer, expected_answer};

/// A PNG by its first bytes, as large as asked for, and another for every `number`.
pub fn image(number: usize, size_bytes: usize) -> Vec<u8> {
    let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
    image.extend_from_slice(format!("{number:08}").as_bytes());
    // Bytes that an encoding could spoil: zero, line ends, dashes, signs, and what is `++++` in base64.
    let content = [0, b'\r', 0xFB, 0xEF, 0xBE, b'\n', b'-', b'-', b'%', b'&', b'=', b'"'];
    image.extend(content.iter().cycle().take(size_bytes.saturating_sub(image.len())));
    image
}

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The answer that the simulator gives to an upload with these parameters.
#[track_caller]
pub fn expected(fields: &[(&str, &str)], piped: f64) -> Answer {
    let mut form = Form::default();
    for (name, value) in fields {
        form.set(Field::text(name, value.as_bytes().to_vec())).expect("a few parameters");
    }
    expected_answer(&form, piped).expect("the upload is well formed")
}

/// Parameters of an upload of this kind, all that are required and some that are not.
pub fn upload_of(method: Method) -> Vec<(&'static str, String)> {
    const PAGE: (&str, &str) = ("pageurl", "https://shop.example/a?b=1&c=2");
    const AGENT: (&str, &str) = ("userAgent", "Mozilla/5.0 (X11) é");
    const PROXY: (&str, &str) = ("proxy", "user:pass@203.0.113.7:8080");
    let wire = method.wire().split(' ').next_back().unwrap_or_default();
    let body = base64(&image(method as usize, 300));
    let mut fields = vec![("method", wire.to_owned())];
    let mut add = |more: &[(&'static str, &str)]| {
        fields.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    };
    match method {
        Method::Image => add(&[("body", &body), ("phrase", "1"), ("lang", "de")]),
        Method::Text => add(&[("textcaptcha", "Wie viel ist zwei plus drei? Größe+1")]),
        Method::Grid => add(&[("recaptcha", "1"), ("body", &body), ("textinstructions", "cars")]),
        Method::Canvas => {
            add(&[("recaptcha", "1"), ("canvas", "1"), ("body", &body), ("textinstructions", "cat")]);
        }
        Method::Coordinates => add(&[("coordinatescaptcha", "1"), ("body", &body)]),
        Method::Rotate => add(&[("body", &body), ("angle", "45")]),
        Method::BoundingBox => add(&[("image", &body), ("textinstructions", "dogs")]),
        Method::Audio => add(&[("body", &body), ("lang", "en")]),
        Method::RecaptchaV2 => add(&[("googlekey", "6Le-k"), PAGE, ("invisible", "1"), ("data-s", "x+/=")]),
        Method::RecaptchaCookies => add(&[("googlekey", "6Le-k"), PAGE, ("cookies", "a:b;c:d;")]),
        Method::RecaptchaV3 => {
            add(&[
                ("googlekey", "6Le-k"),
                PAGE,
                ("version", "v3"),
                ("min_score", "0.4"),
                ("action", "verify"),
            ]);
        }
        Method::Hcaptcha | Method::MtCaptcha | Method::FriendlyCaptcha | Method::Prosopo | Method::Yandex => {
            add(&[("sitekey", "site-1"), PAGE]);
        }
        Method::Turnstile => add(&[("sitekey", "0x4A"), PAGE, ("data", "d"), ("pagedata", "p"), AGENT]),
        Method::Funcaptcha => {
            add(&[("publickey", "69A2"), PAGE, ("surl", "https://s.example"), ("data[blob]", "b&l=ob")]);
        }
        Method::Keycaptcha => add(&[
            ("s_s_c_user_id", "10"),
            ("s_s_c_session_id", "493e"),
            ("s_s_c_web_server_sign", "16"),
            ("s_s_c_web_server_sign2", "2c"),
            PAGE,
        ]),
        Method::Geetest => {
            add(&[("gt", "f1ab"), ("challenge", "12345678abc90123"), PAGE, ("new_captcha", "1")]);
        }
        Method::GeetestV4 => add(&[("captcha_id", "e392"), PAGE]),
        Method::Lemin => add(&[("captcha_id", "CROPPED_1"), ("div_id", "lemin"), PAGE]),
        Method::Capy => add(&[("captchakey", "PUZZLE_A"), ("version", "puzzle"), PAGE]),
        Method::AmazonWaf => add(&[("sitekey", "AQID"), ("iv", "CgAF"), ("context", "9BUg"), PAGE]),
        Method::Tencent => add(&[("app_id", "2009"), PAGE]),
        Method::Datadome => {
            add(&[("captcha_url", "https://geo.example/c?i=1"), PAGE, AGENT, PROXY, ("proxytype", "http")]);
        }
        Method::Cybersiara => add(&[("master_url_id", "OXR2"), PAGE, AGENT]),
        Method::Cutcaptcha => add(&[("misery_key", "ad52"), ("api_key", "SAb8"), PAGE]),
        Method::AtbCaptcha => add(&[("app_id", "af23"), ("api_server", "https://cap.example"), PAGE]),
        Method::Captchafox => {
            add(&[("sitekey", "sk_x"), PAGE, ("useragent", "Mozilla/5.0"), PROXY, ("proxytype", "SOCKS5")]);
        }
        // Nobody says what they need: whatever is sent goes on.
        other => {
            if other == Method::Other {
                fields[0] = ("method", "invented_tomorrow".to_owned());
            }
            fields.push(("strange[field]", "täst & more".to_owned()));
            fields.push(("pageurl", PAGE.1.to_owned()));
        }
    }
    fields
}
