//! Every kind of captcha that the upstream is known to solve, and what each means for us.
//!
//! The wire's `method` alone does not tell a kind: `post` and `base64` carry images, text questions, grids and
//! coordinates, told apart by other parameters. A [`Method`] is the kind, and its name is the label in metrics, logs
//! and reports. The list is open: what it does not know is [`Method::Other`], and is forwarded unchanged.

use super::form::Form;

/// How an answer is fetched (protocol.md 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// With others in one `ids` call: the answer is one plain piece without `|`.
    Batch,
    /// With others too, though somebody types the answer as it reads, and it could hold a `|`.
    BatchFreely,
    /// Alone and with `json=1`: the answer can hold `|`, is an object or an array, or carries extra fields.
    Alone,
}

/// What becomes of an answer that the upstream pushes: its plain text, as a plain poll tells it (protocol.md 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is the whole answer.
    Take,
    /// It is a reason to look: the answer in JSON is an object or an array, or carries extra fields, or nobody knows.
    Look,
}

/// When an answer can be expected at the earliest (protocol.md 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstLook {
    /// Images and text: setting `polling.first_look`.
    Image,
    /// Token methods and audio: setting `polling.first_look_token`.
    Token,
}

/// What an upload of the method must carry, as far as we can be certain (protocol.md 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// An image in `file` or `body`; a rotate captcha has more in `file_1`, `file_2` and so on.
    Image,
    /// An MP3 in `body` or `file`.
    Audio,
    /// Parameters only, or something we do not judge.
    Parameters,
}

macro_rules! method_table {
    ($($name:ident = $label:literal, $wire:literal, $look:ident, $pushed:ident, $first:ident, $payload:ident;)*) => {
        /// A kind of captcha.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Method {
            $(#[doc = concat!("`method=", $wire, "`")] $name,)*
            /// A method that this table does not know.
            Other,
        }

        impl Method {
            /// Every kind, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)* Self::Other];

            /// The kind's name in metrics, logs and reports.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* Self::Other => "other" }
            }

            /// The values of `method` that mean this kind, separated by blanks.
            #[must_use]
            pub const fn wire(self) -> &'static str {
                match self { $(Self::$name => $wire,)* Self::Other => "" }
            }

            /// How its answers are fetched.
            #[must_use]
            pub const fn look(self) -> Look {
                match self { $(Self::$name => Look::$look,)* Self::Other => Look::Alone }
            }

            /// What becomes of its answers when they are pushed.
            #[must_use]
            pub const fn pushed(self) -> Pushed {
                match self { $(Self::$name => Pushed::$pushed,)* Self::Other => Pushed::Look }
            }

            /// When its answers are looked for first.
            #[must_use]
            pub const fn first_look(self) -> FirstLook {
                match self { $(Self::$name => FirstLook::$first,)* Self::Other => FirstLook::Token }
            }

            /// What an upload of it must carry.
            #[must_use]
            pub const fn payload(self) -> Payload {
                match self { $(Self::$name => Payload::$payload,)* Self::Other => Payload::Parameters }
            }
        }
    };
}

#[rustfmt::skip]
method_table! {
    // kind           label              method              looked at    pushed  first  payload
    Image           = "image",           "post base64",      BatchFreely, Take,   Image, Image;
    Text            = "text",            "textcaptcha",      Alone,       Take,   Image, Parameters;
    Grid            = "grid",            "post base64",      Batch,       Take,   Image, Image;
    Canvas          = "canvas",          "post base64",      Batch,       Take,   Image, Image;
    Coordinates     = "coordinates",     "post base64",      Alone,       Look,   Image, Image;
    Rotate          = "rotate",          "rotatecaptcha",    Alone,       Take,   Image, Image;
    BoundingBox     = "bounding_box",    "bounding_box",     Alone,       Take,   Image, Parameters;
    Audio           = "audio",           "audio",            BatchFreely, Take,   Token, Audio;
    RecaptchaV2     = "recaptcha_v2",    "userrecaptcha",    Batch,       Take,   Token, Parameters;
    RecaptchaCookies = "recaptcha_v2_cookies", "userrecaptcha", Alone,       Look,   Token, Parameters;
    RecaptchaV3     = "recaptcha_v3",    "userrecaptcha",    Alone,       Look,   Token, Parameters;
    Hcaptcha        = "hcaptcha",        "hcaptcha",         Alone,       Look,   Token, Parameters;
    Turnstile       = "turnstile",       "turnstile",        Alone,       Look,   Token, Parameters;
    Funcaptcha      = "funcaptcha",      "funcaptcha",       Alone,       Take,   Token, Parameters;
    Keycaptcha      = "keycaptcha",      "keycaptcha",       Alone,       Take,   Token, Parameters;
    Geetest         = "geetest",         "geetest",          Alone,       Look,   Token, Parameters;
    GeetestV4       = "geetest_v4",      "geetest_v4",       Alone,       Look,   Token, Parameters;
    Capy            = "capy",            "capy",             Alone,       Look,   Token, Parameters;
    Lemin           = "lemin",           "lemin",            Alone,       Look,   Token, Parameters;
    AmazonWaf       = "amazon_waf",      "amazon_waf",       Alone,       Look,   Token, Parameters;
    Tencent         = "tencent",         "tencent",          Alone,       Look,   Token, Parameters;
    Datadome        = "datadome",        "datadome",         Alone,       Take,   Token, Parameters;
    Cybersiara      = "cybersiara",      "cybersiara",       Batch,       Take,   Token, Parameters;
    MtCaptcha       = "mt_captcha",      "mt_captcha",       Batch,       Take,   Token, Parameters;
    Cutcaptcha      = "cutcaptcha",      "cutcaptcha",       Batch,       Take,   Token, Parameters;
    FriendlyCaptcha = "friendly_captcha", "friendly_captcha", Batch,       Take,   Token, Parameters;
    AtbCaptcha      = "atb_captcha",     "atb_captcha",      Batch,       Take,   Token, Parameters;
    Prosopo         = "prosopo",         "prosopo",          Batch,       Take,   Token, Parameters;
    Captchafox      = "captchafox",      "captchafox",       Batch,       Take,   Token, Parameters;
    Yandex          = "yandex",          "yandex",           Batch,       Take,   Token, Parameters;
    Tiktok          = "tiktok",          "tiktok",           Alone,       Look,   Token, Parameters;
    Vkimage         = "vkimage",         "vkimage",          Alone,       Look,   Image, Parameters;
    Vkcaptcha       = "vkcaptcha",       "vkcaptcha",        Alone,       Look,   Token, Parameters;
    Temuimage       = "temuimage",       "temuimage",        Alone,       Look,   Image, Parameters;
    Altcha          = "altcha",          "altcha",           Alone,       Look,   Token, Parameters;
    Binance         = "binance",         "binance",          Alone,       Look,   Token, Parameters;
    Yidun           = "yidun",           "yidun",            Alone,       Look,   Token, Parameters;
    Hunt            = "hunt",            "hunt",             Alone,       Look,   Token, Parameters;
    Alibaba         = "alibaba",         "alibaba",          Alone,       Look,   Token, Parameters;
    Tspd            = "tspd",            "tspd",             Alone,       Look,   Token, Parameters;
    Basilisk        = "basilisk",        "basilisk",         Alone,       Look,   Token, Parameters;
    DragAndDrop     = "drag_and_drop",   "drag_and_drop",    Alone,       Look,   Token, Parameters;
    Imperva         = "imperva",         "imperva",          Alone,       Look,   Token, Parameters;
}

