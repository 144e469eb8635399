//! Decodes a call's parameters, whatever their encoding (protocol.md 1.1).
//!
//! Clients label their bodies wrongly often enough that the body decides: a first byte `{` is JSON, a first line
//! `--boundary` is multipart with that boundary (so a label that is missing, quoted or malformed does not matter),
//! anything else is urlencoded. Query and body are merged; the body wins, and within one place the last value wins,
//! as in PHP. Values are bytes: no charset is promised.

use std::fmt;

use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::value::RawValue;

use super::json::{JsonError, JsonObject, MEMBERS_MAX};
use super::query::{pairs, url_decoded};

/// Most parameters in one call, query and body together, the same name sent twice counted twice.
pub const PARAMETERS_MAX: usize = MEMBERS_MAX;
/// Longest name of a parameter, bytes; the longest that is documented has 22.
pub const NAME_BYTES_MAX: usize = 256;

/// Why a call could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    #[error("the JSON body is not an object of parameters: {0}")]
    Json(String),
    #[error("the multipart body is malformed: {0}")]
    Multipart(String),
    #[error("more than {PARAMETERS_MAX} parameters")]
    TooManyParameters,
    #[error("a parameter's name is longer than {NAME_BYTES_MAX} bytes")]
    NameTooLong,
}

/// A part's file name and type, when it was sent as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLabel {
    pub file_name: String,
    pub content_type: Option<String>,
}

/// One parameter.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    /// Exactly as sent, `data[blob]` and `file_1` included.
    pub name: String,
    pub value: Bytes,
    /// Set when the value came as a file of a multipart body.
    pub file: Option<FileLabel>,
}

impl Field {
    #[must_use]
    pub fn text(name: &str, value: impl Into<Bytes>) -> Self {
        Self { name: name.to_owned(), value: value.into(), file: None }
    }
}

/// Shows no value: it may be a key, a proxy password or a cookie.
impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.name, self.value.len())
    }
}

/// The parameters of one call, in the order in which they came, each name once.
#[derive(Clone, Debug, Default)]
pub struct Form {
    fields: Vec<Field>,
    /// Parameters that were set, also those that took another's place: each costs a search.
    set: usize,
}

/// Two forms are equal when their parameters are, however they came to be.
impl PartialEq for Form {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

impl Eq for Form {}

impl Form {
    /// Merges the parameters of `query` and `body`.
    ///
    /// # Errors
    /// [`FormError`] when the body cannot be read or there are too many parameters.
    pub fn decode(query: &str, body: &Bytes) -> Result<Self, FormError> {
        let mut form = Self::default();
        form.take_urlencoded(query.as_bytes())?;
        let content = body.trim_ascii_start();
        if content.first() == Some(&b'{') {
            form.take_json(content)?;
        } else if let Some(boundary) = boundary_of(content) {
            let content = body.slice_ref(content);
            form.take_multipart(content, &boundary)?;
        } else {
            form.take_urlencoded(content)?;
        }
        Ok(form)
    }

    /// The value of `name`, if it was sent.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Bytes> {
        self.field(name).map(|field| &field.value)
    }

    /// The value of `name` without surrounding blanks, if it was sent and is not blank.
    #[must_use]
    pub fn word(&self, name: &str) -> Option<&[u8]> {
        self.value(name).map(|value| value.trim_ascii()).filter(|value| !value.is_empty())
    }

