//! Every code that the upstream is known to send, and what each asks of us.
//!
//! The table below is the only list of codes in the program. Sources: protocol.md 2.5, 3.2 and 5, which mark each
//! code as old (2016), modern or observed. A code that is not in it passes through verbatim, see [`Code`].

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

/// What a code asks of whoever receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Not an end: look at the captcha again.
    PollAgain,
    /// The captcha has ended with this code; it is as final as an answer.
    EndCaptcha,
    /// The call itself was wrong: its sender mends it, another try changes nothing.
    FixCall,
    /// The account's queue is full: uploads wait.
    WaitForSlot,
    /// The account has no money: uploads wait.
    WaitForBalance,
    /// The account or our address is locked out for this many seconds.
    WaitOutBlock(u32),
    /// The upstream refuses our key or our address; more calls would only make it worse.
    StopCalling,
}

macro_rules! error_table {
    ($($name:ident = $text:literal => $reaction:expr, $help:literal;)*) => {
        /// A code of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode { $(#[doc = $help] $name,)* }

        impl ErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as it stands on the wire, misspellings included.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The code that `text` is, to the letter.
            #[must_use]
            pub fn parse(text: &[u8]) -> Option<Self> {
                $(if text == $text.as_bytes() { return Some(Self::$name); })*
                None
            }

            /// What the code asks of its receiver.
            #[must_use]
            pub const fn reaction(self) -> Reaction {
                use Reaction::*;
                match self { $(Self::$name => $reaction,)* }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)* }
            }
        }
    };
}

#[rustfmt::skip]
error_table! {
    NotReady              = "CAPCHA_NOT_READY"                 => PollAgain,         "The captcha is not solved yet.";
    Unsolvable            = "ERROR_CAPTCHA_UNSOLVABLE"         => EndCaptcha,        "Nobody could solve the captcha; it is not charged.";
    WrongCaptchaId        = "ERROR_WRONG_CAPTCHA_ID"           => EndCaptcha,        "The id is not known, is not yours, or was uploaded more than 15 minutes ago.";
    NoSuchCaptchaId       = "ERROR_NO_SUCH_CAPCHA_ID"          => EndCaptcha,        "The id is not known.";
    BadDuplicates         = "ERROR_BAD_DUPLICATES"             => EndCaptcha,        "The workers' answers did not agree often enough.";
    TokenExpired          = "ERROR_TOKEN_EXPIRED"              => EndCaptcha,        "The challenge expired before it was solved.";
    ProxyConnectionFailed = "ERROR_PROXY_CONNECTION_FAILED"    => EndCaptcha,        "The proxy could not be used.";
    WrongIdFormat         = "ERROR_WRONG_ID_FORMAT"            => FixCall,           "A captcha id holds digits only.";
    WrongUserKey          = "ERROR_WRONG_USER_KEY"             => StopCalling,       "The key does not have 32 symbols.";
    KeyDoesNotExist       = "ERROR_KEY_DOES_NOT_EXIST"         => StopCalling,       "The key is not known.";
    IpNotAllowed          = "ERROR_IP_NOT_ALLOWED"             => StopCalling,       "The account does not allow calls from this address.";
    ZeroBalance           = "ERROR_ZERO_BALANCE"               => WaitForBalance,    "The account has no money.";
    NoSlotAvailable       = "ERROR_NO_SLOT_AVAILABLE"          => WaitForSlot,       "The queue is full; try again in a few seconds.";
    PageUrl               = "ERROR_PAGEURL"                    => FixCall,           "The parameter pageurl is missing.";
    ZeroCaptchaFilesize   = "ERROR_ZERO_CAPTCHA_FILESIZE"      => FixCall,           "The image has fewer than 100 bytes.";
    TooBigCaptchaFilesize = "ERROR_TOO_BIG_CAPTCHA_FILESIZE"   => FixCall,           "The file is larger than the service takes.";
    WrongFileExtension    = "ERROR_WRONG_FILE_EXTENSION"       => FixCall,           "The extension is none of jpg, jpeg, gif, png.";
    ImageTypeNotSupported = "ERROR_IMAGE_TYPE_NOT_SUPPORTED"   => FixCall,           "The file is no JPEG, GIF or PNG image.";
    Upload                = "ERROR_UPLOAD"                     => FixCall,           "The body could not be read, or the base64 in it is damaged.";
    BadTokenOrPageUrl     = "ERROR_BAD_TOKEN_OR_PAGEURL"       => FixCall,           "The site key and the page do not belong together.";
    GoogleKey             = "ERROR_GOOGLEKEY"                  => FixCall,           "The site key is blank or malformed.";
    WrongGoogleKey        = "ERROR_WRONG_GOOGLEKEY"            => FixCall,           "The parameter googlekey is missing.";
    ProxyFormat           = "ERROR_PROXY_FORMAT"               => FixCall,           "The proxy is malformed.";
    BadProxy              = "ERROR_BAD_PROXY"                  => FixCall,           "The proxy is marked bad for ten minutes.";
    CaptchaImageBlocked   = "ERROR_CAPTCHAIMAGE_BLOCKED"       => FixCall,           "The image is known as unrecognisable.";
    TooManyBadImages      = "TOO_MANY_BAD_IMAGES"              => FixCall,           "Too many images could not be recognised.";
    BadParameters         = "ERROR_BAD_PARAMETERS"             => FixCall,           "A required value is missing or malformed.";
    EmptyAction           = "ERROR_EMPTY_ACTION"               => FixCall,           "The parameter action is missing or unknown.";
    CaptchaIdMissing      = "ERROR_CAPTCHA_ID"                 => FixCall,           "The captcha id is missing.";
    IpAddress             = "ERROR_IP_ADDRES"                  => FixCall,           "The pingback address is not registered from its own address.";
    ReportNotRecorded     = "REPORT_NOT_RECORDED"              => FixCall,           "The report was not accepted.";
    ErrorReportNotRecorded = "ERROR_REPORT_NOT_RECORDED"       => FixCall,           "The report was not accepted.";
    DuplicateReport       = "ERROR_DUPLICATE_REPORT"           => FixCall,           "The captcha has been reported already.";
    MaxUserTurn           = "MAX_USER_TURN"                    => WaitOutBlock(10),  "More than 60 uploads in 3 seconds: blocked for 10 seconds.";
    IpBanned              = "IP_BANNED"                        => WaitOutBlock(300), "Too many calls with a wrong key: blocked for 5 minutes.";
    Block1001             = "ERROR: 1001"                      => WaitOutBlock(600), "120 no-slot answers in a minute: blocked for 10 minutes.";
    Block1002             = "ERROR: 1002"                      => WaitOutBlock(300), "120 zero-balance answers in a minute: blocked for 5 minutes.";
    Block1003             = "ERROR: 1003"                      => WaitOutBlock(30),  "Three times more no-slot answers than uploads: blocked for 30 seconds.";
    Block1004             = "ERROR: 1004"                      => WaitOutBlock(600), "Five calls with a wrong key: the address is blocked for 10 minutes.";
    Block1005             = "ERROR: 1005"                      => WaitOutBlock(300), "More than 20 calls to res.php a captcha, plus 1200: blocked for 5 minutes.";
}

