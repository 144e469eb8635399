use bytes::Bytes;

use super::*;
use crate::protocol::form::Form;

fn host(address: &str) -> Result<String, Unreadable> {
    Host::read(address.as_bytes()).map(|host| host.to_string())
}

fn allows(pattern: &str, address: &str) -> bool {
    let pattern: PagePattern = pattern.parse().unwrap();
    Host::read(address.as_bytes()).is_ok_and(|host| pattern.allows(&host))
}

#[test]
fn a_host_is_the_same_however_it_is_spelt() {
    for address in [
        "https://shop.example.com/login?next=https://other.example/",
        "HTTPS://SHOP.Example.COM",
        "http://shop.example.com:8443/",
        "https://shop.example.com./",
        "  https://shop.example.com\r\n",
        "//shop.example.com/x",
        "shop.example.com",
        "shop.example.com:443/path@home",
        "https://shop.example.com?user@home",
        "https://shop。example．com/",
        "https://shop.ex\u{ad}ample.com/",
    ] {
        let read = host(address);
        if address.contains('@') && !address.contains("/path") {
            assert!(read.is_err(), "{address}");
        } else {
            assert_eq!(read.as_deref(), Ok("shop.example.com"), "{address}");
        }
    }
    assert_eq!(host("https://bücher.example/").as_deref(), Ok("xn--bcher-kva.example"));
    assert_eq!(host("https://BÜCHER.example/").as_deref(), Ok("xn--bcher-kva.example"));
    assert_eq!(host("https://0x7f.1/").as_deref(), Ok("127.0.0.1"));
    assert_eq!(host("https://[2001:DB8::0:1]:80/").as_deref(), Ok("[2001:db8::1]"));
}

#[test]
fn what_programs_read_differently_is_not_read() {
    for address in [
        "https://good.example@evil.example/",
        "https://evil.example@good.example/",
        "https://user:word@good.example/",
        "https://good.example\\@evil.example/",
        "https://good.example\\.evil.example/",
        "\\\\good.example/",
        "https:\\\\good.example/",
        "https:good.example/",
        "https:/good.example/",
        "https:///good.example/",
        "https://good.example#@evil.example/",
        "https://good%2eexample/",
        "https://good.example%00.evil.example/",
        "https://good.example\t.evil.example/",
        "https://good.example/\nHost: evil.example",
        "https://good.example\u{0}.evil.example/",
        "https://good.example .evil.example/",
        "https://good.example\u{3000}.evil.example/",
        "\u{3000}https://good.example/",
        "https://evil.example;.good.example/",
        "https://evil.example,good.example/",
        "https://evil.example／.good.example/",
        "javascript://good.example/%0aalert(1)",
        "file:///etc/passwd",
        "data:text/html,good.example",
        "view-source:https://good.example/",
        "ftp://good.example/",
        "https://good.example:port/",
        "https://",
        "https://./",
        "/login",
        "",
    ] {
        assert!(host(address).is_err(), "{address:?} was read as {:?}", host(address));
    }
    assert!(Host::read(b"https://good.example/\xFF").is_err());
}

#[test]
fn an_address_is_read_up_to_its_longest() {
    let address = |length: usize| format!("https://good.example/{:0>1$}", "", length - 21);
    assert_eq!(address(ADDRESS_BYTES_MAX).len(), ADDRESS_BYTES_MAX);
    assert_eq!(host(&address(ADDRESS_BYTES_MAX)).as_deref(), Ok("good.example"));
    assert_eq!(host(&address(ADDRESS_BYTES_MAX + 1)), Err(Unreadable("it is too long")));
}

