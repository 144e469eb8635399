use bytes::Bytes;

use super::*;
use crate::protocol::answer::{Answer, Solution};
use crate::protocol::errors::{Code, ErrorCode};
use crate::protocol::ids::CaptchaId;

fn accepted(id: u64) -> UploadReply {
    UploadReply::Accepted(CaptchaId(id))
}

#[test]
fn an_upload_is_accepted_in_either_form() {
    assert_eq!(read_upload(b"OK|2122988149\n"), accepted(2_122_988_149));
    assert_eq!(read_upload(br#"{"status":1,"request":"2122988149"}"#), accepted(2_122_988_149));
    assert_eq!(read_upload(br#" {"request":7,"status":"1"} "#), accepted(7));
}

#[test]
fn an_upload_is_refused_with_a_code_old_new_or_invented_since() {
    let refused = |body: &[u8]| match read_upload(body) {
        UploadReply::Refused { code, text } => (code.to_string(), text),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(b"IP_BANNED"), ("IP_BANNED".into(), None));
    assert_eq!(refused(b"ERROR: 1005"), ("ERROR: 1005".into(), None));
    assert_eq!(refused(b"ERROR_NEW_ONE"), ("ERROR_NEW_ONE".into(), None));
    assert_eq!(refused(b"https://example.com/blog/search").0, "https://example.com/blog/search");
    let json = br#"{"status":0,"request":"ERROR_PAGEURL","error_text":"no page"}"#;
    assert_eq!(refused(json), ("ERROR_PAGEURL".into(), Some("no page".into())));
}

const GARBAGE: &[&[u8]] = &[
    b"",
    b"<html>OK|1</html>",
    b"OK|",
    b"OK|abc",
    b"{",
    b"{\"status\":1}",
    b"{\"status\":2,\"request\":\"1\"}",
    b"500 Internal Server Error",
    b"[1]",
    b"{\"status\":0,\"request\":{}}",
    b"\xFF\xFE",
];

#[test]
fn what_is_neither_answer_nor_code_is_garbage() {
    for body in GARBAGE {
        assert_eq!(read_upload(body), UploadReply::Garbage, "{:?}", String::from_utf8_lossy(body));
    }
    for body in GARBAGE.iter().filter(|body| **body != b"OK|abc") {
        assert!(matches!(read_look(body), Look::Garbage), "{:?}", String::from_utf8_lossy(body));
    }
}

fn solved(body: &[u8]) -> Solution {
    match read_look(body) {
        Look::Solved(solution) => solution,
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_after_the_first_ok_is_the_answer() {
    assert_eq!(solved(b"OK|40|200|-120\r\n").answer.plain(), "40|200|-120");
    assert_eq!(solved(b"OK|OK|x").answer.plain(), "OK|x");
    assert_eq!(solved(b"OK|ERROR_LIKE_ANSWER").answer.plain(), "ERROR_LIKE_ANSWER");
}

#[test]
fn a_json_answer_keeps_its_bytes_and_its_extra_members() {
    let body =
        br#"{"status":1,"request":{"b": 2,"a":"x|jordan"},"useragent":"M\/5","price":"0.00299","n":1.50}"#;
    let solution = solved(body);
    assert_eq!(solution.price.as_deref(), Some("0.00299"));
    assert_eq!(write_solution(&solution, false, Form::Plain), r#"OK|{"b": 2,"a":"x|jordan"}"#);
    assert_eq!(write_solution(&solution, true, Form::Plain), r#"OK|{"b": 2,"a":"x|jordan"}|0.00299"#);
    let json = r#"{"status":1,"request":{"b": 2,"a":"x|jordan"},"useragent":"M\/5","n":1.50"#;
    assert_eq!(write_solution(&solution, false, Form::Json), format!("{json}}}"));
    assert_eq!(write_solution(&solution, true, Form::Json), format!("{json},\"price\":\"0.00299\"}}"));
}

#[test]
fn a_code_is_a_code_in_either_form() {
    for body in [&b"CAPCHA_NOT_READY"[..], br#"{"status":0,"request":"CAPCHA_NOT_READY"}"#] {
        assert!(matches!(read_look(body), Look::NotReady));
    }
    let look = read_look(br#"{"status":0,"request":"ERROR_CAPTCHA_UNSOLVABLE"}"#);
    assert!(matches!(look, Look::Code(Code::Known(ErrorCode::Unsolvable))));
}

fn pieces(body: &[u8], ids: usize) -> Vec<String> {
    let Batch::Pieces(pieces) = read_batch(body, ids) else { panic!("{:?}", read_batch(body, ids)) };
    let text = |look: Look| match look {
        Look::NotReady => "wait".to_owned(),
        Look::Solved(solution) => String::from_utf8_lossy(&solution.answer.plain()).into_owned(),
        Look::Code(code) => format!("!{code}"),
        Look::Garbage => "?".to_owned(),
    };
    pieces.into_iter().map(text).collect()
}

#[test]
fn a_batch_is_split_into_as_many_pieces_as_ids() {
    let body = b"abc|CAPCHA_NOT_READY|ERROR_CAPTCHA_UNSOLVABLE||click:3/8/9";
    assert_eq!(pieces(body, 5), ["abc", "wait", "!ERROR_CAPTCHA_UNSOLVABLE", "?", "click:3/8/9"]);
    assert_eq!(pieces(br#"{"status":1,"request":"a|b"}"#, 2), ["a", "b"]);
}

#[test]
fn nothing_is_taken_from_a_batch_of_another_size() {
    assert!(matches!(read_batch(b"a|b|c", 2), Batch::Mismatch { pieces: 3 }));
    assert!(matches!(read_batch(b"a", 2), Batch::Mismatch { pieces: 1 }));
    assert!(matches!(read_batch(b"ERROR_WRONG_CAPTCHA_ID", 2), Batch::Mismatch { pieces: 1 }));
}

#[test]
fn a_batch_that_begins_with_ok_or_holds_a_page_is_shifted_or_no_answer() {
    for body in ["OK|a", "OK|a|b", "a|<b>x</b>", "a|b\nc"] {
        let ids = body.split('|').count();
        assert!(matches!(read_batch(body.as_bytes(), ids), Batch::Mismatch { .. }), "{body}");
    }
}

#[test]
fn a_price_is_read_in_every_form() {
    let priced = |body: &[u8]| match read_priced_look(body) {
        Look::Solved(solution) => (solution.answer.plain(), solution.price),
        other => panic!("{other:?}"),
    };
    assert_eq!(priced(b"OK|40|200|0.0005"), ("40|200".into(), Some("0.0005".into())));
    assert_eq!(priced(b"OK|abc"), ("abc".into(), None));
    assert_eq!(priced(b"OK|a|b"), ("a|b".into(), None));
    assert_eq!(priced(br#"{"status":1,"request":"a","price":0.0012}"#), ("a".into(), Some("0.0012".into())));
    assert_eq!(
        priced(br#"{"status":1,"request":"a","price":"0.0012"}"#),
        ("a".into(), Some("0.0012".into()))
    );
}

#[test]
fn noise_with_the_right_number_of_bars_is_no_batch_and_foreign_letters_are() {
    for noise in [&b"\xe3\xa4|\x9a"[..], b"a\0|b", b"a|b\x1b["] {
        assert!(matches!(read_batch(noise, 2), Batch::Mismatch { pieces: 2 }), "{noise:?}");
    }
    assert!(matches!(read_batch("\u{44f}\u{437}|b".as_bytes(), 2), Batch::Pieces(_)));
}

#[test]
fn one_code_for_a_whole_batch_speaks_of_the_account() {
    for code in ["ERROR: 1005", "ERROR_KEY_DOES_NOT_EXIST", "IP_BANNED", "ERROR_NEW_ONE"] {
        assert!(matches!(read_batch(code.as_bytes(), 3), Batch::Account(_)), "{code}");
    }
    for garbage in [&b""[..], b"<html>a|b</html>", b"{}"] {
        assert!(matches!(read_batch(garbage, 2), Batch::Garbage));
    }
}

#[test]
fn a_balance_is_a_bare_number_in_either_form() {
    assert_eq!(read_told(b"12.34567\n"), Told::Text("12.34567".into()));
    assert_eq!(read_told(br#"{"status":1,"request":"12.34567"}"#), Told::Text("12.34567".into()));
    assert_eq!(read_told(br#"{"status":1,"request":12.5}"#), Told::Text("12.5".into()));
    assert_eq!(read_told(b"REPORT_NOT_RECORDED"), Told::Code(ErrorCode::ReportNotRecorded.into()));
    assert_eq!(read_told(b"<html>"), Told::Garbage);
}

#[test]
fn what_clients_read() {
    let id = CaptchaId(2_122_988_149);
    assert_eq!(write_accepted(id, Form::Plain), "OK|2122988149");
    assert_eq!(write_accepted(id, Form::Json), r#"{"status":1,"request":"2122988149"}"#);
    let code = Code::from(ErrorCode::BadParameters);
    assert_eq!(write_code(&code, Some("why"), Form::Plain), "ERROR_BAD_PARAMETERS");
    let json = r#"{"status":0,"request":"ERROR_BAD_PARAMETERS","error_text":"wh\"y"}"#;
    assert_eq!(write_code(&code, Some("wh\"y"), Form::Json), json);
    let batch = [Bytes::from("a"), Bytes::from("CAPCHA_NOT_READY")];
    assert_eq!(write_batch(&batch, Form::Plain), "a|CAPCHA_NOT_READY");
    assert_eq!(write_batch(&batch, Form::Json), r#"{"status":1,"request":"a|CAPCHA_NOT_READY"}"#);
    let list = ["a".to_owned(), "b".to_owned()];
    assert_eq!(write_list(&list, Form::Plain), "OK|a|b");
    assert_eq!(write_list(&list, Form::Json), r#"{"status":1,"request":["a","b"]}"#);
    let text = Solution::from(Answer::Text(Bytes::from_static(b"a\"\xF2")));
    assert_eq!(write_solution(&text, true, Form::Plain), &b"OK|a\"\xF2"[..]);
    assert_eq!(write_solution(&text, true, Form::Json), "{\"status\":1,\"request\":\"a\\\"\u{FFFD}\"}");
}

#[test]
fn an_answer_as_long_as_allowed_and_one_byte_longer() {
    let look = |length: usize| read_look(format!("OK|{}\n", "a".repeat(length)).as_bytes());
    assert!(matches!(look(ANSWER_BYTES_MAX), Look::Solved(_)));
    assert!(matches!(look(ANSWER_BYTES_MAX + 1), Look::Garbage));
    let batch = |length: usize| read_batch(format!("x|{}", "a".repeat(length)).as_bytes(), 2);
    assert!(
        matches!(&batch(ANSWER_BYTES_MAX), Batch::Pieces(pieces) if matches!(pieces[1], Look::Solved(_)))
    );
    assert!(
        matches!(&batch(ANSWER_BYTES_MAX + 1), Batch::Pieces(pieces) if matches!(pieces[1], Look::Garbage))
    );
}

#[test]
fn an_answer_that_is_nested_too_deeply_is_garbage() {
    let body = format!(r#"{{"status":1,"request":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    assert!(matches!(read_look(body.as_bytes()), Look::Garbage));
    assert_eq!(read_upload(body.as_bytes()), UploadReply::Garbage);
}