impl ErrorCode {
    /// Whether the code speaks of the account or our address, never of one captcha.
    #[must_use]
    pub const fn is_about_account(self) -> bool {
        matches!(
            self.reaction(),
            Reaction::WaitForSlot
                | Reaction::WaitForBalance
                | Reaction::WaitOutBlock(_)
                | Reaction::StopCalling
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Longest code that we take for one, bytes; the longest in the table has 30.
const CODE_BYTES_MAX: usize = 64;

/// A code as received: one of the table, or one that was invented since, kept to the letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    Known(ErrorCode),
    Unknown(Bytes),
}

impl Code {
    /// Takes `text` for a code when it is in the table or has the shape of one: `ERROR_` and capitals (modern
    /// codes), or `ERROR: ` and digits (block codes, protocol.md 5).
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if let Some(code) = ErrorCode::parse(text) {
            return Some(Self::Known(code));
        }
        let capitals = |rest: &[u8]| {
            !rest.is_empty()
                && rest.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
        };
        let digits = |rest: &[u8]| !rest.is_empty() && rest.iter().all(u8::is_ascii_digit);
        let is_code = text.len() <= CODE_BYTES_MAX
            && (text.strip_prefix(b"ERROR_").is_some_and(capitals)
                || text.strip_prefix(b"ERROR: ").is_some_and(digits));
        is_code.then(|| Self::Unknown(Bytes::copy_from_slice(text)))
    }

    /// The code of the table, if it is one.
    #[must_use]
    pub const fn known(&self) -> Option<ErrorCode> {
        match self {
            Self::Known(code) => Some(*code),
            Self::Unknown(_) => None,
        }
    }

    /// What to do about it; an unknown block code (`ERROR: NNNN`) is waited out like the longest known block, any
    /// other unknown code is a reason to ask again (protocol.md 7, trap 6).
    #[must_use]
    pub fn reaction(&self) -> Reaction {
        match self {
            Self::Known(code) => code.reaction(),
            Self::Unknown(text) if text.starts_with(b"ERROR: ") => Reaction::WaitOutBlock(600),
            Self::Unknown(_) => Reaction::PollAgain,
        }
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Known(code) => code.as_str().as_bytes(),
            Self::Unknown(text) => text,
        }
    }

    /// The code as text, to the letter.
    #[must_use]
    pub fn as_str(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }
}

impl From<ErrorCode> for Code {
    fn from(code: ErrorCode) -> Self {
        Self::Known(code)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_parses_back_to_itself() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::parse(code.as_str().as_bytes()), Some(*code));
            assert!(code.as_str().len() <= CODE_BYTES_MAX);
        }
    }

    #[test]
    fn the_misspelt_codes_stay_misspelt() {
        assert_eq!(ErrorCode::NotReady.as_str(), "CAPCHA_NOT_READY");
        assert_eq!(ErrorCode::NoSuchCaptchaId.as_str(), "ERROR_NO_SUCH_CAPCHA_ID");
        assert_eq!(ErrorCode::IpAddress.as_str(), "ERROR_IP_ADDRES");
    }

    #[test]
    fn a_code_invented_later_is_kept_to_the_letter() {
        let code = Code::parse(b"ERROR_BRAND_NEW_2").unwrap();
        assert_eq!((code.to_string().as_str(), code.reaction()), ("ERROR_BRAND_NEW_2", Reaction::PollAgain));
        assert_eq!(Code::parse(b"ERROR: 1017").unwrap().reaction(), Reaction::WaitOutBlock(600));
    }

    #[test]
    fn answers_are_not_taken_for_codes() {
        for answer in ["", "ERROR_", "ERROR_a", "error", "ERROR: ", "OK|1", "ERROR 500", "click:1/2"] {
            assert_eq!(Code::parse(answer.as_bytes()), None, "{answer}");
        }
        assert_eq!(Code::parse(format!("ERROR_{}", "A".repeat(58)).as_bytes()).map(|_| ()), Some(()));
        assert_eq!(Code::parse(format!("ERROR_{}", "A".repeat(59)).as_bytes()), None);
    }
}
