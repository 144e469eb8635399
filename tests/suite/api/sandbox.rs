//! `capgate serve --sandbox`: what a new user is told has to work when it is typed.

use std::process::Command;

use crate::support::{TestBinary, wait_until};

/// Any free ports, so that tests do not meet.
const PORTS: &[(&str, &str)] =
    &[("CAPGATE_LISTEN__CLIENTS", "127.0.0.1:0"), ("CAPGATE_LISTEN__ADMIN", "127.0.0.1:0")];

fn typed(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().expect("a shell");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The part of a line after its first words.
fn command_in(line: &str) -> &str {
    let at = line.find("curl ").expect("a curl line");
    &line[at..]
}

#[test]
fn the_lines_that_a_new_user_sees_lead_to_an_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = TestBinary::start(folder.path(), &["serve", "--sandbox"], PORTS);
    let listens = sandbox.line_with("for clients");
    let state = sandbox.line_with("built-in simulator");
    let key_line = sandbox.line_with("client key");
    let upload = sandbox.line_with("curl ");
    let poll = sandbox.line_with("curl ");
    let key = key_line.rsplit(' ').next().expect("a key");
    assert_eq!(key.len(), 32);
    assert!(upload.contains(key) && poll.contains(key));
    assert!(listens.contains("http://127.0.0.1:"));

    let accepted = typed(&format!("{} -s", command_in(&upload)));
    let id = accepted.strip_prefix("OK|").expect("accepted");
    let ask = format!("{} -s", command_in(&poll).replace("=ID", &format!("={id}")));
    let mut answer = typed(&ask);
    assert!(answer == "CAPCHA_NOT_READY" || answer.starts_with("OK|"), "{answer}");
    wait_until("an answer from the sandbox", || {
        if answer == "CAPCHA_NOT_READY" {
            answer = typed(&ask);
        }
        answer != "CAPCHA_NOT_READY"
    });
    assert!(answer.starts_with("OK|") && answer.len() > 3, "{answer}");
    let page = state.split_whitespace().find(|word| word.ends_with("/state")).expect("the simulator's page");
    assert!(typed(&format!("curl -s {page}")).contains("\"uploads_accepted\":1"));

    let stop = sandbox.line_with("Stop the client:");
    assert!(typed(&format!("{} -s", command_in(&stop))).contains("sandbox is stopped"));
    assert_eq!(typed(&format!("{} -s", command_in(&upload))), "ERROR_KEY_DOES_NOT_EXIST");

    let (_, logged) = sandbox.stop();
    assert!(!logged.contains(key), "the greeting shows the key, the logs do not");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").collect();
    assert!(left.is_empty(), "a sandbox leaves nothing behind: {left:?}");
}
