//! What is written about settings, searched for every secret in every form in which one could get there.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::support::run;

const UPSTREAM_KEY: &str = "acc0unt.key/of+the=upstream-0001";
const CLIENT_KEY: &str = "cl1ent.key/of+the=first-team-001";
const SHORT_KEY: &str = "cl1ent.key/of+the=firs";

const SECRETS: &[&str] = &[UPSTREAM_KEY, CLIENT_KEY, SHORT_KEY];

/// A secret as it is, urlencoded, escaped, in hexadecimal digits, and in base64 at each offset.
fn forms(secret: &str) -> Vec<String> {
    let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let digits: Vec<_> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms =
        vec![secret.to_owned(), encoded.to_lowercase(), encoded, digits.concat(), secret.replace('/', "\\/")];
    for offset in 0..3 {
        let shifted = [&[0; 2][..offset], secret.as_bytes()].concat();
        for text in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            forms.push(text[[0, 2, 3][offset]..text.len() - 1].to_owned());
        }
    }
    forms
}

#[track_caller]
fn holds_no_secret(what: &str, bytes: &[u8]) {
    for secret in SECRETS {
        for form in forms(secret) {
            if let Some(at) = bytes.windows(form.len()).position(|window| window == form.as_bytes()) {
                let around =
                    String::from_utf8_lossy(&bytes[at.saturating_sub(200)..(at + 100).min(bytes.len())]);
                panic!("{what} shows {secret} as {form}: {around}");
            }
        }
    }
}

#[test]
fn the_faults_of_settings_show_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    for text in [
        format!("[upstream]\nkey = \"{UPSTREAM_KEY}\n"),
        format!("[upstream]\nkey = \"{UPSTREAM_KEY}x\"\n"),
        format!("[upstream]\nkey = [\"{UPSTREAM_KEY}\"]\n"),
        format!("[upstream]\nkey = \"{UPSTREAM_KEY}\" \"{UPSTREAM_KEY}\"\n"),
        format!("[upstream]\nkeys = \"{UPSTREAM_KEY}\"\n"),
        format!("[upstream]\nkey = \"{UPSTREAM_KEY}\"\nkey = \"{UPSTREAM_KEY}\"\n"),
        format!(
            "[[client]]\nname = \"a\"\nkey = \"{CLIENT_KEY}\"\n[[client]]\nname = \"b\"\nkey = \"{CLIENT_KEY}\"\n"
        ),
        format!("[[client]]\nname = \"a\"\nkey = [\"{CLIENT_KEY}\", \"{SHORT_KEY}\"]\n"),
        format!("[[client]]\nname = \"a\"\nkey_sha256 = \"{CLIENT_KEY}\"\n"),
    ] {
        std::fs::write(folder.path().join("capgate.toml"), &text).unwrap();
        let checked = run(folder.path(), &["check-config", "--config", "capgate.toml"], &[]);
        assert!(!checked.status.success(), "{text}");
        holds_no_secret(
            &text.replace(UPSTREAM_KEY, "K").replace(CLIENT_KEY, "C"),
            &[checked.stdout, checked.stderr].concat(),
        );
    }
}
