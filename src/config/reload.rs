//! What a reload changes, and what stays until a restart: decided by the settings table's column alone.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::table::{Applies, SETTINGS};
use super::{Client, Config, table};
use crate::protocol::ids::UpstreamKey;

/// Secrets outside of clients, by section and name.
const SECRETS: [(&str, &str); 2] = [("upstream", "key"), ("admin", "token")];

/// A file that a setting names, as it was when the settings were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFile {
    /// The setting's full name.
    pub setting: String,
    pub path: PathBuf,
    /// None for one that could not be read.
    digest: Option<[u8; 32]>,
}

impl ReadFile {
    pub(super) fn read(setting: &str, path: &Path) -> Self {
        let digest = std::fs::read(path).ok().map(|content| Sha256::digest(content).into());
        Self { setting: setting.to_owned(), path: path.to_owned(), digest }
    }
}

/// What differs between two settings, by name; never a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In force from now on.
    pub applied: Vec<String>,
    /// In force after a restart; until then all of this stays as it was.
    pub at_restart: Vec<String>,
}

impl Config {
    /// The settings after a reload that has read `new`: these, with all that a reload may change taken from there.
    ///
    /// # Panics
    /// Never: both are whole settings, and so is each mixture of them.
    #[must_use]
    pub fn reloaded(&self, new: Self) -> (Self, Changes) {
        let (old_table, mut table) = (table_of(self), table_of(&new));
        let changes = changes((self, &old_table), (&new, &table));
        keep(&old_table, &mut table);
        // Secrets are not in a table that was written; all of these are taken from `new` as a whole.
        table.remove("client");
        for (section, secret) in SECRETS {
            if let Some(section) = section_of(&mut table, section) {
                section.remove(secret);
            }
        }
        let mixed: Self =
            table.try_into().expect("whole settings were written, and are read by the same types");
        let mut config = Self { clients: new.clients, files: new.files, ..mixed };
        config.upstream.key = new.upstream.key;
        config.admin.token = new.admin.token;
        (config, changes)
    }
}

/// Puts into `new` what needs a restart, as `old` has it.
fn keep(old: &Table, new: &mut Table) {
    for setting in SETTINGS.iter().filter(|setting| setting.applies() == Applies::AtRestart) {
        let (section, name) = (setting.section(), setting.short_name());
        let kept = old.get(section).and_then(|section| section.get(name));
        let Some(section) = section_of(new, section) else { continue };
        match kept {
            Some(value) => drop(section.insert(name.to_owned(), value.clone())),
            None => drop(section.remove(name)),
        }
    }
}

fn changes((old, old_table): (&Config, &Table), (new, new_table): (&Config, &Table)) -> Changes {
    let mut changes = Changes::default();
    // A secret is written as a mask: whether it differs is seen below.
    let is_secret = |name: &str| SECRETS.iter().any(|(section, own)| name == format!("{section}.{own}"));
    let mut names = different(old_table, new_table);
    names.retain(|name| !is_secret(name));
    // The content of a file with a secret is that secret, and told as such.
    let rewritten = |file: &&ReadFile| {
        let is_same_path = |other: &&ReadFile| other.setting == file.setting && other.path == file.path;
        let before = old.files.iter().find(is_same_path);
        !["key_file", "token_file"].iter().any(|secret| file.setting.ends_with(secret))
            && before.is_some_and(|before| before.digest != file.digest)
    };
    names.extend(new.files.iter().filter(rewritten).map(|file| file.setting.clone()));
    for name in names {
        match table::find(&name).map(table::Setting::applies) {
            Some(Applies::AtRestart) => changes.at_restart.push(name),
            Some(Applies::AtReload) | None => changes.applied.push(name),
        }
    }
    let key = |config: &Config| config.upstream.key.as_ref().map(UpstreamKey::fingerprint);
    if key(old) != key(new) {
        changes.applied.push("upstream.key".to_owned());
    }
    if old.admin.token != new.admin.token {
        changes.applied.push("admin.token".to_owned());
    }
    changes.applied.extend(clients(&old.clients, &new.clients));
    changes
}

/// What became of the clients, each in a few words.
fn clients(old: &[Client], new: &[Client]) -> Vec<String> {
    let named =
        |clients: &'_ [Client], name: &str| clients.iter().find(|client| client.name == name).cloned();
    let mut told = Vec::new();
    for client in old.iter().filter(|client| named(new, &client.name).is_none()) {
        told.push(format!("client {} removed", client.name));
    }
    for client in new {
        let Some(before) = named(old, &client.name) else {
            told.push(format!("client {} added", client.name));
            continue;
        };
        let mut settings = different(&table_of(&before), &table_of(client));
        if before.keys != client.keys {
            settings.push("key".to_owned());
        }
        if !settings.is_empty() {
            told.push(format!("client {}: {}", client.name, settings.join(", ")));
        }
    }
    told
}

