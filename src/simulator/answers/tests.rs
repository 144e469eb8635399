use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::support::{form, png, with_file};
use super::*;

/// Digests are computed with a tool of their own (`sha256sum`), so that the rules above are checked from outside:
/// SHA-256 of the PNG with mark 7 and 200 bytes begins with these bytes.
const IMAGE: [u8; 6] = [83, 174, 147, 253, 32, 172];

fn of(form: &Form) -> Answer {
    answer(&Upload::read(form, 600 * 1024).unwrap(), form, 0.0)
}

fn image(query: &str) -> Answer {
    of(&with_file(query, "file", "a.png", png(7, 200)))
}

/// H of the page and site that the token tests use, `site|http://page`.
const H: &str = "846cff1fb8167270ff220afe187d3bf9fa6ebf4e4629d2a1eeaf8816a78b3882";

fn token(method: &str) -> Answer {
    of(&form(&format!("{method}&pageurl=http://page")))
}

#[test]
fn an_image_is_its_digest_however_it_was_sent() {
    let digits = hex(&IMAGE[..4]);
    assert_eq!(image("method=post").plain, digits);
    let mut as_base64 = form("method=base64");
    let body = STANDARD.encode(png(7, 200));
    as_base64.set(crate::protocol::Field::text("body", body)).unwrap();
    assert_eq!(of(&as_base64), image("method=post"));
    let number = u32::from_str_radix(&digits, 16).unwrap();
    assert_eq!(image("method=post&numeric=1").plain, number.to_string());
}

