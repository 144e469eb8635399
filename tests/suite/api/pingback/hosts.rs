//! Which hosts a client can register, and from where.

use serde_json::json;

use super::{Registers, near};
use crate::support::{Recorder, TestGateway, urlencoded};

#[test]
fn each_client_has_hosts_of_its_own_and_the_upstream_hears_of_none() {
    let gateway = near().clients(2).start();
    let list = |client| gateway.res_as(client, "action=get_pingback").text().to_owned();
    assert_eq!((list(1), list(2)), ("OK".into(), "OK".into()));
    for address in ["127.0.0.1/test.php", "http://LOCALHOST:8080/answer?x=1", "127.0.0.1"] {
        assert_eq!(gateway.register(address).text(), "OK", "{address}");
    }
    assert_eq!(gateway.res_as(2, "action=add_pingback&addr=127.0.0.1/a").text(), "OK");
    assert_eq!(list(1), "OK|127.0.0.1|localhost", "hosts, since 2018");
    let in_json = gateway.res_as(2, "action=get_pingback&json=1").json();
    assert_eq!(in_json, json!({"status": 1, "request": ["127.0.0.1"]}));

    assert_eq!(gateway.res_as(2, "action=del_pingback&addr=localhost").text(), "OK");
    assert_eq!(list(1).split('|').count(), 3, "another's host cannot be deleted");
    assert_eq!(gateway.res_as(1, "action=del_pingback&addr=http://localhost/x").text(), "OK");
    assert_eq!(list(1), "OK|127.0.0.1");
    assert_eq!(gateway.res_as(1, "action=del_pingback&addr=all").text(), "OK");
    assert_eq!((list(1), list(2)), ("OK".into(), "OK|127.0.0.1".into()));
    let state = gateway.simulator().state();
    assert!(state.pingback_addresses.is_empty());
    assert_eq!(state.counts.r, 0);
}

#[test]
fn a_host_is_registered_from_its_own_address_unless_the_settings_allow_others() {
    let gateway = near().start();
    let refused = gateway.register("127.0.0.2");
    assert_eq!(refused.text(), "ERROR_IP_ADDRES");
    let reason = refused.header("X-Capgate-Reason").expect("a reason");
    assert!(reason.contains("127.0.0.1, which is not the host's address"), "{reason}");
    let in_json = gateway.res("action=add_pingback&addr=127.0.0.2&json=1").json();
    assert_eq!((&in_json["status"], &in_json["request"]), (&json!(0), &json!("ERROR_IP_ADDRES")));

    let from_here = |config: &mut capgate::config::Config| {
        config.pingback.register_from = vec!["127.0.0.1/32".parse().expect("a network")];
    };
    let gateway = near().settings(from_here).start();
    assert_eq!(gateway.register("127.0.0.2").text(), "OK");
}

#[test]
fn what_stands_beside_the_gateway_cannot_be_registered_by_address_or_by_name() {
    let gateway = TestGateway::start();
    for address in [
        "127.0.0.1",
        "localhost",
        "http://LocalHost.:8080/",
        "0x7f.1",
        "2130706433",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ] {
        let refused = gateway.register(address);
        assert_eq!(refused.text(), "ERROR_IP_ADDRES", "{address}");
        let reason = refused.header("X-Capgate-Reason").expect("a reason");
        assert!(reason.contains("which pingback.allow does not have"), "{address}: {reason}");
    }
    for address in ["http://user@127.0.0.1/", "ftp://127.0.0.1/", "http://127.0.0.1:22/", "a b"] {
        assert_eq!(gateway.register(address).text(), "ERROR_BAD_PARAMETERS", "{address}");
    }
    assert_eq!(gateway.res("action=get_pingback").text(), "OK");
}

#[test]
fn a_client_registers_a_hundred_hosts_and_not_one_more() {
    let gateway = near()
        .settings(|config| config.pingback.register_from = vec!["127.0.0.1/32".parse().expect("a network")])
        .start();
    for host in 1..=100 {
        assert_eq!(gateway.register(&format!("127.0.0.{host}")).text(), "OK");
    }
    assert_eq!(gateway.register("127.0.0.101").text(), "ERROR_BAD_PARAMETERS");
    assert_eq!(gateway.register("127.0.0.100").text(), "OK", "it is there already");
    assert_eq!(gateway.res("action=get_pingback").text().split('|').count(), 101);
}

#[test]
fn an_upload_may_name_urls_on_its_own_clients_hosts_only() {
    let upstream = Recorder::accepting();
    let gateway = near().clients(2).upstream(&upstream.url()).start();
    assert_eq!(gateway.register("127.0.0.1").text(), "OK");
    let upload = |client, target: &str| {
        gateway.upload_as(client, &[("textcaptcha", target), ("pingback", target)]).text().to_owned()
    };
    for taken in ["http://127.0.0.1/a?b=c", "127.0.0.1:8080/x", "https://127.0.0.1/", ""] {
        assert!(upload(1, taken).starts_with("OK|"), "{taken}");
    }
    let sent = upstream.uploads();
    assert!(sent.iter().all(|call| !call.contains("pingback")), "the upstream does not hear of it");
    for refused in
        ["http://127.0.0.2/", "http://localhost/", "http://a@127.0.0.1/", "http://127.0.0.1:25/", "x:y:z"]
    {
        assert_eq!(upload(1, refused), "ERROR_BAD_PARAMETERS", "{refused}");
    }
    assert_eq!(upload(2, "http://127.0.0.1/"), "ERROR_BAD_PARAMETERS", "another client's host");
    let unregistered = urlencoded(&[("textcaptcha", "x"), ("pingback", "http://127.0.0.2/"), ("json", "1")]);
    let key = crate::support::client_key(1);
    let reply = gateway.get(&format!("/in.php?key={key}&{unregistered}")).json();
    assert_eq!(reply["error_text"], "pingback: 127.0.0.2 is not registered; add_pingback does that");
    assert_eq!(upstream.uploads().len(), 4, "a refusal costs no call");
}
