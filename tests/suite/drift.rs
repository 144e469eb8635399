//! The README's tables come from the code. A table that differs fails here; `UPDATE_README=1` rewrites it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use capgate::config::Prices;
use capgate::engine::policy::Rule;
use capgate::metrics;
use capgate::protocol::errors::{ErrorCode, Reaction};
use capgate::protocol::methods::{FirstLook, Look, Method, Pushed};
use capgate::protocol::parameters::{RES_PARAMETERS, SUBMIT_PARAMETERS};
use capgate::server::status::State;

const RULES: &str = "deploy/prometheus/rules.yml";

fn readme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

fn is_updating() -> bool {
    std::env::vars().any(|(name, value)| name == "UPDATE_README" && value == "1")
}

/// Compares what stands between the markers of `table` with `expected`, or puts it there.
fn check(table: &str, expected: &str) {
    // The tests of one process run side by side, and each may rewrite the file.
    static README: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let guard = README.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let text = fs::read_to_string(readme()).unwrap();
    let (start, end) = (format!("<!-- table: {table} -->\n"), "<!-- end of table -->");
    let from = text.find(&start).unwrap_or_else(|| panic!("the README has no table {table}")) + start.len();
    let to = from + text[from..].find(end).unwrap();
    if text[from..to] == *expected {
        return;
    }
    let is_updating = is_updating();
    if is_updating {
        fs::write(readme(), format!("{}{expected}{}", &text[..from], &text[to..])).unwrap();
    }
    drop(guard);
    assert!(is_updating, "the README's table {table} differs from the code: run with UPDATE_README=1");
}

#[test]
fn the_settings_are_those_of_the_code() {
    check("settings", &capgate::config::settings_table());
}

#[test]
fn the_metrics_are_those_of_the_catalogue() {
    let mut table = String::from("| metric | labels | what it counts |\n| --- | --- | --- |\n");
    for row in metrics::ROWS {
        let labels = row.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(" ");
        writeln!(table, "| `{}` | {labels} | {} |", row.name, row.help).unwrap();
    }
    check("metrics", &table);
}

/// Without the endings that a histogram's series have.
fn metric_of(series: &str) -> &str {
    let endings = ["_bucket", "_sum", "_count"];
    endings.iter().find_map(|ending| series.strip_suffix(ending)).unwrap_or(series)
}

#[test]
fn dashboards_and_rules_name_metrics_of_the_catalogue_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["dashboards/account.json", "dashboards/clients.json", "dashboards/capgate.json", RULES] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        let words = text.split(|symbol: char| !symbol.is_ascii_alphanumeric() && symbol != '_');
        let named: BTreeSet<_> = words.filter(|word| word.starts_with("capgate_")).collect();
        assert!(named.len() > 5, "{file} names {named:?} only");
        for series in named {
            let is_known =
                metrics::ROWS.iter().any(|row| row.name == metric_of(series) || row.name == series);
            assert!(is_known, "{file} names {series}, which is no metric");
        }
    }
}

#[test]
fn the_states_are_those_of_the_status_page() {
    let mut table =
        String::from("| state | in the JSON | what it means | what to do |\n| --- | --- | --- | --- |\n");
    for state in State::ALL {
        let (title, label, means, to_do) = (state.title(), state.label(), state.means(), state.to_do());
        writeln!(table, "| {title} | `{label}` | {means} | {to_do} |").unwrap();
    }
    check("states", &table);
}

#[test]
fn the_operators_form_of_the_rules_holds_the_same_rules() {
    const OPERATORS: &str = "deploy/kubernetes/overlays/shared/prometheus-rule.yaml";
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (rules, text) =
        (fs::read_to_string(root.join(RULES)).unwrap(), fs::read_to_string(root.join(OPERATORS)).unwrap());
    let (_, groups) = rules.split_once("groups:\n").expect("the rules begin with their groups");
    let (head, _) = text.split_once("spec:\n").expect("a rule of the operator has a specification");
    let mut expected = format!("{head}spec:\n  groups:\n");
    for line in groups.lines() {
        let indent = if line.is_empty() { "" } else { "  " };
        writeln!(expected, "{indent}{line}").unwrap();
    }
    if text != expected {
        let is_updating = is_updating();
        if is_updating {
            fs::write(root.join(OPERATORS), expected).unwrap();
        }
        assert!(is_updating, "{OPERATORS} differs from {RULES}: run with UPDATE_README=1");
    }
}

