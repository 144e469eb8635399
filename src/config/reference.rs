//! The settings table written out: the reference file `deploy/capgate.toml` and the README's table.

use std::fmt::Write as _;

use super::Prices;
use super::table::{PRICE, SETTINGS};
use crate::protocol::methods::Method;

/// The README's table.
#[must_use]
pub fn settings_table() -> String {
    let mut table = String::from(
        "| setting | default | accepts | takes effect at a | what it is |\n| --- | --- | --- | --- | --- |\n",
    );
    for setting in SETTINGS {
        let default = setting.default_value().map_or_else(String::new, |value| format!("`{value}`"));
        let (words, doc) = (setting.accepts.words(), setting.doc);
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| `{}` | {default} | {words} | {} | {doc} |",
            setting.name,
            setting.applies().word()
        );
    }
    table
}

/// `deploy/capgate.toml`: every setting at its default, with its comment.
#[must_use]
pub fn reference_file() -> String {
    let mut file = String::from(
        "# Every setting of capgate at its default. Commented out: examples of what has no default, and of a client.\n\
         # A setting can come from the environment too: CAPGATE_POLLING__INTERVAL is polling.interval,\n\
         # CAPGATE_CLIENT__0__NAME the first client's name.\n",
    );
    let mut section = "";
    for setting in SETTINGS {
        let is_client = setting.section() == "client";
        if setting.section() == section {
            file.push('\n');
        } else {
            section = setting.section();
            let heading = if is_client { "# [[client]]" } else { &format!("[{section}]") };
            let _ = write!(file, "\n{heading}\n");
        }
        let _ = writeln!(
            file,
            "# {}\n# Accepts {}. Takes effect at a {}.",
            setting.doc,
            setting.accepts.words(),
            setting.applies().word()
        );
        if setting.name == PRICE {
            file.push_str(&prices());
            continue;
        }
        let name = setting.short_name();
        let _ = match setting.default_value() {
            Some(value) if is_client => writeln!(file, "# {name} = {value}"),
            Some(value) => writeln!(file, "{name} = {value}"),
            None => writeln!(file, "# {name} = {}", setting.example),
        };
    }
    file
}

/// A line for each method's price.
fn prices() -> String {
    let prices = Prices::default();
    let line = |method: &Method| format!("{} = {}", method.label(), prices.of_1000(*method));
    Method::ALL.iter().map(line).collect::<Vec<_>>().join("\n") + "\n"
}
