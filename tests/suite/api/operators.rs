//! What operators do on the admin listener, and who may not.

use std::time::Duration;

use capgate::config::{Open, StoreUrl};
use serde_json::json;

use crate::support::{ADMIN_TOKEN, Reply, TestGateway, client_key, refused, send};

const ACTIONS: [&str; 5] =
    ["/clear-latches", "/pingbacks/retry", "/clients/client-1/stop", "/clients/client-1/resume", "/drain"];

/// A GET of the admin listener with these headers, each with its line end.
fn get(gateway: &TestGateway, path: &str, headers: &str) -> Reply {
    let call = format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    send(gateway.admin(), call.as_bytes())
}

fn upload(gateway: &TestGateway) -> String {
    gateway.upload(&[("textcaptcha", "one and one")]).text().to_owned()
}

#[test]
fn without_the_right_token_nothing_can_be_done_and_with_it_from_no_web_page() {
    let gateway = TestGateway::start();
    let bearer = format!("Authorization: Bearer {ADMIN_TOKEN}\r\n");
    for path in ACTIONS {
        for wrong in [
            "",
            "Authorization: Bearer fake-admin-token-000000000000001\r\n",
            "Authorization: Basic Og==\r\n",
        ] {
            let reply = gateway.act_with(path, wrong);
            assert_eq!(reply.status, 401, "{path} {wrong}");
            assert!(reply.text().contains("admin.token") && !reply.text().contains(ADMIN_TOKEN));
        }
        for page in ["Origin: http://page.example\r\n", "Sec-Fetch-Site: cross-site\r\n", "Origin: null\r\n"]
        {
            assert_eq!(gateway.act_with(path, &format!("{bearer}{page}")).status, 403, "{path} {page}");
        }
        assert_ne!(
            get(&gateway, path, &format!("Host: localhost\r\n{bearer}")).status,
            200,
            "not by GET: {path}"
        );
    }
    assert!(upload(&gateway).starts_with("OK|"), "nothing of it was done");
    assert!(gateway.metric("capgate_admin_refusals_total", "reason=\"token\"") > 14.5);
    let unset = TestGateway::builder().settings(|config| config.admin.token = None).start();
    let reply = unset.act("/clear-latches");
    assert_eq!((reply.status, reply.text().contains("admin.token, which is not set")), (403, true));
}

#[test]
fn an_operator_opens_what_a_refused_key_has_closed() {
    let gateway = TestGateway::builder()
        .scenario(json!({"key": "another-account-key-000000000000"}))
        .settings(|config| config.uploads.hold = Duration::from_millis(200))
        .start();
    assert_eq!(upload(&gateway), "ERROR_NO_SLOT_AVAILABLE");
    gateway.simulator().change(&json!({"key": capgate::simulator::DEFAULT_KEY})).unwrap();
    assert_eq!(gateway.act_with("/clear-latches", "").status, 401);
    assert_eq!(
        (upload(&gateway).as_str(), gateway.get_admin("/readyz").status),
        ("ERROR_NO_SLOT_AVAILABLE", 503)
    );
    assert_eq!(gateway.act("/clear-latches").status, 200);
    assert!(upload(&gateway).starts_with("OK|"));
    assert_eq!(gateway.get_admin("/readyz").status, 200);
}

#[test]
fn an_operator_stops_a_client_at_once_and_a_restart_does_not_let_it_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    // Another seed gives other ids, as a service that goes on does.
    let start = |seed: u32| {
        TestGateway::builder()
            .scenario(json!({"seed": seed}))
            .clients(2)
            .settings(|config| config.store.url = StoreUrl::Sqlite(folder.path().join("capgate.db")))
            .start()
    };
    let gateway = start(1);
    let id = gateway.upload(&[("textcaptcha", "before it was stopped")]).id();
    let stopped = gateway.act("/clients/client-1/stop");
    assert_eq!((stopped.status, stopped.text().contains("client-1 is stopped")), (200, true));
    refused("ERROR_KEY_DOES_NOT_EXIST", "stopped", |form| {
        gateway.get(&format!("/in.php?key={}&textcaptcha=more&{form}", client_key(1)))
    });
    let told = gateway.answer(&format!("action=get&id={id}")).text().to_owned();
    assert!(told.starts_with("OK|"), "what was paid for is told: {told}");
    gateway.upload_as(2, &[("textcaptcha", "another client's")]).id();
    assert!(gateway.metric("capgate_client_stopped", "client=\"client-1\"") > 0.5);
    let shown = gateway.get_admin("/clients").json();
    let expected = json!({
        "name": "client-1", "may_upload": false, "why_not": "stopped", "stopped_by_operator": true,
        "open": 0, "max_open": null, "budgets": [],
    });
    assert_eq!((&shown["clients"][0], &shown["clients"][1]["may_upload"]), (&expected, &json!(true)));
    drop(gateway);
    let gateway = start(2);
    assert_eq!(upload(&gateway), "ERROR_KEY_DOES_NOT_EXIST");
    assert_eq!(gateway.act("/clients/client-1/resume").text(), "client-1 may upload\n");
    assert!(upload(&gateway).starts_with("OK|"));
    drop(gateway);
    assert!(upload(&start(3)).starts_with("OK|"));
}

