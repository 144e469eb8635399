//! One value at a time: is the setting known, can its type read the value, is it within its bounds? A value that
//! fails is left out and its default stays, so that one fault never hides another.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::Config;
use super::faults::{Faults, Problem};
use super::reload::ReadFile;
use super::secrets;
use super::sources::{Found, variable};
use super::table::{self, Accepts, Setting};
use super::values::MASK;

/// What was read so far.
#[derive(Debug)]
pub(super) struct Reading {
    /// The file as a place, for what is missing.
    file: Option<String>,
    /// Every setting that was given, faulty ones too, and where: what is there but wrong is not missing as well.
    places: BTreeMap<String, String>,
    /// The values that are right; a later source replaces an earlier one's.
    values: BTreeMap<String, Value>,
    pub faults: Faults,
    /// The files that were named.
    files: Vec<ReadFile>,
}

impl Reading {
    pub fn new(file: Option<&Path>) -> Self {
        Self {
            file: file.map(|path| path.display().to_string()),
            places: BTreeMap::new(),
            values: BTreeMap::new(),
            faults: Faults::default(),
            files: Vec::new(),
        }
    }

    pub fn take(&mut self, found: Found) {
        let Found { name, value, place } = found;
        // Before the content is used: what is written meanwhile is a change.
        self.note_files(&name, &value);
        let judged = match table::find(&name) {
            Some(setting) => settled(setting, &name, value).map(Some),
            None => not_a_setting(&name, &value).map(|()| None),
        };
        match judged {
            Ok(Some((name, value))) => drop(self.values.insert(name, value)),
            Ok(None) => {}
            Err(problem) => self.faults.add(&place, &name, problem),
        }
        if let Some(client) = client_of(&name) {
            self.places.entry(client).or_insert_with(|| place.clone());
        }
        self.places.insert(name, place);
    }

    fn note_files(&mut self, name: &str, value: &Value) {
        let paths = match value {
            Value::String(path) => std::slice::from_ref(path).iter().map(Path::new).collect::<Vec<_>>(),
            Value::Array(list) => list.iter().filter_map(Value::as_str).map(Path::new).collect(),
            _ => Vec::new(),
        };
        if table::find(name).is_some_and(Setting::is_file) {
            self.files.extend(paths.into_iter().map(|path| ReadFile::read(name, path)));
        }
    }

    /// Where a setting was given, faulty or not.
    pub fn place(&self, name: &str) -> Option<&str> {
        self.places.get(name).map(String::as_str)
    }

    /// Where a setting was given or, when it is missing, would have to be.
    pub fn place_for(&self, name: &str) -> String {
        let client = || client_of(name).and_then(|client| self.places.get(&client));
        let place = self.places.get(name).or_else(client).or(self.file.as_ref());
        place.cloned().unwrap_or_else(|| variable(name))
    }