#[test]
fn a_pattern_is_one_host_or_every_host_below_one() {
    for (pattern, yes, no) in [
        (
            "example.com",
            &["https://example.com/", "example.com:81"][..],
            &["www.example.com", "example.com.evil.net"][..],
        ),
        (
            "*.example.com",
            &["www.example.com", "a.b.EXAMPLE.com."],
            &["example.com", "evil-example.com", "example.com.evil.net"],
        ),
        ("BÜCHER.example", &["https://xn--bcher-kva.example/"], &["bucher.example"]),
        ("*.xn--bcher-kva.example", &["https://www.bücher.example/"], &["https://bücher.example/"]),
        ("192.0.2.1", &["http://192.0.2.1:8080/", "http://3221225985/"], &["http://192.0.2.10/"]),
        ("[2001:db8::1]", &["http://[2001:db8:0::1]/"], &["http://[2001:db8::2]/"]),
        ("localhost", &["http://localhost:3000"], &["http://a.localhost"]),
    ] {
        for address in yes {
            assert!(allows(pattern, address), "{pattern} {address}");
        }
        for address in no {
            assert!(!allows(pattern, address), "{pattern} {address}");
        }
    }
    assert!(!allows("*.example.com", "https://.example.com/"));
}

#[test]
fn what_would_promise_more_than_a_host_is_no_pattern() {
    for text in [
        "",
        "*",
        "*.",
        "**.example.com",
        "a.*.example.com",
        "*example.com",
        "https://example.com",
        "example.com/",
        "example.com:443",
        "*.192.0.2.1",
        "*.[2001:db8::1]",
        "user@example.com",
        " example.com",
        "example.com?x",
        "2001:db8::1",
    ] {
        assert_eq!(text.parse::<PagePattern>(), Err(NotAPattern), "{text:?}");
    }
    for text in ["example.com", "*.example.com", "[2001:db8::1]"] {
        assert_eq!(text.parse::<PagePattern>().unwrap().to_string(), text);
    }
}

fn form(query: &str) -> Form {
    Form::decode(query, &Bytes::new()).unwrap()
}

#[test]
fn every_parameter_that_names_a_host_is_seen() {
    let form = form(
        "method=funcaptcha&pageurl=https://a.example/&surl=https://b.example&api_server=c.example&domain=google.com\
         &captcha_url=https%3A%2F%2Fgeo.captcha-delivery.com%2F%3Freferer%3Dhttps%253A%252F%252Fd.example%252F\
         &new_thing=HTTPS://e.example/&challenge_url=%20&proxy=http://u:p@1.2.3.4:80&textcaptcha=https://f.example\
         &data[blob]=httpx&redirect_uri=https://user@g.example/",
    );
    let seen: Vec<String> = named(form.fields())
        .map(|named| {
            format!(
                "{} {:?} {}",
                named.parameter,
                named.role,
                named.host.map_or("?".into(), |host| host.to_string())
            )
        })
        .collect();
    let expected = [
        "pageurl Page a.example",
        "surl Server b.example",
        "api_server Server c.example",
        "domain Server google.com",
        "captcha_url Server geo.captcha-delivery.com",
        "captcha_url Page d.example",
        "new_thing Server e.example",
        "redirect_uri Page ?",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn the_makers_of_captchas_are_known_with_their_subdomains() {
    let is_of_a_maker = |address: &str| Host::read(address.as_bytes()).unwrap().is_of_a_maker();
    for maker in
        ["recaptcha.net", "www.google.com", "https://roblox-api.arkoselabs.com/", "api-na.geetest.com"]
    {
        assert!(is_of_a_maker(maker), "{maker}");
    }
    for other in ["notgoogle.com", "google.com.evil.example", "evil.example"] {
        assert!(!is_of_a_maker(other), "{other}");
    }
}

#[test]
fn a_name_that_php_sees_through_is_a_disguise() {
    for name in [
        "%20pageurl",
        "pageurl[]",
        "pageurl[x]",
        "PageURL",
        "page%00url",
        "method[]",
        "Method",
        "json%20cookies",
    ] {
        let form = form(&format!("{name}=x&pageurl=https://a.example/"));
        assert_eq!(disguised(form.fields()).is_some(), name != "page%00url", "{name}");
    }
    let plain = form("method=hcaptcha&pageurl=a&data[blob]=x&userAgent=y&file_1=z&min.len=1&data-s=2");
    assert_eq!(disguised(plain.fields()), None);
}
