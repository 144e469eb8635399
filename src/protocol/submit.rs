//! An upload: what a client sends to in.php, checked once and cleaned for the upstream.
//!
//! Refused here, with the upstream's own code and without an upstream call, is only what is wrong by every reading of
//! the documentation (protocol.md 2.4); where sources disagree, the loosest limit holds.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::errors::ErrorCode;
use super::form::{Field, FileLabel, Form};
use super::ids::UpstreamKey;
use super::methods::{Method, Payload};
use super::page::Page;
use super::parameters::{Fate, fate_on_submit};
use super::pingback::{PushUrl, Target};
use super::repeat::IdempotencyKey;

/// Fewest bytes of an image (2016).
pub const IMAGE_BYTES_MIN: usize = 100;
/// Most bytes of an image: 600 kB, the loosest documented (modern error table).
pub const IMAGE_BYTES_MAX: usize = 600 * 1024;
/// Most bytes of an image with instructions (modern).
pub const INSTRUCTIONS_BYTES_MAX: usize = 100 * 1024;
/// Most bytes of an audio file (modern).
pub const AUDIO_BYTES_MAX: usize = 1024 * 1024;
/// Most characters of a text (2016 and modern).
pub const TEXT_CHARACTERS_MAX: usize = 140;

/// Highest priority that a client can give an upload.
pub const PRIORITY_MAX: u8 = 9;

/// A call that is wrong in itself: the code that the upstream would send, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongCall {
    pub code: ErrorCode,
    pub reason: Cow<'static, str>,
}

impl WrongCall {
    pub fn new(code: ErrorCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { code, reason: reason.into() }
    }
}

/// An upload on its way to the upstream.
#[derive(Clone, Debug)]
pub struct Upload {
    pub method: Method,
    /// The page that shows the captcha, if there is one.
    pub page: Option<Page>,
    /// The client's own order among its waiting uploads, 0 to 9, higher first.
    pub priority: u8,
    /// What the client calls it, if it sent such a name.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Where its client wants the outcome pushed to.
    pub pingback: Option<Target>,
    /// Where the upstream is to push it to.
    push_to: Option<PushUrl>,
    /// What goes upstream, the key not included.
    form: Form,
}

impl Upload {
    /// Checks an in.php call and strips it of what is not for the upstream.
    ///
    /// # Errors
    /// [`WrongCall`] for what is wrong by every reading of the documentation.
    pub fn check(mut form: Form) -> Result<Self, WrongCall> {
        let method = Method::of(&form);
        let pingback = form.word("pingback").map(Target::parse).transpose();
        let pingback = pingback
            .map_err(|error| WrongCall::new(ErrorCode::BadParameters, format!("pingback: {error}")))?;
        for name in ["textcaptcha", "textinstructions"] {
            check_text(&form, name)?;
        }
        match method.payload() {
            Payload::Image => check_images(&form, method)?,
            Payload::Audio => check_audio(&form)?,
            Payload::Parameters => {}
        }
        if let Some(field) = form.field("imginstructions") {
            let size = content_of(field).map_or(0, |content| content.size_bytes);
            if size > INSTRUCTIONS_BYTES_MAX {
                return Err(too_big("imginstructions", size, INSTRUCTIONS_BYTES_MAX));
            }
        }
        let priority =
            form.word("priority").and_then(|text| std::str::from_utf8(text).ok()?.parse::<u8>().ok());
        form.retain(|field| fate_on_submit(&field.name) == Fate::Forward);
        form.map_fields(cleaned);
        let priority = priority.map_or(0, |number| number.min(PRIORITY_MAX));
        let page = Page::of(&form);
        Ok(Self { method, page, priority, idempotency_key: None, pingback, push_to: None, form })
    }

    /// As its client calls it.
    #[must_use]
    pub fn named(self, idempotency_key: Option<IdempotencyKey>) -> Self {
        Self { idempotency_key, ..self }
    }

    /// The same upload, whose answer the upstream is to push.
    #[must_use]
    pub fn pushed_to(&self, url: PushUrl) -> Self {
        Self { push_to: Some(url), ..self.clone() }
    }

    /// The parameter that asks the upstream to push the answer.
    #[must_use]
    pub fn push_field(&self) -> Option<Field> {
        let url = self.push_to.as_ref()?.expose().to_owned();
        Some(Field::text("pingback", url))
    }