#[test]
fn images_for_clicking() {
    let [a, b, c, d, ..] = IMAGE;
    let grid = format!("click:{}/{}/{}", 1 + a % 3, 4 + b % 3, 7 + c % 3);
    assert_eq!(image("method=post&recaptcha=1").plain, grid);
    let canvas = image("method=post&recaptcha=1&canvas=1").plain;
    assert_eq!(canvas, format!("canvas:{a},{b},{c},{d},{},{};", IMAGE[4], IMAGE[5]));
    let points = image("method=post&coordinatescaptcha=1");
    assert_eq!(points.plain, format!("coordinate:x={a},y={b};x={c},y={d}"));
    assert_eq!(points.request, format!(r#"[{{"x":"{a}","y":"{b}"}},{{"x":"{c}","y":"{d}"}}]"#));
    let boxes = image("method=bounding_box");
    let (x_max, y_max) = (u32::from(a) + u32::from(c), u32::from(b) + u32::from(d));
    assert_eq!(boxes.plain, format!(r#"[{{"xMin":{a},"yMin":{b},"xMax":{x_max},"yMax":{y_max}}}]"#));
    assert_eq!(serde_json::from_str::<String>(&boxes.request).unwrap(), boxes.plain);
}

#[test]
fn rotated_images_are_turned_one_by_one() {
    let turned = i64::from(1 + IMAGE[0] % 8) * if IMAGE[1] % 2 == 1 { -1 } else { 1 };
    assert_eq!(image("method=rotatecaptcha").plain, (40 * turned).to_string());
    let mut two = with_file("method=rotatecaptcha&angle=15", "file_2", "b.png", png(7, 200));
    two.set(crate::protocol::Field::text("file_1", png(7, 200))).unwrap();
    assert_eq!(of(&two).plain, format!("{0}|{0}", 15 * turned));
}

#[test]
fn texts_and_sounds_are_digests_too() {
    // sha256("2+2") begins with these digits.
    for query in ["textcaptcha=2%2B2", "method=post&textinstructions=2%2B2"] {
        assert_eq!(of(&form(query)).plain, "1acf8622", "{query}");
    }
    // sha256("2+2\n")
    let audio = of(&form("method=audio&lang=en&body=MisyCg"));
    assert_eq!(audio.plain, "f29bf54f");
}

#[test]
fn tokens_depend_on_site_and_page() {
    assert_eq!(token("method=userrecaptcha&googlekey=site").plain, format!("token-{H}"));
    assert_eq!(token("method=mt_captcha&sitekey=site").plain, format!("token-{H}"));
    assert_ne!(token("method=mt_captcha&sitekey=other").plain, format!("token-{H}"));
    let funcaptcha = token("method=funcaptcha&publickey=site").plain;
    assert_eq!(funcaptcha, format!("{}|r=us-east-1|pk=site", &H[..16]));
    let signs = "s_s_c_session_id=1&s_s_c_web_server_sign=2&s_s_c_web_server_sign2=3";
    let keycaptcha = token(&format!("method=keycaptcha&s_s_c_user_id=site&{signs}")).plain;
    assert_eq!(keycaptcha, format!("{}|{}|http://page|c|1", &H[..16], &H[16..32]));
    let datadome = token("method=datadome&captcha_url=site&userAgent=u&proxy=a:1&proxytype=HTTP").plain;
    assert!(datadome.starts_with(&format!("datadome={H}; Max-Age=31536000; ")));
}

#[test]
fn json_extras_come_beside_the_token() {
    let extras = |query: &str| token(query).extras;
    assert_eq!(
        extras("method=userrecaptcha&googlekey=site&version=v3"),
        r#","user_check":"ok","user_score":"0.9""#
    );
    let cookies = extras("method=userrecaptcha&googlekey=site&cookies=a:b;");
    assert_eq!(cookies, format!(r#","cookies":{{"session":"{}"}}"#, &H[..16]));
    assert!(extras("method=turnstile&sitekey=site").starts_with(r#","useragent":"Mozilla"#));
    assert!(extras("method=hcaptcha&sitekey=site").ends_with(&format!(r#","respKey":"{}""#, &H[..16])));
}

#[test]
fn objects_are_json_in_both_forms() {
    let (first, second) = H.split_at(32);
    for (query, expected) in [
        (
            "method=geetest&gt=site&challenge=c%22",
            format!(
                r#"{{"geetest_challenge":"c\"","geetest_validate":"{first}","geetest_seccode":"{first}|jordan"}}"#
            ),
        ),
        (
            "method=geetest_v4&captcha_id=site",
            format!(
                r#"{{"captcha_id":"site","lot_number":"{first}","pass_token":"{H}","gen_time":"1700000000","captcha_output":"{second}"}}"#
            ),
        ),
        (
            "method=capy&captchakey=site",
            format!(r#"{{"captchakey":"site","challengekey":"{first}","answer":"{second}"}}"#),
        ),
        ("method=lemin&captcha_id=site", format!(r#"{{"answer":"{H}","challenge_id":"{first}"}}"#)),
        (
            "method=amazon_waf&sitekey=site&iv=1&context=2",
            format!(r#"{{"captcha_voucher":"{H}","existing_token":"{first}"}}"#),
        ),
        (
            "method=tencent&app_id=site",
            format!(r#"{{"appid":"site","ret":0,"ticket":"{H}","randstr":"{}"}}"#, &H[..8]),
        ),
    ] {
        let answer = token(query);
        assert_eq!((&answer.plain, &answer.request), (&expected, &expected));
    }
}

#[test]
fn other_methods_hash_what_was_asked_and_not_who_asked() {
    let plain = |query: &str| of(&form(query)).plain;
    // sha256("a=2\nb=1\nmethod=new")
    assert_eq!(
        plain("method=new&b=1&a=2"),
        "token-1e353836ccb9945b494f5777cf5471f9922ee728f23efe647b6cafd768117789"
    );
    let noise = "key=k&json=1&soft_id=3&header_acao=1&pingback=p&debug_dump=1";
    assert_eq!(
        plain(&format!("a=2&{noise}&b=1&method=new")),
        "token-1e353836ccb9945b494f5777cf5471f9922ee728f23efe647b6cafd768117789"
    );
}

#[test]
fn a_fraction_of_image_texts_holds_a_bar() {
    let texts: Vec<String> = (0..200)
        .map(|mark| {
            let form = with_file("method=post", "file", "a.png", png(mark, 200));
            answer(&Upload::read(&form, 600 * 1024).unwrap(), &form, 0.5).plain
        })
        .collect();
    let piped = texts.iter().filter(|text| text.contains('|')).count();
    assert!((60..140).contains(&piped), "{piped}");
    assert!(texts.iter().all(|text| text.replace('|', "").len() == 8));
}