    /// The numbers of the clients that were mentioned, in order.
    pub fn client_numbers(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = self.places.keys().filter_map(|name| number(name)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// All values that are right over the defaults.
    pub fn config(&mut self) -> Config {
        let mut root = Table::new();
        let mut clients: BTreeMap<usize, Table> = BTreeMap::new();
        for number in self.client_numbers() {
            clients.insert(number, Table::new());
        }
        for (name, value) in &self.values {
            let (section, short_name) = name.rsplit_once('.').unwrap_or(("", name));
            let table = match number(name) {
                Some(number) => Some(clients.entry(number).or_default()),
                None => root.entry(section).or_insert_with(|| Value::Table(Table::new())).as_table_mut(),
            };
            if let Some(table) = table {
                table.insert(short_name.to_owned(), value.clone());
            }
        }
        let clients = clients.into_values().map(Value::Table).collect();
        root.insert("client".to_owned(), Value::Array(clients));
        let config: Result<Config, _> = root.try_into();
        let files = std::mem::take(&mut self.files);
        let Ok(config) = config else {
            // Each value went through the same types on its own, so this is a fault of ours; say so, do not run.
            let problem = Problem::Unfit {
                found: "settings that are right alone".to_owned(),
                expected: "them to be right together".to_owned(),
            };
            self.faults.add("settings", "", problem);
            return Config::default();
        };
        Config { files, ..config }
    }
}

/// The name and value under which [`Config`] holds the setting, if the value is right.
fn settled(setting: &Setting, name: &str, value: Value) -> Result<(String, Value), Problem> {
    let unfit = |found: String| Problem::Unfit { found, expected: setting.accepts.words() };
    let found = shown(setting.accepts, &value);
    let (name, value) = secrets::resolved(name, value).map_err(|refused| match refused {
        secrets::Refused::Value => unfit(found.clone()),
        secrets::Refused::File { path, reason } => {
            let path = shown(setting.accepts, &Value::String(path));
            unfit(format!("{path}: {reason}"))
        }
    })?;
    let wrong = setting.accepts.wrong_items(&value);
    if !wrong.is_empty() {
        return Err(wrong_items(setting.accepts, &wrong));
    }
    if Config::deserialize(alone(&name, &value)).is_err() || !setting.accepts.allows(&value) {
        return Err(unfit(found));
    }
    Ok((name, value))
}

fn wrong_items(accepts: Accepts, wrong: &[(&Value, Option<String>)]) -> Problem {
    let found: Vec<String> = wrong.iter().map(|(item, _)| shown(accepts, item)).collect();
    let meant: Vec<&str> = wrong.iter().filter_map(|(_, meant)| meant.as_deref()).collect();
    let hint = if meant.is_empty() { String::new() } else { format!("; did you mean {}?", meant.join(", ")) };
    Problem::Unfit { found: found.join(", "), expected: accepts.words() + &hint }
}

/// The settings with this one in it and nothing else.
fn alone(name: &str, value: &Value) -> Table {
    let parts: Vec<&str> = name.split('.').collect();
    let (section, inner) = match parts.as_slice() {
        [section, short_name] => (*section, Value::Table(one(short_name, value.clone()))),
        [section, _, short_name] => {
            (*section, Value::Array(vec![Value::Table(one(short_name, value.clone()))]))
        }
        _ => (name, value.clone()),
    };
    one(section, inner)
}

fn one(name: &str, value: Value) -> Table {
    Table::from_iter([(name.to_owned(), value)])
}

/// A name without a row is a client on its own, a section that is no table, or unknown.
fn not_a_setting(name: &str, value: &Value) -> Result<(), Problem> {
    let is_client = number(name).is_some() && client_of(name).as_deref() == Some(name);
    let expected = match name {
        _ if is_client && value.is_table() => return Ok(()),
        _ if is_client => "a table".to_owned(),
        "client" => "[[client]], one for each client".to_owned(),
        _ if table::is_section(name) => format!("a table, [{name}]"),
        _ => {
            let nearest = table::nearest(name);
            return Err(Problem::Unknown { nearest });
        }
    };
    // What stands in a section's place can be a secret that was put on the wrong line.
    let found = format!("a value of type {}", value.type_str());
    Err(Problem::Unfit { found, expected })
}

/// `client.0` for `client.0` and `client.0.name`.
fn client_of(name: &str) -> Option<String> {
    number(name).map(|number| format!("client.{number}"))
}

fn number(name: &str) -> Option<usize> {
    table::client_number(name.strip_prefix("client.")?.split('.').next()?)
}

/// A value as a fault shows it. A key pasted to a wrong place, and a password or key in a URL, stay hidden as well.
fn shown(accepts: Accepts, value: &Value) -> String {
    match value {
        _ if accepts.is_secret() => MASK.to_owned(),
        Value::String(text) if looks_secret(text) => MASK.to_owned(),
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => value.to_string(),
        Value::Datetime(_) => "a date".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}

fn looks_secret(text: &str) -> bool {
    let text = text.trim();
    let like_a_key = text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    like_a_key || text.contains(['@', '?'])
}