    /// Bytes that the upload's values hold.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.form.fields().iter().map(|field| field.name.len() + field.value.len()).sum()
    }

    /// What goes upstream, the key not included.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        self.form.fields()
    }

    /// The upload as the body of a POST, with its content type: multipart when there is a file, urlencoded otherwise.
    /// `boundary` must not occur in a value; only multipart uses it.
    #[must_use]
    pub fn encode(&self, key: &UpstreamKey, boundary: &str) -> (String, Bytes) {
        let key = Field::text("key", Bytes::copy_from_slice(key.expose().as_bytes()));
        let push = self.push_field();
        let fields = || std::iter::once(&key).chain(self.fields()).chain(&push);
        let size = self.size_bytes();
        if fields().any(|field| field.file.is_some()) {
            (format!("multipart/form-data; boundary={boundary}"), multipart(fields(), boundary, size))
        } else {
            ("application/x-www-form-urlencoded".into(), urlencoded(fields(), size))
        }
    }
}

/// A file, as it was sent: raw, or as base64 text.
struct Content<'a> {
    size_bytes: usize,
    head: Cow<'a, [u8]>,
}

/// The image or audio in `field`; `None` when it is text but not base64.
fn content_of(field: &Field) -> Option<Content<'_>> {
    let value = &field.value[..];
    if field.file.is_some() || is_image(value) {
        return Some(Content { size_bytes: value.len(), head: Cow::Borrowed(value) });
    }
    let text = Base64::of(value)?;
    Some(Content { size_bytes: text.size_bytes(), head: Cow::Owned(text.head()) })
}

fn check_text(form: &Form, name: &str) -> Result<(), WrongCall> {
    let Some(text) = form.value(name).and_then(|value| std::str::from_utf8(value).ok()) else {
        return Ok(());
    };
    let length = text.chars().count();
    if length > TEXT_CHARACTERS_MAX {
        let reason = format!("{name} has {length} characters; at most {TEXT_CHARACTERS_MAX} are taken");
        return Err(WrongCall::new(ErrorCode::BadParameters, reason));
    }
    Ok(())
}

fn check_images(form: &Form, method: Method) -> Result<(), WrongCall> {
    let is_image_field = |name: &str| {
        name == "file" || name == "body" || (method == Method::Rotate && name.starts_with("file_"))
    };
    let mut images = form.fields().iter().filter(|field| is_image_field(&field.name)).peekable();
    if images.peek().is_none() {
        return Err(WrongCall::new(ErrorCode::ZeroCaptchaFilesize, "neither file nor body was sent"));
    }
    for field in images {
        let name = &field.name;
        let Some(image) = content_of(field) else {
            return Err(WrongCall::new(ErrorCode::Upload, format!("{name} is neither a file nor base64")));
        };
        if image.size_bytes < IMAGE_BYTES_MIN {
            let reason =
                format!("{name} has {} bytes; at least {IMAGE_BYTES_MIN} are needed", image.size_bytes);
            return Err(WrongCall::new(ErrorCode::ZeroCaptchaFilesize, reason));
        }
        if image.size_bytes > IMAGE_BYTES_MAX {
            return Err(too_big(name, image.size_bytes, IMAGE_BYTES_MAX));
        }
        if !is_image(&image.head) {
            let reason = format!("{name} is no JPEG, GIF or PNG image");
            return Err(WrongCall::new(ErrorCode::ImageTypeNotSupported, reason));
        }
    }
    Ok(())
}

fn check_audio(form: &Form) -> Result<(), WrongCall> {
    for field in ["body", "file"].iter().filter_map(|name| form.field(name)) {
        let size = content_of(field).map_or(0, |content| content.size_bytes);
        if size > AUDIO_BYTES_MAX {
            return Err(too_big(&field.name, size, AUDIO_BYTES_MAX));
        }
    }
    Ok(())
}

fn too_big(name: &str, size: usize, limit: usize) -> WrongCall {
    let reason = format!("{name} has {size} bytes; at most {limit} are taken");
    WrongCall::new(ErrorCode::TooBigCaptchaFilesize, reason)
}