#[test]
fn the_events_are_those_of_the_audit_trail() {
    let mut table = String::from("| event | members | when |\n| --- | --- | --- |\n");
    for (event, members, when) in capgate::audit::EVENTS {
        let members = members.iter().map(|member| format!("`{member}`")).collect::<Vec<_>>().join(" ");
        writeln!(table, "| `{event}` | {members} | {when} |").unwrap();
    }
    check("events", &table);
}

#[test]
fn the_methods_are_those_of_the_method_table() {
    let mut table = String::from(
        "| label | `method=` | looked at | when pushed | first look | `[prices]` |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    let prices = Prices::default();
    for method in Method::ALL {
        let wire = match method.wire() {
            "" => "any other".to_owned(),
            wire => wire.split(' ').map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" "),
        };
        let look = match method.look() {
            Look::Batch | Look::BatchFreely => "with others, in one `ids` call",
            Look::Alone => "alone, in JSON",
        };
        let pushed = match method.pushed() {
            Pushed::Take => "taken",
            Pushed::Look => "looked at",
        };
        let first = match method.first_look() {
            FirstLook::Image => "`polling.first_look`",
            FirstLook::Token => "`polling.first_look_token`",
        };
        let price = prices.of_1000(*method);
        writeln!(table, "| {} | {wire} | {look} | {pushed} | {first} | {price} |", method.label()).unwrap();
    }
    check("methods", &table);
}

#[test]
fn the_parameters_are_those_of_the_parameter_tables() {
    let mut table =
        String::from("| page | parameter | what becomes of it | meaning |\n| --- | --- | --- | --- |\n");
    for (page, parameters) in [("in.php", SUBMIT_PARAMETERS), ("res.php", RES_PARAMETERS)] {
        for row in parameters {
            writeln!(table, "| {page} | `{}` | {} | {} |", row.name, row.fate.label(), row.help).unwrap();
        }
    }
    check("parameters", &table);
}

#[test]
fn the_rules_for_clients_are_those_of_the_rule_table() {
    let mut table = String::from("| reason | code | when |\n| --- | --- | --- |\n");
    for rule in Rule::ALL {
        writeln!(table, "| `{}` | `{}` | {} |", rule.label(), rule.code(), rule.help()).unwrap();
    }
    check("rules", &table);
}

#[test]
fn the_limits_are_those_of_the_code() {
    let mut table = String::from("| of what | at most | one more |\n| --- | --- | --- |\n");
    for [what, limit, told] in capgate::server::limits::rows() {
        writeln!(table, "| {what} | {limit} | {told} |").unwrap();
    }
    check("limits", &table);
}

#[test]
fn the_codes_are_those_of_the_error_table() {
    let mut table = String::from("| code | meaning | what capgate does |\n| --- | --- | --- |\n");
    for code in ErrorCode::ALL {
        let does = match code.reaction() {
            Reaction::PollAgain => "looks again".to_owned(),
            Reaction::EndCaptcha => "tells it as the captcha's end".to_owned(),
            Reaction::FixCall => "passes it on".to_owned(),
            Reaction::WaitForSlot => "lets uploads wait for a slot".to_owned(),
            Reaction::WaitForBalance => "refuses uploads until there is money".to_owned(),
            Reaction::WaitOutBlock(seconds) => format!("sends nothing for {seconds} s"),
            Reaction::StopCalling => "sends nothing until the key changes".to_owned(),
        };
        writeln!(table, "| `{code}` | {} | {does} |", code.help()).unwrap();
    }
    check("codes", &table);
}
