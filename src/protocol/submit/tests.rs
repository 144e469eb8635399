use base64::Engine;

use super::*;

fn png(size: usize) -> Vec<u8> {
    let mut image = b"\x89PNG\r\n\x1A\n".to_vec();
    image.resize(size, 0xFB);
    image
}

fn base64(content: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(content)
}

fn form(fields: &[(&str, &[u8])]) -> Form {
    let mut form = Form::default();
    for (name, value) in fields {
        form.set(Field::text(name, value.to_vec())).unwrap();
    }
    form
}

fn refused(fields: &[(&str, &[u8])]) -> Option<ErrorCode> {
    Upload::check(form(fields)).err().map(|wrong| wrong.code)
}

fn image_of(size: usize) -> Option<ErrorCode> {
    refused(&[("method", b"post"), ("file", &png(size))])
}

fn base64_of(size: usize) -> Option<ErrorCode> {
    refused(&[("method", b"base64"), ("body", base64(&png(size)).as_bytes())])
}

#[test]
fn an_image_is_taken_from_100_bytes_to_600_kilobytes() {
    for check in [image_of, base64_of] {
        assert_eq!(check(99), Some(ErrorCode::ZeroCaptchaFilesize));
        assert_eq!(check(100), None);
        assert_eq!(check(IMAGE_BYTES_MAX), None);
        assert_eq!(check(IMAGE_BYTES_MAX + 1), Some(ErrorCode::TooBigCaptchaFilesize));
    }
}

#[test]
fn jpeg_gif_and_png_are_images_and_others_are_not() {
    for start in [&b"\xFF\xD8\xFF\xE0"[..], b"GIF87a", b"GIF89a", b"\x89PNG\r\n\x1A\n"] {
        let image = [start, &[7; 200]].concat();
        assert_eq!(refused(&[("method", b"base64"), ("body", base64(&image).as_bytes())]), None);
    }
    let text = base64(&[b'x'; 200]);
    let code = refused(&[("method", b"base64"), ("body", text.as_bytes())]);
    assert_eq!(code, Some(ErrorCode::ImageTypeNotSupported));
}

#[test]
fn base64_is_taken_as_clients_send_it_and_refused_when_it_is_none() {
    let text = base64(&png(300));
    let lines = text.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>();
    let url_safe = text.replace('+', "-").replace('/', "_");
    let spellings = [
        format!("data:image/png;base64,{text}"),
        lines.join("\r\n"),
        text.replace('+', " "),
        url_safe,
        text.trim_end_matches('=').to_owned(),
    ];
    for spelling in &spellings {
        assert_eq!(refused(&[("method", b"base64"), ("body", spelling.as_bytes())]), None, "{spelling}");
    }
    assert_eq!(refused(&[("method", b"base64"), ("body", b"<not base64>")]), Some(ErrorCode::Upload));
    assert_eq!(refused(&[("method", b"base64")]), Some(ErrorCode::ZeroCaptchaFilesize));
}

#[test]
fn each_image_of_a_rotate_captcha_is_checked() {
    let whole = png(200);
    assert_eq!(refused(&[("method", b"rotatecaptcha"), ("file_1", &whole), ("file_2", &whole)]), None);
    let code = refused(&[("method", b"rotatecaptcha"), ("file_1", &whole), ("file_2", &whole[..50])]);
    assert_eq!(code, Some(ErrorCode::ZeroCaptchaFilesize));
}

#[test]
fn a_text_has_140_characters_at_most_whatever_its_bytes() {
    let text = |count: usize| "я".repeat(count).into_bytes();
    assert_eq!(refused(&[("textcaptcha", &text(140))]), None);
    assert_eq!(refused(&[("textcaptcha", &text(141))]), Some(ErrorCode::BadParameters));
    let code = refused(&[("method", b"post"), ("file", &png(200)), ("textinstructions", &text(141))]);
    assert_eq!(code, Some(ErrorCode::BadParameters));
}