/// Whether `content` begins like a JPEG, GIF or PNG (the documented formats).
fn is_image(content: &[u8]) -> bool {
    [&b"\xFF\xD8\xFF"[..], b"GIF87a", b"GIF89a", b"\x89PNG\r\n\x1A\n"]
        .iter()
        .any(|signature| content.starts_with(signature))
}

/// Base64 text as clients send it: with a `data:` prefix, line ends, blanks where an unescaped `+` was decoded, the
/// URL alphabet, or without padding.
struct Base64<'a>(&'a [u8]);

impl<'a> Base64<'a> {
    fn of(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let text = match value.strip_prefix(b"data:") {
            Some(data) => &data[data.iter().position(|byte| *byte == b',')? + 1..],
            None => value,
        };
        let is_valid = |byte: &u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=')
                || byte.is_ascii_whitespace()
        };
        text.iter().all(is_valid).then_some(Self(text))
    }

    /// The symbols that carry data.
    fn symbols(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.iter().filter(|byte| !matches!(byte, b'\r' | b'\n' | b'\t' | b'=')).map(|byte| match byte {
            b' ' | b'-' => b'+',
            b'_' => b'/',
            other => *other,
        })
    }

    fn size_bytes(&self) -> usize {
        self.symbols().count() * 3 / 4
    }

    /// The first bytes, enough to know an image by.
    fn head(&self) -> Vec<u8> {
        use base64::Engine;
        let symbols: Vec<u8> = self.symbols().take(16).collect();
        base64::engine::general_purpose::STANDARD_NO_PAD.decode(symbols).unwrap_or_default()
    }
}

/// Repairs what would be misunderstood: a method with blanks, a raw image that came without a file name, and base64
/// whose `+` became blanks.
fn cleaned(field: Field) -> Field {
    let is_file_name = field.name == "file" || field.name.starts_with("file_");
    if field.name == "method" {
        let value = field.value.slice_ref(field.value.trim_ascii());
        Field { value, ..field }
    } else if is_file_name && field.file.is_none() && is_image(&field.value) {
        let label = FileLabel { file_name: field.name.clone(), content_type: None };
        Field { file: Some(label), ..field }
    } else if field.name == "body" && field.file.is_none() && field.value.contains(&b' ') {
        let plus = field.value.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte });
        Field { value: plus.collect::<Vec<u8>>().into(), ..field }
    } else {
        field
    }
}

/// Unreserved symbols stay (RFC 3986).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `fields` as an urlencoded text: the body of an upload, or the query of a res.php call.
pub fn urlencoded<'a>(fields: impl Iterator<Item = &'a Field>, size_hint: usize) -> Bytes {
    let mut body = BytesMut::with_capacity(size_hint + size_hint / 8 + 64);
    for field in fields {
        if !body.is_empty() {
            body.put_u8(b'&');
        }
        percent_encode(field.name.as_bytes(), ESCAPED).for_each(|text| body.put_slice(text.as_bytes()));
        body.put_u8(b'=');
        percent_encode(&field.value, ESCAPED).for_each(|text| body.put_slice(text.as_bytes()));
    }
    body.freeze()
}

fn multipart<'a>(fields: impl Iterator<Item = &'a Field>, boundary: &str, size_hint: usize) -> Bytes {
    let mut body = BytesMut::with_capacity(size_hint + 2_048);
    for field in fields {
        let name = quoted(&field.name);
        body.put_slice(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"").as_bytes());
        if let Some(label) = &field.file {
            let content_type = label.content_type.as_deref().unwrap_or("application/octet-stream");
            let file_name = quoted(&label.file_name);
            body.put_slice(format!("; filename=\"{file_name}\"\r\nContent-Type: {content_type}").as_bytes());
        }
        body.put_slice(b"\r\n\r\n");
        body.put_slice(&field.value);
        body.put_slice(b"\r\n");
    }
    body.put_slice(format!("--{boundary}--\r\n").as_bytes());
    body.freeze()
}

/// A name inside a multipart header, escaped as browsers do it, so that it cannot end the header; control bytes too, which
/// no header may hold.
fn quoted(name: &str) -> String {
    let escaped = |symbol: char| match symbol {
        '"' => "%22".to_owned(),
        symbol if symbol.is_ascii_control() => format!("%{:02X}", u32::from(symbol)),
        symbol => symbol.to_string(),
    };
    name.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests;
