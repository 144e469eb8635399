//! What clients upload: several methods, each upload unlike all others, so that a swapped answer is a wrong one.

use bytes::Bytes;
use capgate::protocol::{Field, Form};
use capgate::simulator::random::Random;

/// The parameter that tells the upstream's side which upload it sees; unknown parameters are forwarded unchanged.
pub const MARK: &str = "simulated_upload";

/// Bytes of an image, enough to be taken for one.
const IMAGE_BYTES: usize = 120;

/// The parameters of the upload `number`.
pub fn form(number: u64, random: &mut Random) -> Form {
    let mut form = Form::default();
    let mut set = |field: Field| form.set(field).expect("an upload has few parameters");
    set(Field::text(MARK, number.to_string()));
    let (method, fields): (&str, &[&str]) = match random.below(12) {
        0..=2 => ("userrecaptcha", &["googlekey", "pageurl"]),
        3 => ("turnstile", &["sitekey", "pageurl"]),
        4 => ("funcaptcha", &["publickey", "pageurl"]),
        5 => ("geetest", &["gt", "challenge", "pageurl"]),
        6 => ("yandex", &["sitekey", "pageurl"]),
        7 => ("textcaptcha", &["textcaptcha"]),
        8 => ("rotatecaptcha", &[]),
        _ => ("post", &[]),
    };
    set(Field::text("method", method));
    for name in fields {
        set(Field::text(name, format!("{name}-{number}")));
    }
    if fields.is_empty() {
        set(Field::text("file", image(number)));
    }
    form
}

fn image(number: u64) -> Bytes {
    let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
    image.extend(number.to_be_bytes());
    image.resize(IMAGE_BYTES, 7);
    image.into()
}

/// The number of an upload, from what reached the upstream's side.
pub fn number_of(fields: &[Field]) -> Option<u64> {
    let mark = fields.iter().find(|field| field.name == MARK)?;
    std::str::from_utf8(&mark.value).ok()?.parse().ok()
}
