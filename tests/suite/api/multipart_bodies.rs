//! Uploads with files, as the libraries of ten years and as many languages write them.

use crate::support::{Recorder, TestGateway, base64, client_key, expected, image, multipart, post_bytes};

/// Label of the body, and the boundary in it.
const BOUNDARIES: &[(&str, &str)] = &[
    ("boundary=abc", "abc"),
    ("boundary=\"abc\"", "abc"),
    ("Boundary=abc; charset=UTF-8", "abc"),
    ("charset=utf-8; boundary=abc", "abc"),
    ("boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW", "----WebKitFormBoundary7MA4YWxkTrZu0gW"),
    ("boundary=----------------------------8dc1a2b3c4d5e6f", "----------------------------8dc1a2b3c4d5e6f"),
    ("boundary=\"Upload----11/23/2026 01:13:55\"", "Upload----11/23/2026 01:13:55"),
    ("boundary=Upload----11/23/2026 01:13:55", "Upload----11/23/2026 01:13:55"),
    ("boundary=\"Upload----11/23/2026 1:13:55 AM\"", "Upload----11/23/2026 1:13:55 AM"),
    ("boundary=another-one", "abc"),
    ("", "abc"),
];

#[test]
fn whatever_the_boundary_the_image_arrives_as_it_was() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let (key, image) = (client_key(1), image(1, 5_000));
    let fields = [("key", key.as_str()), ("method", "post"), ("regsense", "1")];
    for (at, (label, boundary)) in BOUNDARIES.iter().enumerate() {
        let body = multipart(boundary, &fields, &[("file", "captcha.png", &image)]);
        let reply = gateway.post("/in.php", &format!("multipart/form-data; {label}"), &body);
        assert!(reply.text().starts_with("OK|"), "{label}: {}", reply.text());
        let sent = upstream.uploads().remove(at).parameters();
        assert_eq!(sent["file"], image, "{label}");
        assert_eq!((&sent["method"][..], &sent["regsense"][..]), (&b"post"[..], &b"1"[..]), "{label}");
        assert_eq!(sent.len(), 4, "{label}: {:?}", sent.keys());
    }
}

/// How a part's head can be written, `file` for the place of the image.
const HEADS: &[&str] = &[
    "Content-Disposition: form-data; name=\"file\"; filename=\"c.png\"\r\nContent-Type: image/png",
    "Content-Disposition: form-data; name=file; filename=c.png",
    "content-disposition: form-data; name=\"file\"; filename=\"c.png\"\r\nContent-Type: text/plain",
    "Content-Disposition: form-data; filename=\"c.png\"; name=\"file\"\r\nContent-Transfer-Encoding: binary",
    "Content-Type: application/octet-stream\r\nContent-Disposition: form-data; name=\"file\"; filename*=utf-8''c.png",
    "Content-Disposition: form-data; name=\"file\"",
];

#[test]
fn however_a_part_is_labelled_the_image_arrives_as_a_file() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let image = image(2, 700);
    for (at, head) in HEADS.iter().enumerate() {
        let start = format!(
            "--b\r\nContent-Disposition: form-data; name=key\r\nContent-Type: text/plain\r\n\r\n{}\r\n--b\r\n\
             Content-Disposition: form-data; name=method\r\n\r\npost\r\n--b\r\n{head}\r\n\r\n",
            client_key(1)
        );
        let body = [start.as_bytes(), &image, b"\r\n--b--\r\n"].concat();
        let reply = gateway.post("/in.php", "multipart/form-data; boundary=b", &body);
        assert!(reply.text().starts_with("OK|"), "{head}: {}", reply.text());
        let sent = upstream.uploads().remove(at);
        assert_eq!(sent.parameters()["file"], image, "{head}");
        assert!(sent.contains("filename=\""), "{head}: an image without a file name is no upload");
    }
}

#[test]
fn a_client_that_expects_100_continue_can_send_a_large_image() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let (key, image) = (client_key(1), image(3, 600 * 1024));
    let body = multipart("b", &[("key", &key), ("method", "post")], &[("file", "c.png", &image)]);
    let mut call = post_bytes("/in.php", Some("multipart/form-data; boundary=b"), &body);
    let at = call.windows(5).position(|bytes| bytes == b"Host:").expect("a head");
    call.splice(at..at, *b"Expect: 100-continue\r\n");
    let reply = gateway.send(&call);
    assert!(reply.text().starts_with("OK|"), "{}", reply.text());
    assert_eq!(upstream.uploads()[0].parameters()["file"], image);
}

#[test]
fn the_nine_images_of_a_rotate_captcha_keep_their_names_and_their_order() {
    let gateway = TestGateway::start();
    let images: Vec<Vec<u8>> = (0..9).map(|number| image(100 + number, 20_000)).collect();
    let names: Vec<String> = (1..=9).map(|number| format!("file_{number}")).collect();
    let files: Vec<(&str, &str, &[u8])> =
        names.iter().zip(&images).map(|(name, image)| (name.as_str(), "c.png", &image[..])).collect();
    let key = client_key(1);
    let fields = [("key", key.as_str()), ("method", "rotatecaptcha"), ("angle", "40")];
    let reply = gateway.post("/in.php", "multipart/form-data; boundary=b", &multipart("b", &fields, &files));
    let turn = |image: &Vec<u8>| {
        let body = base64(image);
        expected(&[("method", "rotatecaptcha"), ("angle", "40"), ("body", &body)], 0.0).plain
    };
    let turns: Vec<String> = images.iter().map(turn).collect();
    let answer = gateway.answer(&format!("action=get&id={}", reply.id()));
    assert_eq!(answer.text(), format!("OK|{}", turns.join("|")), "nine angles, bars between them");
}

#[test]
fn instructions_come_as_a_picture_or_as_base64() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let (key, grid, how) = (client_key(1), image(4, 900), image(5, 800));
    let encoded = base64(&how);
    let fields = [
        ("key", key.as_str()),
        ("method", "post"),
        ("recaptcha", "1"),
        ("recaptcharows", "4"),
        ("recaptchacols", "3"),
    ];
    let files = [("file", "grid.png", &grid[..]), ("imginstructions", "how.png", &how[..])];
    let label = "multipart/form-data; boundary=b";
    gateway.post("/in.php", label, &multipart("b", &fields, &files)).id();
    let fields = [&fields[..], &[("imginstructions", &encoded)]].concat();
    gateway.post("/in.php", label, &multipart("b", &fields, &files[..1])).id();
    let [one, two] = &upstream.uploads()[..] else { panic!("two uploads") };
    assert_eq!((&one.parameters()["imginstructions"], &one.parameters()["file"]), (&how, &grid));
    assert_eq!(two.parameter("imginstructions"), encoded);
    assert_eq!((two.parameter("recaptcharows"), two.parameter("recaptchacols")), ("4".into(), "3".into()));
}

#[test]
fn base64_is_repaired_and_otherwise_left_alone() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let whole = base64(&image(6, 300));
    assert!(whole.contains('+'), "the image is made so");
    let spoilt = format!("key={}&method=base64&body={whole}", client_key(1));
    // An unescaped + of an urlencoded body is a blank.
    gateway.post("/in.php", "application/x-www-form-urlencoded", spoilt.as_bytes()).id();
    let with_head = format!("data:image/png;base64,{whole}");
    gateway.upload(&[("method", "base64"), ("body", &with_head)]).id();
    let bodies: Vec<String> = upstream.uploads().iter().map(|call| call.parameter("body")).collect();
    assert_eq!(bodies, [whole, with_head]);
}