#[test]
fn what_the_settings_stop_no_operator_lets_go_on_and_an_unknown_name_is_told() {
    let gateway = TestGateway::builder().settings(|config| config.clients[0].stopped = true).start();
    let reply = gateway.act("/clients/client-1/resume");
    assert_eq!((reply.status, reply.text()), (409, "by the settings the client is stopped\n"));
    for path in ["/clients/nobody/stop", "/clients/nobody/resume"] {
        assert_eq!(gateway.act(path).status, 404, "{path}");
    }
    assert_eq!(upload(&gateway), "ERROR_KEY_DOES_NOT_EXIST");
}

#[test]
fn an_operator_ends_the_gateway_as_a_signal_does() {
    let gateway = TestGateway::start();
    let id = gateway.upload(&[("textcaptcha", "under way")]).id();
    gateway.answer(&format!("action=get&id={id}"));
    assert_eq!(gateway.act("/drain").status, 202);
    let clients = gateway.clients();
    crate::support::wait_until("nobody listens any more", || std::net::TcpStream::connect(clients).is_err());
}

#[test]
fn a_page_that_leads_its_own_name_here_reads_nothing() {
    let gateway = TestGateway::start();
    for path in ["/metrics", "/status.json", "/clients", "/readyz"] {
        for host in
            ["Host: rebound.example\r\n", "Host: rebound.example:9464\r\n", "Host: 127.0.0.1.example\r\n"]
        {
            assert_eq!(get(&gateway, path, host).status, 403, "{path} {host}");
        }
        for host in ["Host: localhost\r\n", "Host: 127.0.0.1:1\r\n", "Host: [::1]:1\r\n"] {
            assert_eq!(get(&gateway, path, host).status, 200, "{path} {host}");
        }
    }
    let named = TestGateway::builder()
        .settings(|config| config.admin.hosts = vec!["gw.example.com".parse().expect("a host")])
        .start();
    assert_eq!(get(&named, "/metrics", "Host: GW.example.com\r\n").status, 200);
    assert_eq!(get(&named, "/metrics", "Host: rebound.example\r\n").status, 403);
}

#[test]
fn off_loopback_the_probes_and_what_the_settings_open_are_shown_and_the_rest_with_the_token() {
    let start = |open: &[Open]| {
        let open = open.to_vec();
        TestGateway::builder()
            .settings(|config| {
                // Reachable here as on loopback, and open to all like any other address.
                config.listen.admin = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
                config.admin.open = open;
            })
            .start()
    };
    let bearer = format!("Host: gw.internal\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n");
    for (open, metrics, status) in
        [(&[][..], 401, 401), (&[Open::Metrics], 200, 401), (&[Open::Status], 401, 200)]
    {
        let gateway = start(open);
        let status_of = |path| get(&gateway, path, "Host: gw.internal\r\n").status;
        assert_eq!((status_of("/healthz"), status_of("/readyz")), (200, 200), "{open:?}");
        assert_eq!(
            (status_of("/metrics"), status_of("/"), status_of("/clients")),
            (metrics, status, status),
            "{open:?}"
        );
        for path in ["/metrics", "/", "/status.json", "/clients"] {
            assert_eq!(get(&gateway, path, &bearer).status, 200, "{path}");
        }
        let asks = get(&gateway, "/status.json", "Host: gw.internal\r\n");
        assert_eq!(asks.header("WWW-Authenticate").is_some(), status == 401, "a browser asks its user");
    }
}
