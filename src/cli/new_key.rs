//! `capgate new-key NAME`: a client's key, and the lines that let it in. The settings hold the key's digest only.

use std::io::Write;

use anyhow::{Context, ensure};
use rand::TryRng;
use rand::rngs::SysRng;

use crate::config::{CLIENT_NAME, is_client_name};
use crate::protocol::ids::{ClientKey, KEY_SYMBOLS, hex};

pub(super) fn run(name: &str) -> anyhow::Result<()> {
    ensure!(is_client_name(name), "{name:?} is no client name: expected {CLIENT_NAME}");
    let mut random = [0; KEY_SYMBOLS / 2];
    SysRng.try_fill_bytes(&mut random).context("the operating system gives no randomness")?;
    let text = text(name, &hex(&random))?;
    std::io::stdout().write_all(text.as_bytes())?;
    eprintln!(
        "The first line is the key for {name}: it is shown this once. The rest belongs into the settings file."
    );
    Ok(())
}

/// The key on a line of its own, then the settings lines.
fn text(name: &str, key: &str) -> anyhow::Result<String> {
    let digest =
        ClientKey::parse(key.as_bytes()).map_err(|code| anyhow::anyhow!("{}", code.as_str()))?.sha256_hex();
    Ok(format!("{key}\n\n[[client]]\nname = \"{name}\"\nkey_sha256 = \"{digest}\"\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_lines_let_the_key_in_and_do_not_hold_it() {
        let key = "0123456789abcdef0123456789abcdef";
        let text = text("team-a", key).unwrap();
        let (first, lines) = text.split_once('\n').unwrap();
        assert_eq!(first, key);
        assert!(!lines.contains(key));
        let file = std::env::temp_dir().join(format!("capgate-new-key-{}.toml", std::process::id()));
        std::fs::write(&file, lines).unwrap();
        let config = Config::load(Some(&file), std::iter::empty(), true);
        std::fs::remove_file(&file).unwrap();
        let config = config.unwrap();
        assert_eq!(config.clients[0].name, "team-a");
        assert_eq!(config.clients[0].keys, [ClientKey::parse(key.as_bytes()).unwrap()]);
    }

    #[test]
    fn a_name_that_could_break_out_of_its_line_is_refused() {
        for name in ["", "a b", "a\"", "a\nb", "é", &"a".repeat(65)] {
            assert!(run(name).is_err(), "{name:?}");
        }
    }
}