impl Method {
    /// The kind of captcha that an upload asks for (protocol.md 2.3).
    #[must_use]
    pub fn of(form: &Form) -> Self {
        match form.word("method") {
            None | Some(b"post" | b"base64") => Self::of_image(form),
            Some(b"userrecaptcha") => Self::of_recaptcha(form),
            Some(wire) => Self::ALL
                .iter()
                .copied()
                .find(|method| method.wire().as_bytes() == wire)
                .unwrap_or(Self::Other),
        }
    }

    fn of_image(form: &Form) -> Self {
        let has_image = form.value("file").is_some() || form.value("body").is_some();
        if form.is_on("coordinatescaptcha") {
            Self::Coordinates
        } else if form.is_on("recaptcha") && form.is_on("canvas") {
            Self::Canvas
        } else if form.is_on("recaptcha") {
            Self::Grid
        } else if has_image {
            Self::Image
        } else if form.value("textcaptcha").is_some() || form.value("textinstructions").is_some() {
            // The 2016 description names the text of an upload without an image `textinstructions`.
            Self::Text
        } else {
            Self::Image
        }
    }

    fn of_recaptcha(form: &Form) -> Self {
        if form.word("version") == Some(b"v3") {
            Self::RecaptchaV3
        } else if form.word("cookies").is_some() || form.word("json_cookies").is_some() {
            Self::RecaptchaCookies
        } else {
            Self::RecaptchaV2
        }
    }

    /// The kind whose label is `label`.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.label() == label)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn of(query: &str) -> Method {
        Method::of(&Form::decode(query, &Bytes::new()).unwrap())
    }

    #[test]
    fn images_texts_grids_and_coordinates_share_a_wire_method() {
        assert_eq!(of("method=post&file=x"), Method::Image);
        assert_eq!(of("method=base64&body=x&textinstructions=left"), Method::Image);
        assert_eq!(of("textcaptcha=2%2B2"), Method::Text);
        assert_eq!(of("method=post&textinstructions=which+day"), Method::Text);
        assert_eq!(of("method=textcaptcha&textcaptcha=2%2B2"), Method::Text);
        assert_eq!(of("method=post&recaptcha=1&file=x"), Method::Grid);
        assert_eq!(of("method=base64&recaptcha=1&canvas=1&body=x"), Method::Canvas);
        assert_eq!(of("method=base64&coordinatescaptcha=1&body=x"), Method::Coordinates);
    }

    #[test]
    fn recaptchas_differ_by_version_and_cookies() {
        assert_eq!(of("method=userrecaptcha&googlekey=k"), Method::RecaptchaV2);
        assert_eq!(of("method=userrecaptcha&version=v3"), Method::RecaptchaV3);
        assert_eq!(of("method=userrecaptcha&cookies=a:b;"), Method::RecaptchaCookies);
    }

    #[test]
    fn blanks_around_a_method_do_not_matter_and_unknown_ones_are_other() {
        assert_eq!(of("method=geetest_v4+"), Method::GeetestV4);
        assert_eq!(of("method=brand_new"), Method::Other);
    }

    #[test]
    fn labels_are_unique_and_lead_back() {
        for method in Method::ALL {
            assert_eq!(Method::from_label(method.label()), Some(*method));
        }
    }
}