#[test]
fn audio_and_instructions_have_limits_of_their_own() {
    let audio = |size: usize| refused(&[("method", b"audio"), ("body", base64(&vec![1; size]).as_bytes())]);
    assert_eq!(audio(AUDIO_BYTES_MAX), None);
    assert_eq!(audio(AUDIO_BYTES_MAX + 1), Some(ErrorCode::TooBigCaptchaFilesize));
    let instructions = |size: usize| {
        let fields = [
            ("method", &b"post"[..]),
            ("recaptcha", b"1"),
            ("file", &png(200)),
            ("imginstructions", &png(size)),
        ];
        refused(&fields)
    };
    assert_eq!(instructions(INSTRUCTIONS_BYTES_MAX), None);
    assert_eq!(instructions(INSTRUCTIONS_BYTES_MAX + 1), Some(ErrorCode::TooBigCaptchaFilesize));
}

#[test]
fn unknown_methods_and_parameters_are_never_judged() {
    assert_eq!(refused(&[("method", b"brand_new"), ("body", b"?"), ("image", b"?")]), None);
}

#[test]
fn pingback_is_kept_for_us_and_does_not_go_upstream() {
    let upload = |target: &[u8]| Upload::check(form(&[("textcaptcha", b"2+2"), ("pingback", target)]));
    let kept = upload(b"http://GW.example/a?b=1").unwrap();
    assert_eq!(kept.pingback.as_ref().map(Target::as_str), Some("http://gw.example/a?b=1"));
    assert!(kept.fields().iter().all(|field| field.name != "pingback"));
    assert_eq!(upload(b" ").unwrap().pingback, None);
    let wrong = upload(b"http://user@gw.example/").unwrap_err();
    assert_eq!(wrong, WrongCall::new(ErrorCode::BadParameters, "pingback: it has a user name in it"));
}

#[test]
fn the_body_that_goes_upstream_decodes_to_what_the_client_sent_with_the_accounts_key() {
    let key = UpstreamKey::new("fake-upstream-key-00000000000001");
    let sent = form(&[
        ("key", b"client"),
        ("method", b" userrecaptcha "),
        ("data[blob]", b"a+b&c=d %\xF2"),
        ("header_acao", b"1"),
        ("debug_dump", b"1"),
        ("json", b"1"),
        ("brand_new", "я".as_bytes()),
    ]);
    let (content_type, body) = Upload::check(sent).unwrap().encode(&key, "boundary");
    assert_eq!(content_type, "application/x-www-form-urlencoded");
    let arrived = Form::decode("", &body).unwrap();
    assert_eq!(
        arrived,
        form(&[
            ("key", key.expose().as_bytes()),
            ("method", b"userrecaptcha"),
            ("data[blob]", b"a+b&c=d %\xF2"),
            ("json", b"1"),
            ("brand_new", "я".as_bytes()),
        ])
    );
}

#[test]
fn files_go_upstream_as_files_with_names_that_cannot_break_out() {
    let key = UpstreamKey::new("fake-upstream-key-00000000000001");
    let mut sent = form(&[("method", b"post"), ("a\"\r\nb", b"1")]);
    let label = FileLabel { file_name: "x\"\r\n.png".into(), content_type: Some("image/png".into()) };
    sent.set(Field { name: "file".into(), value: png(150).into(), file: Some(label) }).unwrap();
    let (content_type, body) = Upload::check(sent).unwrap().encode(&key, "capgate-boundary");
    assert_eq!(content_type, "multipart/form-data; boundary=capgate-boundary");
    let arrived = Form::decode("", &body).unwrap();
    let file = arrived.field("file").unwrap();
    assert_eq!(
        (&file.value[..], file.file.as_ref().unwrap().file_name.as_str()),
        (&png(150)[..], "x%22%0D%0A.png")
    );
    assert_eq!(arrived.fields().len(), 4);
}

#[test]
fn a_raw_image_without_a_file_name_goes_upstream_as_a_file() {
    let key = UpstreamKey::new("fake-upstream-key-00000000000001");
    let upload = Upload::check(form(&[("method", b"post"), ("file", &png(150))])).unwrap();
    let arrived = Form::decode("", &upload.encode(&key, "b-123").1).unwrap();
    assert!(arrived.field("file").unwrap().file.is_some());
}

#[test]
fn blanks_in_base64_are_the_plus_signs_that_they_were() {
    let text = base64(&png(300));
    assert!(text.contains('+'));
    let sent = form(&[("method", b"base64"), ("body", text.replace('+', " ").as_bytes())]);
    assert_eq!(&Upload::check(sent).unwrap().form.value("body").unwrap()[..], text.as_bytes());
}
