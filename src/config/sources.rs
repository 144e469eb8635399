//! Where settings come from: the TOML file and the environment, both turned into single settings with a place.

use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Value};

use super::faults::{Faults, Problem};
use super::table::{self, Accepts};

/// One setting as it was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Its full name, `client.0.name` for a client's; `client.0` alone says that there is such a client.
    pub name: String,
    pub value: Value,
    pub place: String,
}

/// The settings in `path`, in the order of their lines.
pub(super) fn file(path: Option<&Path>, faults: &mut Faults) -> Vec<Found> {
    let Some(path) = path else {
        return Vec::new();
    };
    let place = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            faults.add(&place, "", Problem::Unreadable(error.to_string()));
            return Vec::new();
        }
    };
    let file = File { place, text: &text };
    match DeTable::parse(&text) {
        Ok(root) => {
            let mut found = Vec::new();
            file.table("", root.get_ref(), &mut found);
            found.sort_by_key(|(offset, _)| *offset);
            found.into_iter().map(|(_, found)| found).collect()
        }
        Err(error) => {
            // The message alone: the error's full text quotes the line, and a secret may be on it.
            let offset = error.span().map_or(0, |span| span.start);
            let reason = error.message().lines().collect::<Vec<_>>().join(", ");
            faults.add(&file.place_of(offset), "", Problem::Syntax(reason));
            Vec::new()
        }
    }
}

struct File<'t> {
    place: String,
    text: &'t str,
}

impl File<'_> {
    fn table(&self, section: &str, table: &DeTable<'_>, found: &mut Vec<(usize, Found)>) {
        for (key, value) in table {
            let name = match section {
                "" => key.get_ref().to_string(),
                section => format!("{section}.{}", key.get_ref()),
            };
            match value.get_ref() {
                DeValue::Table(inner) if name != "client" && table::is_section(&name) => {
                    self.table(&name, inner, found);
                }
                DeValue::Array(clients) if name == "client" => {
                    for (number, client) in clients.iter().enumerate() {
                        self.client(&format!("client.{number}"), client, found);
                    }
                }
                _ => found.push(self.setting(name, key.span().start, value)),
            }
        }
    }

    fn client(&self, name: &str, client: &Spanned<DeValue<'_>>, found: &mut Vec<(usize, Found)>) {
        found.push(self.setting(name.to_owned(), client.span().start, client));
        if let DeValue::Table(inner) = client.get_ref() {
            self.table(name, inner, found);
        }
    }

    fn setting(&self, name: String, offset: usize, value: &Spanned<DeValue<'_>>) -> (usize, Found) {
        let place = self.place_of(offset);
        // A number too large for TOML's own types stays text, and is refused as such.
        let value = Value::deserialize(ValueDeserializer::from(value.clone())).unwrap_or_else(|_| {
            let digits = value.get_ref().as_integer().map(|number| number.as_str().to_owned());
            Value::String(digits.unwrap_or_default())
        });
        // A day without quotes is meant as one.
        let value = match value {
            Value::Datetime(moment) => Value::String(moment.to_string()),
            value => value,
        };
        (offset, Found { name, value, place })
    }

    /// `file:line:column`, counted from 1 as editors do.
    fn place_of(&self, offset: usize) -> String {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|symbol| *symbol != '\n').count() + 1;
        format!("{}:{line}:{column}", self.place)
    }
}

/// The settings in the environment, by name of their variable.
///
/// A variable without `__` is none of ours: Kubernetes gives every pod a `CAPGATE_PORT` and more for a Service that is
/// called capgate.
pub(super) fn environment(env: impl Iterator<Item = (String, String)>) -> Vec<Found> {
    let mut found: Vec<Found> = env
        .filter_map(|(variable, text)| {
            let name = variable.strip_prefix("CAPGATE_").filter(|name| name.contains("__"))?;
            let name = name.to_lowercase().replace("__", ".");
            let value = typed(&name, text);
            Some(Found { name, value, place: variable })
        })
        .collect();
    found.sort_by(|a, b| a.place.cmp(&b.place));
    found
}

/// The variable that holds a setting.
pub(super) fn variable(name: &str) -> String {
    format!("CAPGATE_{}", name.to_uppercase().replace('.', "__"))
}

/// A variable's text as the type that its setting has: a number, a switch, a list in TOML's own notation, else the text itself.
fn typed(name: &str, text: String) -> Value {
    let Some(setting) = table::find(name) else {
        return Value::String(text);
    };
    let listed = setting.section() == "client" && text.starts_with('[');
    if !listed && !setting.accepts.is_number() && !matches!(setting.accepts, Accepts::Switch) {
        return Value::String(text);
    }
    match ValueDeserializer::parse(text.trim()).and_then(Value::deserialize) {
        Ok(value @ (Value::Integer(_) | Value::Float(_) | Value::Boolean(_))) if !listed => value,
        Ok(value @ Value::Array(_)) if listed => value,
        _ => Value::String(text),
    }
}