/// The names of the values that differ; lists of tables, which the clients are, are left out.
fn different(old: &Table, new: &Table) -> Vec<String> {
    let mut names = Vec::new();
    let is_list = |value: &Value| value.as_array().is_some_and(|list| list.iter().any(Value::is_table));
    let all = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    for name in all {
        let empty = || Value::Table(Table::new());
        match (old.get(name), new.get(name)) {
            (old, new) if old == new || [old, new].into_iter().flatten().any(is_list) => {}
            (Some(Value::Table(_)), _) | (_, Some(Value::Table(_))) => {
                let [old, new] =
                    [old.get(name), new.get(name)].map(|value| value.cloned().unwrap_or_else(empty));
                if let (Value::Table(old), Value::Table(new)) = (old, new) {
                    names.extend(different(&old, &new).into_iter().map(|inner| format!("{name}.{inner}")));
                }
            }
            _ => names.push(name.clone()),
        }
    }
    names
}

fn table_of(settings: &impl serde::Serialize) -> Table {
    Table::try_from(settings).expect("settings that were read can be written")
}

fn section_of<'t>(table: &'t mut Table, name: &str) -> Option<&'t mut Table> {
    table.get_mut(name).and_then(Value::as_table_mut)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::ids::ClientKey;

    #[test]
    fn each_setting_is_kept_or_taken_as_its_row_says() {
        let filled = |value: &str| {
            let mut table = Table::new();
            for setting in SETTINGS.iter().filter(|setting| setting.section() != "client") {
                let section = table.entry(setting.section()).or_insert_with(|| Value::Table(Table::new()));
                let section = section.as_table_mut().unwrap();
                section.insert(setting.short_name().to_owned(), Value::String(value.to_owned()));
            }
            table
        };
        let (old, mut new) = (filled("old"), filled("new"));
        keep(&old, &mut new);
        for setting in SETTINGS.iter().filter(|setting| setting.section() != "client") {
            let expected = if setting.applies() == Applies::AtReload { "new" } else { "old" };
            assert_eq!(
                new[setting.section()][setting.short_name()].as_str(),
                Some(expected),
                "{}",
                setting.name
            );
        }
        keep(&Table::new(), &mut new);
        assert_eq!(new["listen"].get("clients"), None, "what was not set before is not set by a reload");
        assert!(new["listen"].get("drain").is_some());
    }

    fn client(name: &str, key: &[u8; 32]) -> Client {
        Client { name: name.to_owned(), keys: vec![ClientKey::parse(key).unwrap()], ..Client::default() }
    }

    #[test]
    fn a_reload_tells_what_changed_by_name_and_secrets_come_along() {
        let (first, second) = (b"fake-client-key-0000000000000001", b"fake-client-key-0000000000000002");
        let old_key = "fake-upstream-key-00000000000000";
        let mut old = Config::default();
        old.upstream.key = Some(UpstreamKey::new(old_key));
        old.clients = vec![client("gone", first), client("stays", first), client("rotates", first)];
        let mut new = old.clone();
        new.upstream.key = Some(UpstreamKey::new("fake-upstream-key-00000000000001"));
        new.listen.clients.set_port(1);
        new.listen.tls = Some(new.listen.admin);
        new.polling.interval = Duration::from_secs(9);
        new.prices = toml::from_str("image = 0.5").unwrap();
        new.clients = vec![client("stays", first), client("rotates", second), client("comes", first)];
        new.clients[1].rate = Some(5.0);
        let (config, changes) = old.reloaded(new);
        assert_eq!(changes.at_restart, ["listen.clients", "listen.tls"]);
        let told = ["client gone removed", "client rotates: rate, key", "client comes added"];
        let settings = ["polling.interval", "prices.image", "upstream.key"];
        for name in told.iter().chain(&settings) {
            assert!(changes.applied.contains(&(*name).to_owned()), "{name} in {:?}", changes.applied);
        }
        assert_eq!(changes.applied.len(), 6, "{:?}", changes.applied);
        assert_eq!((config.listen.clients, config.listen.tls), (old.listen.clients, None));
        assert_eq!(config.polling.interval, Duration::from_secs(9));
        assert_eq!(config.upstream.key.unwrap().expose(), "fake-upstream-key-00000000000001");
        assert_eq!(config.clients[1].keys, [ClientKey::parse(second).unwrap()]);
    }

    #[test]
    fn the_same_settings_again_are_no_change() {
        let mut config = Config::default();
        config.upstream.key = Some(UpstreamKey::new("fake-upstream-key-00000000000000"));
        config.clients = vec![client("a", b"fake-client-key-0000000000000001")];
        let (_, changes) = config.reloaded(config.clone());
        assert_eq!(changes, Changes::default());
    }

    #[test]
    fn a_certificate_that_was_written_anew_is_a_change_and_a_key_file_is_told_as_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let read = |content: &str| {
            std::fs::write(&path, content).unwrap();
            let names = ["listen.tls_cert", "client.0.key_file", "pingback.ca_file"];
            Config { files: names.map(|name| ReadFile::read(name, &path)).into(), ..Config::default() }
        };
        let (old, new) = (read("one"), read("another"));
        let (config, changes) = old.reloaded(new);
        assert_eq!(
            (changes.applied.as_slice(), changes.at_restart.as_slice()),
            (["listen.tls_cert".to_owned()].as_slice(), ["pingback.ca_file".to_owned()].as_slice())
        );
        assert_eq!(config.reloaded(read("another")).1, Changes::default());
    }
}
