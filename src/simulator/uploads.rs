//! Reads an upload and refuses what the upstream refuses: sizes, types, required parameters (protocol.md 2.3 to 2.5).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use crate::protocol::methods::Payload;
use crate::protocol::{ErrorCode, Form, Method};

/// Smallest image, bytes.
const IMAGE_MIN_BYTES: usize = 100;
/// Largest audio, bytes.
const AUDIO_MAX_BYTES: usize = 1024 * 1024;
/// Largest picture with instructions, bytes; the loosest figure of the sources.
const INSTRUCTIONS_MAX_BYTES: usize = 100 * 1024;
/// Longest `textcaptcha` and `textinstructions`, characters.
const TEXT_MAX_CHARS: usize = 140;
/// Highest N of `file_N` that is looked for.
const FILES_MAX: usize = 99;

/// An upload that is well formed.
#[derive(Clone, Debug)]
pub struct Upload {
    pub method: Method,
    /// Its images or its audio, decoded, in their order.
    pub files: Vec<Bytes>,
}

impl Upload {
    /// # Errors
    /// The code that the upstream refuses such an upload with.
    pub fn read(form: &Form, image_max_bytes: usize) -> Result<Self, ErrorCode> {
        let method = Method::of(form);
        for name in ["textcaptcha", "textinstructions"] {
            let text = form.word(name).unwrap_or_default();
            if String::from_utf8_lossy(text).chars().count() > TEXT_MAX_CHARS {
                return Err(ErrorCode::BadParameters);
            }
        }
        check_instructions(form)?;
        let files = match (method, method.payload()) {
            (Method::BoundingBox, _) => vec![decoded_or_file(form, "image")?],
            (Method::Rotate, _) => rotated(form)?,
            (_, Payload::Image | Payload::Audio) => vec![decoded_or_file(form, "body")?],
            (_, Payload::Parameters) => Vec::new(),
        };
        match method {
            Method::Audio => check_audio(form, &files)?,
            _ => files.iter().try_for_each(|file| check_image(file, image_max_bytes))?,
        }
        check_extensions(form)?;
        check_parameters(method, form)?;
        Ok(Self { method, files })
    }
}

/// The part `file`, or else the base64 in `name`.
fn decoded_or_file(form: &Form, name: &str) -> Result<Bytes, ErrorCode> {
    match (form.value("file"), form.value(name)) {
        (Some(file), _) => Ok(file.clone()),
        (None, Some(text)) => decoded(text),
        (None, None) => Err(ErrorCode::Upload),
    }
}

fn rotated(form: &Form) -> Result<Vec<Bytes>, ErrorCode> {
    let numbered = (1..=FILES_MAX).filter_map(|n| form.value(&format!("file_{n}")));
    let files: Vec<Bytes> = form.value("file").into_iter().chain(numbered).cloned().collect();
    if files.is_empty() {
        return Ok(vec![decoded_or_file(form, "body")?]);
    }
    Ok(files)
}

/// Base64 with or without padding and line breaks, and with the `data:` head that browsers put before it.
fn decoded(text: &[u8]) -> Result<Bytes, ErrorCode> {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);
    let text = if text.starts_with(b"data:") {
        text.splitn(2, |byte| *byte == b',').nth(1).unwrap_or_default()
    } else {
        text
    };
    let symbols: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(symbols).map(Bytes::from).map_err(|_| ErrorCode::Upload)
}

fn check_image(image: &[u8], max_bytes: usize) -> Result<(), ErrorCode> {
    if image.len() < IMAGE_MIN_BYTES {
        return Err(ErrorCode::ZeroCaptchaFilesize);
    }
    if image.len() > max_bytes {
        return Err(ErrorCode::TooBigCaptchaFilesize);
    }
    let magics: [&[u8]; 3] = [b"\xff\xd8\xff", b"GIF8", b"\x89PNG\r\n\x1a\n"];
    if magics.iter().any(|magic| image.starts_with(magic)) {
        Ok(())
    } else {
        Err(ErrorCode::ImageTypeNotSupported)
    }
}

fn check_audio(form: &Form, files: &[Bytes]) -> Result<(), ErrorCode> {
    if files.iter().any(|file| file.len() > AUDIO_MAX_BYTES) {
        return Err(ErrorCode::TooBigCaptchaFilesize);
    }
    if files.iter().any(Bytes::is_empty) {
        return Err(ErrorCode::ZeroCaptchaFilesize);
    }
    form.word("lang").map(|_| ()).ok_or(ErrorCode::BadParameters)
}

