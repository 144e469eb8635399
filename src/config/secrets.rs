//! Keys and tokens: read from files where `*_file` says so; a client's becomes its digest at once.

use std::fs;

use toml::Value;

use super::token::AdminToken;
use crate::protocol::ids::ClientKey;

/// Why a key was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    Value,
    /// The file that was named does not help.
    File {
        path: String,
        reason: String,
    },
}

/// What [`Config`](super::Config) holds for a setting: `upstream.key` for `upstream.key_file`, so too a token, and a client's
/// `key_sha256` for any of its three ways to give a key. Other settings stay as they are.
pub(super) fn resolved(name: &str, value: Value) -> Result<(String, Value), Refused> {
    let (section, short_name) = name.rsplit_once('.').unwrap_or(("", name));
    let is_client = section.starts_with("client");
    match short_name {
        "key_file" if !is_client => {
            let path = value.as_str().ok_or(Refused::Value)?;
            let key = key_in(path)?;
            Ok((format!("{section}.key"), Value::String(key)))
        }
        "token_file" => {
            let path = value.as_str().ok_or(Refused::Value)?;
            let token = symbols_in(path, |token| AdminToken::parse(token).is_some())?;
            Ok((format!("{section}.token"), Value::String(token)))
        }
        "key" | "key_file" | "key_sha256" if is_client => {
            let texts = one_or_two(&value)?;
            let digests: Result<Vec<Value>, Refused> = texts
                .iter()
                .map(|text| match short_name {
                    "key" => digest(text).ok_or(Refused::Value),
                    "key_file" => key_in(text).and_then(|key| digest(&key).ok_or(Refused::Value)),
                    _ => Ok((*text).to_owned()),
                })
                .map(|digest| digest.map(Value::String))
                .collect();
            Ok((format!("{section}.key_sha256"), Value::Array(digests?)))
        }
        _ => Ok((name.to_owned(), value)),
    }
}

fn one_or_two(value: &Value) -> Result<Vec<&str>, Refused> {
    let texts: Option<Vec<&str>> = match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(list) => list.iter().map(Value::as_str).collect(),
        _ => None,
    };
    texts.filter(|texts| (1..=2).contains(&texts.len())).ok_or(Refused::Value)
}

fn digest(key: &str) -> Option<String> {
    ClientKey::parse(key.as_bytes()).ok().map(|key| key.sha256_hex())
}

fn key_in(path: &str) -> Result<String, Refused> {
    symbols_in(path, |key| digest(key).is_some())
}

/// The secret in a file, without the line end that editors and `echo` leave.
fn symbols_in(path: &str, is_one: impl FnOnce(&str) -> bool) -> Result<String, Refused> {
    let refused = |reason: String| Refused::File { path: path.to_owned(), reason };
    let text = fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    let secret = text.trim();
    if is_one(secret) {
        Ok(secret.to_owned())
    } else {
        Err(refused(format!("{} symbols in it", secret.chars().count())))
    }
}