    /// Whether the switch `name` is `1`; every other value, `json=0` too, is off.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.word(name) == Some(b"1")
    }

    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Sets a parameter; a value that it had before is gone.
    ///
    /// # Errors
    /// [`FormError::TooManyParameters`] when [`PARAMETERS_MAX`] have been set already, [`FormError::NameTooLong`].
    pub fn set(&mut self, field: Field) -> Result<(), FormError> {
        self.count()?;
        if field.name.len() > NAME_BYTES_MAX {
            return Err(FormError::NameTooLong);
        }
        match self.fields.iter_mut().find(|known| known.name == field.name) {
            Some(known) => *known = field,
            None => self.fields.push(field),
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), FormError> {
        self.set += 1;
        if self.set > PARAMETERS_MAX { Err(FormError::TooManyParameters) } else { Ok(()) }
    }

    /// Removes what `keep` refuses.
    pub fn retain(&mut self, keep: impl FnMut(&Field) -> bool) {
        self.fields.retain(keep);
    }

    /// Puts `change`'s result in the place of each parameter; it must keep the names.
    pub fn map_fields(&mut self, change: impl FnMut(Field) -> Field) {
        self.fields = std::mem::take(&mut self.fields).into_iter().map(change).collect();
    }

    fn take_urlencoded(&mut self, text: &[u8]) -> Result<(), FormError> {
        for (name, value) in pairs(text) {
            let name = String::from_utf8_lossy(&url_decoded(name)).into_owned();
            self.set(Field { name, value: url_decoded(value).into_owned().into(), file: None })?;
        }
        Ok(())
    }

    fn take_json(&mut self, text: &[u8]) -> Result<(), FormError> {
        let text = String::from_utf8_lossy(text);
        let object = JsonObject::parse(&text).map_err(|error| match error {
            JsonError::TooManyMembers => FormError::TooManyParameters,
            error => FormError::Json(error.to_string()),
        })?;
        for (name, value) in object.0 {
            if let Some(value) = json_as_text(value)? {
                self.set(Field { name, value, file: None })?;
            }
        }
        Ok(())
    }

    fn take_multipart(&mut self, body: Bytes, boundary: &str) -> Result<(), FormError> {
        let chunks = futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
        let mut parts = multer::Multipart::new(chunks, boundary);
        // The body is in memory, so each step is ready at once; a parser that waited for more would be one that
        // found the body cut off.
        let cut_off = || FormError::Multipart("it ends too early".into());
        let malformed = |error: multer::Error| FormError::Multipart(error.to_string());
        while let Some(part) = parts.next_field().now_or_never().ok_or_else(cut_off)?.map_err(malformed)? {
            let Some(name) = part.name().map(str::to_owned) else {
                self.count()?;
                continue;
            };
            let file = part.file_name().map(|file_name| FileLabel {
                file_name: file_name.to_owned(),
                content_type: part.content_type().map(ToString::to_string),
            });
            let value = part.bytes().now_or_never().ok_or_else(cut_off)?.map_err(malformed)?;
            self.set(Field { name, value, file })?;
        }
        Ok(())
    }
}

/// The boundary that the first line of a multipart body shows.
fn boundary_of(body: &[u8]) -> Option<String> {
    let line = body.strip_prefix(b"--")?.split(|byte| *byte == b'\n').next()?.trim_ascii_end();
    // RFC 2046 allows 70 characters; a parameter name of an urlencoded body that starts with dashes has a `=`
    // and, being one line, no end of line.
    let is_one = !line.is_empty() && line.len() <= 200 && body.len() > line.len() + 2;
    is_one.then(|| std::str::from_utf8(line).ok().map(str::to_owned)).flatten()
}

/// A JSON value as the text that a form field would have held: a string's content, `1` and `0` for booleans,
/// nothing for `null`, and the JSON text itself for numbers, arrays and objects.
fn json_as_text(value: &RawValue) -> Result<Option<Bytes>, FormError> {
    Ok(match value.get() {
        "null" => None,
        "true" => Some(Bytes::from_static(b"1")),
        "false" => Some(Bytes::from_static(b"0")),
        text if text.starts_with('"') => {
            // Half of a surrogate pair is JSON and no text.
            let content = serde_json::from_str::<String>(text);
            Some(content.map_err(|error| FormError::Json(error.to_string()))?.into())
        }
        text => Some(Bytes::copy_from_slice(text.as_bytes())),
    })
}

#[cfg(test)]
mod tests;
