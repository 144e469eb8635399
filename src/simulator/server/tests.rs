use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::support::TOKEN;
use super::super::{DEFAULT_KEY, expected_answer};
use super::*;

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

fn started(patch: &Value) -> Simulator {
    let scenario = Scenario::default()
        .merged(&json!({"solve_times": "1-1"}))
        .and_then(|scenario| scenario.merged(patch))
        .unwrap();
    Simulator::start(scenario, "127.0.0.1:0").unwrap()
}

/// All bytes of one exchange, until the server closes the connection.
async fn exchange(simulator: &Simulator, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(simulator.address()).await.unwrap();
    let length = body.len();
    let call =
        format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(call.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // A connection that the server resets shows what came before.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the connection stays open");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn body(reply: &str) -> &str {
    reply.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[tokio::test]
async fn a_captcha_goes_up_by_post_and_its_answer_comes_down_by_get() {
    let simulator = started(&json!({}));
    let reply = exchange(&simulator, &format!("POST /in.php?key={DEFAULT_KEY}"), TOKEN).await;
    let id = body(&reply).strip_prefix("OK|").unwrap().to_owned();
    let poll =
        format!("GET http://upstream.example/res.php?&key={DEFAULT_KEY}&action=get&header_acao=1&id={id}");
    let deadline = simulator.now() + PATIENCE;
    let reply = loop {
        let reply = exchange(&simulator, &poll, "").await;
        if body(&reply) != "CAPCHA_NOT_READY" || simulator.now() > deadline {
            break reply;
        }
    };
    let form = Form::decode(TOKEN, &Bytes::new()).unwrap();
    assert_eq!(body(&reply), format!("OK|{}", expected_answer(&form, 0.0).unwrap().plain));
    assert!(reply.to_ascii_lowercase().contains("access-control-allow-origin: *\r\n"), "{reply}");
    assert_eq!(simulator.state().captchas.told, 1);
    simulator.stop().await;
}

#[tokio::test]
async fn it_is_broken_and_healed_while_it_runs_and_never_shows_its_key() {
    let simulator = started(&json!({}));
    let balance = format!("GET /res.php?key={DEFAULT_KEY}&action=getbalance");
    let patch = json!({"faults": {"html_502": 1}}).to_string();
    let reply = exchange(&simulator, "POST /scenario", &patch).await;
    assert!(reply.starts_with("HTTP/1.1 200") && !reply.contains(DEFAULT_KEY), "{reply}");
    assert!(exchange(&simulator, &balance, "").await.starts_with("HTTP/1.1 502"));
    simulator.change(&json!({"faults": null})).unwrap();
    assert_eq!(body(&exchange(&simulator, &balance, "").await), "1000.00000");
    assert!(exchange(&simulator, "POST /scenario", "{\"slot\":1}").await.starts_with("HTTP/1.1 400"));
    let state: Value = serde_json::from_str(body(&exchange(&simulator, "GET /state", "").await)).unwrap();
    assert_eq!((&state["R"], &state["C"], &state["blocks"]), (&json!(2), &json!(0), &json!(0)));
    exchange(&simulator, "POST /reset", "").await;
    assert_eq!(simulator.state().counts.r, 0);
}

#[tokio::test]
async fn connections_end_as_the_fault_says() {
    let simulator = started(&json!({}));
    let balance = format!("GET /res.php?key={DEFAULT_KEY}&action=getbalance");
    simulator.change(&json!({"faults": {"reset_after": 1}})).unwrap();
    assert_eq!(exchange(&simulator, &balance, "").await, "", "not a byte of a reply");
    simulator.change(&json!({"faults": {"reset_after": null, "truncated": 1}})).unwrap();
    let cut = exchange(&simulator, &balance, "").await;
    assert!(cut.to_ascii_lowercase().contains("content-length: 10\r\n"), "{cut}");
    assert_eq!(body(&cut), "1000.");
    simulator.change(&json!({"faults": {"truncated": null, "empty": 1}})).unwrap();
    let empty = exchange(&simulator, &balance, "").await;
    assert!(empty.starts_with("HTTP/1.1 200") && body(&empty).is_empty(), "{empty}");
}

/// Two of the faults hold their connection: bytes without end, and none at all. Stopping ends both.
#[tokio::test]
async fn an_endless_body_and_a_hanging_call_end_when_the_simulator_stops() {
    let simulator = started(&json!({"faults": {"endless@res": 1, "hang@in": 1}}));
    let mut endless = TcpStream::connect(simulator.address()).await.unwrap();
    let mut hanging = TcpStream::connect(simulator.address()).await.unwrap();
    let call = |script: &str| format!("GET /{script}?key={DEFAULT_KEY}&{TOKEN} HTTP/1.1\r\nHost: x\r\n\r\n");
    endless.write_all(call("res.php").as_bytes()).await.unwrap();
    hanging.write_all(call("in.php").as_bytes()).await.unwrap();
    let mut much = vec![0; 1024 * 1024];
    timeout(PATIENCE, endless.read_exact(&mut much)).await.unwrap().unwrap();
    let deadline = simulator.now() + PATIENCE;
    while simulator.state().counts.c == 0 && simulator.now() < deadline {
        tokio::task::yield_now().await;
    }
    assert_eq!(simulator.state().counts.c, 1, "the upload that hangs was accepted");
    timeout(PATIENCE, simulator.stop()).await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, hanging.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_an_upload_error() {
    let simulator = started(&json!({}));
    let reply = exchange(&simulator, &format!("POST /in.php?key={DEFAULT_KEY}"), "{\"method\":").await;
    assert_eq!(body(&reply), "ERROR_UPLOAD");
}

/// Takes calls one after the other, and says OK to each; gives their bodies.
async fn receiver() -> (String, tokio::sync::mpsc::Receiver<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/answers", listener.local_addr().unwrap());
    let (tell, told) = tokio::sync::mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut call = String::new();
            while !call.contains("code=") {
                let mut bytes = [0; 1_024];
                let read = stream.read(&mut bytes).await.unwrap();
                call.push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
            assert!(call.starts_with("POST /answers HTTP/1.1\r\n"), "{call}");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK").await.unwrap();
            tell.send(body(&call).to_owned()).await.unwrap();
        }
    });
    (url, told)
}

#[tokio::test]
async fn answers_are_pushed_to_a_receiver_that_was_registered_and_early_ones_before_the_reply() {
    let (simulator, (url, mut told)) =
        (started(&json!({"faults": {"push_early": "next 1"}})), receiver().await);
    let register = format!("GET /res.php?key={DEFAULT_KEY}&action=add_pingback&addr=127.0.0.1");
    assert_eq!(body(&exchange(&simulator, &register, "").await), "OK");
    let upload = format!("POST /in.php?key={DEFAULT_KEY}&pingback={url}");
    for is_early in [true, false] {
        let reply = exchange(&simulator, &upload, TOKEN).await;
        let id = body(&reply).strip_prefix("OK|").unwrap().to_owned();
        // It has been told by the time that the reply is here.
        let pushed =
            if is_early { told.try_recv().ok() } else { timeout(PATIENCE, told.recv()).await.unwrap() };
        let form = Form::decode(TOKEN, &Bytes::new()).unwrap();
        let code = expected_answer(&form, 0.0).unwrap().plain;
        assert_eq!(pushed, Some(format!("id={id}&code={code}")));
    }
    while simulator.state().counts.pushes_taken < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(simulator.state().captchas.told, 2);
    simulator.stop().await;
}