/// The picture with instructions comes as a file or as base64.
fn check_instructions(form: &Form) -> Result<(), ErrorCode> {
    let Some(field) = form.field("imginstructions").filter(|field| !field.value.is_empty()) else {
        return Ok(());
    };
    let size = match &field.file {
        Some(_) => field.value.len(),
        None => decoded(&field.value)?.len(),
    };
    if size > INSTRUCTIONS_MAX_BYTES { Err(ErrorCode::TooBigCaptchaFilesize) } else { Ok(()) }
}

/// A file name without an extension says nothing; one with a foreign extension is refused.
fn check_extensions(form: &Form) -> Result<(), ErrorCode> {
    let is_image = |name: &str| {
        let known = ["jpg", "jpeg", "gif", "png"];
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        extension.is_none_or(|extension| known.iter().any(|one| extension.eq_ignore_ascii_case(one)))
    };
    let is_captcha = |name: &str| name == "file" || name.starts_with("file_");
    let mut labels =
        form.fields().iter().filter(|field| is_captcha(&field.name)).filter_map(|field| field.file.as_ref());
    if Method::of(form) == Method::Audio || labels.all(|label| is_image(&label.file_name)) {
        Ok(())
    } else {
        Err(ErrorCode::WrongFileExtension)
    }
}

/// Parameters without which the upstream cannot work, beside `pageurl` (protocol.md 2.3).
const fn required(method: Method) -> &'static [&'static str] {
    match method {
        Method::Hcaptcha
        | Method::Turnstile
        | Method::MtCaptcha
        | Method::FriendlyCaptcha
        | Method::Prosopo
        | Method::Yandex => &["sitekey"],
        Method::Funcaptcha => &["publickey"],
        Method::Keycaptcha => {
            &["s_s_c_user_id", "s_s_c_session_id", "s_s_c_web_server_sign", "s_s_c_web_server_sign2"]
        }
        Method::Geetest => &["gt", "challenge"],
        Method::GeetestV4 | Method::Lemin => &["captcha_id"],
        Method::Capy => &["captchakey"],
        Method::AmazonWaf => &["sitekey", "iv", "context"],
        Method::Cybersiara => &["master_url_id", "useragent"],
        Method::Cutcaptcha => &["misery_key", "api_key"],
        Method::AtbCaptcha => &["app_id", "api_server"],
        Method::Tencent => &["app_id"],
        Method::Datadome => &["captcha_url", "useragent", "proxy", "proxytype"],
        Method::Captchafox => &["sitekey", "useragent", "proxy", "proxytype"],
        _ => &[],
    }
}

fn check_parameters(method: Method, form: &Form) -> Result<(), ErrorCode> {
    let is_recaptcha = matches!(method, Method::RecaptchaV2 | Method::RecaptchaCookies | Method::RecaptchaV3);
    if is_recaptcha {
        let key = form.value("googlekey").ok_or(ErrorCode::WrongGoogleKey)?;
        if key.is_empty() || key.iter().any(u8::is_ascii_whitespace) {
            return Err(ErrorCode::GoogleKey);
        }
    }
    let required = required(method);
    // userAgent for most methods, useragent for captchafox (protocol.md 2.2).
    let is_sent =
        |name: &&str| form.word(name).is_some() || (*name == "useragent" && form.word("userAgent").is_some());
    if (is_recaptcha || !required.is_empty()) && form.word("pageurl").is_none() {
        return Err(ErrorCode::PageUrl);
    }
    if !required.iter().all(is_sent) || angle(form).is_none() {
        return Err(ErrorCode::BadParameters);
    }
    if method == Method::Text && form.word("textcaptcha").or(form.word("textinstructions")).is_none() {
        return Err(ErrorCode::BadParameters);
    }
    if form.word("proxy").is_none_or(is_proxy) { Ok(()) } else { Err(ErrorCode::ProxyFormat) }
}

/// `host:port`, with `login:password@` before it or not.
fn is_proxy(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let address = text.rsplit_once('@').map_or(&*text, |(_, address)| address);
    address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// The angle of one click in degrees, 40 unless given; nothing when it is no number of a circle.
pub fn angle(form: &Form) -> Option<i64> {
    let Some(text) = form.word("angle") else {
        return Some(40);
    };
    let degrees: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (1..=360).contains(&degrees).then_some(degrees)
}

#[cfg(test)]
mod tests;
