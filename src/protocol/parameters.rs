//! Parameters of in.php and res.php that mean something to us; every other one is forwarded unchanged.
//!
//! Sources: protocol.md 2.2, 2.3 and 3.1; the 2016 description for what it lists.

/// What becomes of a parameter on its way from the client to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Goes on as it came.
    Forward,
    /// The upstream's own value takes its place.
    Replace,
    /// Obeyed here, and not sent on.
    Obey,
    /// Dropped: it would reveal something.
    Drop,
}

impl Fate {
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Forward => "forwarded",
            Self::Replace => "replaced",
            Self::Obey => "obeyed here",
            Self::Drop => "dropped",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub fate: Fate,
    pub help: &'static str,
}

const fn row(name: &'static str, fate: Fate, help: &'static str) -> Parameter {
    Parameter { name, fate, help }
}

/// What in.php takes.
#[rustfmt::skip]
pub const SUBMIT_PARAMETERS: &[Parameter] = &[
    row("key",                Fate::Replace, "the client's key comes in, the account's key goes out"),
    row("method",             Fate::Forward, "the kind of captcha; blanks around it do not matter"),
    row("json",               Fate::Forward, "`1`: the reply is JSON"),
    row("header_acao",        Fate::Obey,    "`1`: the reply carries `Access-Control-Allow-Origin: *`"),
    row("debug_dump",         Fate::Drop,    "the upstream's dump would show the account's key"),
    row("pingback",           Fate::Obey,    "a URL on a registered host: capgate pushes the outcome to it"),
    row("soft_id",            Fate::Forward, "a developer's id"),
    row("file",               Fate::Forward, "an image, sent as a file: 100 bytes to 600 kB"),
    row("file_1",             Fate::Forward, "further images of a rotate captcha; `file_2` and so on"),
    row("body",               Fate::Forward, "an image (or audio) as base64"),
    row("textcaptcha",        Fate::Forward, "a question, 140 characters at most"),
    row("textinstructions",   Fate::Forward, "what to do with the image, or a question without one; 140 characters at most"),
    row("imginstructions",    Fate::Forward, "an image that says what to do, 100 kB at most"),
    row("phrase",             Fate::Forward, "`1`: two words or more"),
    row("regsense",           Fate::Forward, "`1`: case matters"),
    row("numeric",            Fate::Forward, "0 to 4: which symbols there are"),
    row("calc",               Fate::Forward, "`1`: a sum to work out"),
    row("min_len",            Fate::Forward, "fewest symbols, 0 to 20"),
    row("max_len",            Fate::Forward, "most symbols, 0 to 20"),
    row("language",           Fate::Forward, "0 any, 1 Cyrillic, 2 Latin"),
    row("lang",               Fate::Forward, "a language code"),
    row("priority",           Fate::Obey,    "0 to 9: the client's own order among its waiting uploads, higher first"),
    row("id_construction",    Fate::Forward, "the number of a captcha construction"),
    row("recaptcha",          Fate::Forward, "`1`: a grid of images"),
    row("recaptchacols",      Fate::Forward, "columns of the grid"),
    row("recaptcharows",      Fate::Forward, "rows of the grid"),
    row("canvas",             Fate::Forward, "`1` with `recaptcha=1`: draw around the object"),
    row("coordinatescaptcha", Fate::Forward, "`1`: click on points"),
    row("angle",              Fate::Forward, "degrees a click turns a rotate captcha by"),
    row("googlekey",          Fate::Forward, "a reCAPTCHA's site key; token methods have keys of their own"),
    row("pageurl",            Fate::Forward, "the page that shows the captcha"),
    row("proxy",              Fate::Forward, "`login:pass@host:port` for the worker; never logged"),
    row("cookies",            Fate::Forward, "`KEY:VAL;KEY:VAL;` for the worker; never logged"),
];

/// What res.php takes.
#[rustfmt::skip]
pub const RES_PARAMETERS: &[Parameter] = &[
    row("key",         Fate::Replace, "the client's key comes in, the account's key goes out"),
    row("action",      Fate::Obey,    "get, get2, getbalance, getstats, reportbad, reportgood, add_pingback, get_pingback, del_pingback"),
    row("id",          Fate::Obey,    "one captcha"),
    row("ids",         Fate::Obey,    "several captchas, separated by commas"),
    row("wait",        Fate::Obey,    "0 to 300: seconds that get and get2 wait for an answer, instead of the client's hold; with `ids`, at most 100, until one has an answer"),
    row("json",        Fate::Obey,    "`1`: the reply is JSON, however the captcha was uploaded"),
    row("header_acao", Fate::Obey,    "`1`: the reply carries `Access-Control-Allow-Origin: *`"),
    row("date",        Fate::Obey,    "the day of getstats, `YYYY-MM-DD`"),
    row("addr",        Fate::Obey,    "the address of add_pingback and del_pingback; `all` deletes every one"),
    row("debug_dump",  Fate::Drop,    "the upstream's dump would show the account's key"),
];

/// What becomes of in.php's parameter `name`. A name that PHP would take for another one (` key`, `key[]`, `debug.dump`)
/// has that one's fate, so that nothing reaches the upstream under a disguise.
#[must_use]
pub fn fate_on_submit(name: &str) -> Fate {
    let row_of =
        |name: &str| SUBMIT_PARAMETERS.iter().find(|known| known.name == name).map(|known| known.fate);
    let folded = php_name(name);
    match row_of(name) {
        Some(fate) => fate,
        None => match row_of(&folded) {
            // `key[]` would take the place of the key that we set.
            Some(Fate::Replace) => Fate::Drop,
            Some(fate) => fate,
            None => Fate::Forward,
        },
    }
}

/// The name under which PHP files a parameter: without leading blanks, up to a `[` or NUL, with `_` for blanks and dots.
pub(super) fn php_name(name: &str) -> String {
    let name = name.trim_start_matches(' ');
    let name = name.split(['\0', '[']).next().unwrap_or(name);
    name.replace([' ', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_table_does_not_know_is_forwarded() {
        assert_eq!(fate_on_submit("data[blob]"), Fate::Forward);
        assert_eq!(fate_on_submit("debug_dump"), Fate::Drop);
    }

    #[test]
    fn a_disguise_that_php_sees_through_changes_no_fate() {
        for name in [" key", "  key", "key[]", "key[a]", "key\0x"] {
            assert_eq!(fate_on_submit(name), Fate::Drop, "{name:?}");
        }
        assert_eq!(fate_on_submit(" pingback[x]"), Fate::Obey, "it is not sent on");
        for name in ["debug.dump", "debug dump", "debug_dump[]"] {
            assert_eq!(fate_on_submit(name), Fate::Drop, "{name:?}");
        }
        assert_eq!(fate_on_submit("data[key]"), Fate::Forward);
    }

    #[test]
    fn no_name_stands_twice() {
        for table in [SUBMIT_PARAMETERS, RES_PARAMETERS] {
            for (at, parameter) in table.iter().enumerate() {
                assert!(table[..at].iter().all(|other| other.name != parameter.name), "{}", parameter.name);
            }
        }
    }
}
