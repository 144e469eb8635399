use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::BytesMut;

use super::super::support::{form, png, with_file};
use super::*;

const MAX: usize = 600 * 1024;

fn refusal(form: &Form) -> Option<&'static str> {
    Upload::read(form, MAX).err().map(ErrorCode::as_str)
}

fn image(size: usize) -> Option<&'static str> {
    refusal(&with_file("method=post", "file", "a.PNG", png(0, size)))
}

#[test]
fn images_have_a_smallest_and_a_largest_size() {
    assert_eq!(image(99), Some("ERROR_ZERO_CAPTCHA_FILESIZE"));
    assert_eq!((image(100), image(MAX)), (None, None));
    assert_eq!(image(MAX + 1), Some("ERROR_TOO_BIG_CAPTCHA_FILESIZE"));
}

#[test]
fn images_are_known_by_their_first_bytes_and_their_extension() {
    let text = Bytes::from(vec![b'x'; 200]);
    let refused = refusal(&with_file("method=post", "file", "a.png", text));
    assert_eq!(refused, Some("ERROR_IMAGE_TYPE_NOT_SUPPORTED"));
    let foreign = refusal(&with_file("method=post", "file", "a.bmp", png(0, 200)));
    assert_eq!(foreign, Some("ERROR_WRONG_FILE_EXTENSION"));
    for (name, magic) in [("a.jpg", &b"\xff\xd8\xff\xe0"[..]), ("file", b"GIF89a")] {
        let mut image = BytesMut::from(magic);
        image.resize(200, 0);
        assert_eq!(refusal(&with_file("method=post", "file", name, image.freeze())), None);
    }
}

#[test]
fn base64_may_have_a_head_and_line_breaks_and_lack_its_padding_but_must_be_base64() {
    let mut with_body = form("method=base64");
    let whole = BASE64.encode(png(1, 200));
    let broken = format!("{}\r\n{}", &whole[..76], &whole[76..]);
    for body in [whole.clone(), format!("data:image/png;base64,{whole}"), broken, whole.replace('=', "")] {
        with_body.set(crate::protocol::Field::text("body", body)).unwrap();
        assert_eq!(Upload::read(&with_body, MAX).unwrap().files, [png(1, 200)]);
    }
    assert_eq!(refusal(&form("method=base64&body=no*base64")), Some("ERROR_UPLOAD"));
    assert_eq!(refusal(&form("method=base64")), Some("ERROR_UPLOAD"));
    assert_eq!(refusal(&form("method=post")), Some("ERROR_UPLOAD"));
}

#[test]
fn texts_have_at_most_140_characters_of_any_alphabet() {
    let text = |count: usize| refusal(&form(&format!("textcaptcha={}", "я".repeat(count))));
    assert_eq!((text(140), text(141)), (None, Some("ERROR_BAD_PARAMETERS")));
    assert_eq!(refusal(&form("method=textcaptcha")), Some("ERROR_BAD_PARAMETERS"));
}

#[test]
fn token_methods_name_what_is_missing() {
    for (query, code) in [
        ("method=userrecaptcha&pageurl=p", "ERROR_WRONG_GOOGLEKEY"),
        ("method=userrecaptcha&googlekey=&pageurl=p", "ERROR_GOOGLEKEY"),
        ("method=userrecaptcha&googlekey=k", "ERROR_PAGEURL"),
        ("method=turnstile&sitekey=k", "ERROR_PAGEURL"),
        ("method=turnstile&pageurl=p", "ERROR_BAD_PARAMETERS"),
        ("method=geetest&gt=g&pageurl=p", "ERROR_BAD_PARAMETERS"),
        ("method=turnstile&sitekey=k&pageurl=p&proxy=nowhere", "ERROR_PROXY_FORMAT"),
        ("method=audio&body=AAAA", "ERROR_BAD_PARAMETERS"),
        ("method=rotatecaptcha", "ERROR_UPLOAD"),
    ] {
        assert_eq!(refusal(&form(query)), Some(code), "{query}");
    }
    for query in [
        "method=turnstile&sitekey=k&pageurl=p&proxy=user:word@10.0.0.1:3128",
        "method=cybersiara&master_url_id=m&pageurl=p&userAgent=u",
        "method=invented_tomorrow",
    ] {
        assert_eq!(refusal(&form(query)), None, "{query}");
    }
}

#[test]
fn audio_and_instructions_have_their_own_limits() {
    let audio = |size| refusal(&with_file("method=audio&lang=en", "file", "a.mp3", vec![1; size].into()));
    assert_eq!(audio(AUDIO_MAX_BYTES), None);
    assert_eq!(audio(AUDIO_MAX_BYTES + 1), Some("ERROR_TOO_BIG_CAPTCHA_FILESIZE"));
    let instructed = |size| {
        let mut form = with_file("method=post", "imginstructions", "i.png", png(0, size));
        form.set(crate::protocol::Field::text("file", png(0, 200))).unwrap();
        refusal(&form)
    };
    assert_eq!(instructed(INSTRUCTIONS_MAX_BYTES), None);
    assert_eq!(instructed(INSTRUCTIONS_MAX_BYTES + 1), Some("ERROR_TOO_BIG_CAPTCHA_FILESIZE"));
}
