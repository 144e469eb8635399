//! Wrong keys: never forwarded, slowed down where many come from one address, and no harm to the right ones there.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;

use crate::support::{Recorder, TestGateway, wait_until};

/// Calls that hammer at once; more than are answered at once, and than may wait.
const STRANGERS: usize = 100;

fn answered(gateway: &TestGateway, how: &str) -> f64 {
    gateway.metric("capgate_strangers_total", &format!("answered=\"{how}\""))
}

#[test]
fn many_wrong_keys_from_one_address_are_slowed_down_and_right_ones_behind_it_are_not() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let gateway = &gateway;
    let start = Barrier::new(STRANGERS);
    std::thread::scope(|scope| {
        let strangers: Vec<_> = (0..STRANGERS)
            .map(|number| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    let page = if number % 2 == 0 { "in.php" } else { "res.php" };
                    gateway.get(&format!("/{page}?key={number:032}&action=getbalance&textcaptcha=2"))
                })
            })
            .collect();
        // They wait for two seconds; meanwhile a client of the same address gets its id.
        wait_until("some are held back", || answered(gateway, "held") > 0.5);
        gateway.upload(&[("textcaptcha", "a right key's")]).id();
        for stranger in strangers {
            let reply = stranger.join().expect("it was answered");
            assert_eq!((reply.status, reply.text()), (200, "ERROR_KEY_DOES_NOT_EXIST"), "the same for all");
        }
    });
    let [at_once, held, closed] = ["at_once", "held", "closed"].map(|how| answered(gateway, how));
    assert!((at_once - 60.0).abs() < 0.1, "{at_once}");
    assert!((at_once + held + closed - 100.0).abs() < 0.1 && held > 15.5, "{held} {closed}");
    assert_eq!(upstream.uploads().len(), 1, "the client's own upload");
    assert!(upstream.calls().iter().all(|call| !call.query().contains("getbalance")), "nothing of theirs");
}

#[test]
fn behind_a_proxy_of_ours_each_caller_has_its_own_count_and_elsewhere_nobody_is_believed() {
    let call = |from: &str, number: usize| {
        format!(
            "GET /res.php?key={number:032}&action=getbalance HTTP/1.1\r\nHost: gw\r\nX-Forwarded-For: {from}\r\n\
             Connection: close\r\n\r\n"
        )
    };
    let trusting = TestGateway::builder()
        .settings(|config| config.listen.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")])
        .start();
    for number in 0..61 {
        trusting.send(call(&format!("198.51.100.{number}"), number).as_bytes());
    }
    assert!(answered(&trusting, "held") < 0.5, "each from an address of its own");
    let distrusting = TestGateway::start();
    for number in 0..61 {
        distrusting.send(call(&format!("198.51.100.{number}"), number).as_bytes());
    }
    assert!((answered(&distrusting, "held") - 1.0).abs() < 0.1, "all from one");
}

#[test]
fn of_many_calls_that_a_stranger_sends_at_once_those_after_the_first_that_waits_are_not_carried_out() {
    let gateway = TestGateway::start();
    let call =
        b"GET /res.php?key=wrong-key-0000000000000000000001&action=get&id=1 HTTP/1.1\r\nHost: g\r\n\r\n";
    let mut stream = TcpStream::connect(gateway.clients()).expect("it listens");
    // It may be closed before all was sent.
    let _ = stream.write_all(&call.repeat(500));
    let _ = stream.read_to_end(&mut Vec::new());
    let [at_once, held, closed] = ["at_once", "held", "closed"].map(|how| answered(&gateway, how));
    assert!(
        (at_once - 60.0).abs() < 0.1 && (held - 1.0).abs() < 0.1 && closed < 0.1,
        "{at_once} {held} {closed}"
    );
}
