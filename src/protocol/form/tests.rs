use super::*;

fn decoded(query: &str, body: &[u8]) -> Form {
    Form::decode(query, &Bytes::copy_from_slice(body)).unwrap()
}

fn text<'a>(form: &'a Form, name: &str) -> &'a str {
    std::str::from_utf8(form.value(name).unwrap_or_else(|| panic!("{name} is missing in {form:?}"))).unwrap()
}

#[test]
fn a_query_alone_with_a_stray_ampersand() {
    let form = decoded("&key=k&&action=get&empty=&bare", b"");
    assert_eq!((text(&form, "key"), text(&form, "action")), ("k", "get"));
    assert_eq!((text(&form, "empty"), text(&form, "bare")), ("", ""));
    assert_eq!(form.fields().len(), 4);
}

#[test]
fn query_and_body_are_merged_and_the_body_wins() {
    let form = decoded("json=0&key=query", b"json=1&method=post");
    assert_eq!((text(&form, "json"), text(&form, "key"), text(&form, "method")), ("1", "query", "post"));
}

#[test]
fn the_last_of_two_values_wins() {
    assert!(decoded("json=0&json=1", b"").is_on("json"));
    assert!(!decoded("json=1&json=0", b"").is_on("json"));
}

#[test]
fn urlencoded_values_are_bytes_of_any_charset() {
    let form = decoded("", b"textcaptcha=%F2%E5%F1%F2+x%2By&data%5Bblob%5D=1");
    assert_eq!(&form.value("textcaptcha").unwrap()[..], b"\xF2\xE5\xF1\xF2 x+y");
    assert_eq!(text(&form, "data[blob]"), "1");
}

#[test]
fn json_is_known_by_its_first_byte_and_its_values_become_text() {
    let form = decoded(
        "key=k",
        br#"  {"method":"userrecaptcha","json":1,"invisible":true,"enterprise":false,"proxy":null,
              "min_score":0.30,"data":{"blob":"x"},"json_cookies":[1, 2],"text":"\u044f\"","id":51555263943}"#,
    );
    assert!(form.is_on("json") && form.is_on("invisible") && !form.is_on("enterprise"));
    assert_eq!(form.value("proxy"), None);
    assert_eq!((text(&form, "min_score"), text(&form, "data")), ("0.30", r#"{"blob":"x"}"#));
    assert_eq!((text(&form, "json_cookies"), text(&form, "text")), ("[1, 2]", "я\""));
    assert_eq!((text(&form, "id"), text(&form, "key")), ("51555263943", "k"));
}

#[test]
fn json_that_is_damaged_is_an_error() {
    for body in [&b"{"[..], br#"{"a":}"#, br#"{"a":1} trailing"#, br#"{"a":"\ud83d"}"#] {
        assert!(matches!(Form::decode("", &Bytes::copy_from_slice(body)), Err(FormError::Json(_))));
    }
}

const BOUNDARIES: &[&str] =
    &["----WebKitFormBoundary7MA4YWxkTrZu0gW", "---------- 11/23/2026 12:33:01 PM", "x", "'()+_,-./:=?"];

#[test]
fn multipart_is_known_by_its_first_line_whatever_the_boundary() {
    for boundary in BOUNDARIES {
        let body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\npost\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=data[blob]\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\nblob=1&x\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file_1\"; filename=\"a b.png\"\r\n\
             Content-Type: image/png\r\n\r\n\u{1}\r\n--\u{2}\r\n--{boundary}--\r\n"
        );
        let form = decoded("key=k", body.as_bytes());
        assert_eq!((text(&form, "method"), text(&form, "data[blob]")), ("post", "blob=1&x"), "{boundary}");
        let file = form.field("file_1").unwrap();
        assert_eq!(&file.value[..], b"\x01\r\n--\x02");
        assert_eq!(file.file.as_ref().unwrap().file_name, "a b.png");
        assert_eq!(file.file.as_ref().unwrap().content_type.as_deref(), Some("image/png"));
    }
}

#[test]
fn a_truncated_multipart_body_is_an_error() {
    let whole = b"--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nvalue\r\n--b--\r\n";
    for length in [10, 30, 55, whole.len() - 7] {
        let cut = Bytes::copy_from_slice(&whole[..length]);
        assert!(matches!(Form::decode("", &cut), Err(FormError::Multipart(_))), "{length}");
    }
}

#[test]
fn an_urlencoded_body_that_begins_with_dashes_is_not_multipart() {
    assert_eq!(text(&decoded("", b"--odd=1&key=k"), "key"), "k");
}

#[test]
fn as_many_parameters_as_allowed_and_one_more() {
    let pairs = |count: usize| (0..count).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
    assert_eq!(decoded("", pairs(PARAMETERS_MAX).as_bytes()).fields().len(), PARAMETERS_MAX);
    let over = Form::decode("", &pairs(PARAMETERS_MAX + 1).into());
    assert_eq!(over, Err(FormError::TooManyParameters));
    let repeated = Form::decode("", &"p=1&".repeat(PARAMETERS_MAX + 1).into());
    assert_eq!(repeated, Err(FormError::TooManyParameters), "each of them costs a search");
}

#[test]
fn parts_and_members_count_as_parameters_whatever_they_are_called() {
    let parts = |count: usize| {
        let part = "--b\r\nContent-Disposition: form-data\r\n\r\n\r\n";
        Bytes::from(format!("{}--b--\r\n", part.repeat(count)))
    };
    assert_eq!(Form::decode("", &parts(PARAMETERS_MAX)), Ok(Form::default()));
    assert_eq!(Form::decode("", &parts(PARAMETERS_MAX + 1)), Err(FormError::TooManyParameters));
    let members = |count: usize| Bytes::from(format!("{{{}}}", vec!["\"a\":null"; count].join(",")));
    assert!(Form::decode("", &members(PARAMETERS_MAX)).is_ok());
    assert_eq!(Form::decode("", &members(PARAMETERS_MAX + 1)), Err(FormError::TooManyParameters));
}

#[test]
fn a_name_as_long_as_allowed_and_one_longer() {
    let named = |length: usize| Form::decode(&format!("{}=1", "n".repeat(length)), &Bytes::new());
    assert_eq!(named(NAME_BYTES_MAX).unwrap().fields().len(), 1);
    assert_eq!(named(NAME_BYTES_MAX + 1), Err(FormError::NameTooLong));
}

#[test]
fn a_form_does_not_print_its_values() {
    let form = decoded("key=secret&proxy=u:secret@host", b"");
    assert!(!format!("{form:?}").contains("secret"));
}
