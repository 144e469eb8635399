//! Nothing that was paid is lost, seen from outside: the gateway is a process that is killed, or whose disk is full or
//! damaged, in front of a simulator that lives on and counts what was bought by what it says.
//!
//! | file | what happens |
//! | --- | --- |
//! | `kills` | `kill -9` at random moments while clients upload and poll |
//! | `clients` | those clients |
//! | `full` | the disk takes nothing more, and later does |
//! | `damaged` | the file or its log is not as it was left, or cannot be opened |
//! | `outage` | the store fails for minutes while captchas are looked at, then a kill: no look is forgotten |
//! | `flaky` | that store |
//! | `late` | the store fails just after an upload was accepted, or says nothing |

mod clients;
mod damaged;
mod flaky;
mod full;
mod kills;
mod late;
mod outage;

use std::collections::BTreeMap;

use capgate::protocol::{Field, Form};
use capgate::simulator::answers;

use crate::support::{TestProgram, expected};

/// The answer to a question.
fn answer_to(text: &str) -> String {
    format!("OK|{}", expected(&[("textcaptcha", text)], 0.0).plain)
}

/// What the simulator calls a question.
fn content_of(text: &str) -> String {
    let mut form = Form::default();
    form.set(Field::text("textcaptcha", text.as_bytes().to_vec())).unwrap();
    answers::content(&form)
}

/// How often each question was bought, by its content.
fn bought(program: &TestProgram) -> BTreeMap<String, u64> {
    let mut bought = BTreeMap::new();
    for captcha in program.simulated("/captchas").as_array().unwrap() {
        *bought.entry(captcha["content"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    bought
}

/// Fails when the upstream had a reason to block.
#[track_caller]
fn assert_never_blocked(program: &TestProgram) {
    let state = program.simulated("/state");
    assert_eq!(
        (state["blocks"].as_u64(), state["calls_while_blocked"].as_u64()),
        (Some(0), Some(0)),
        "{state}"
    );
}
