//! Clients that upload and poll without a pause, whether the gateway is there or not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::answer_to;
use crate::support::client_key;

/// Longest wait for the next bytes of a reply; a process that is killed closes its connections at once.
const PATIENCE: Duration = Duration::from_secs(20);
/// Before a call is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// What all clients share.
pub struct Scene {
    gateway: Mutex<SocketAddr>,
    replies: AtomicUsize,
    is_over: AtomicBool,
}

/// An id that a client read.
pub struct Bought {
    pub client: usize,
    pub text: String,
    pub id: String,
}

/// What one client did.
pub struct Did {
    pub client: usize,
    /// The questions that it uploaded at least once.
    pub asked: Vec<String>,
    pub bought: Vec<Bought>,
    /// Answers that it read.
    pub answered: usize,
}

/// The clients end when this is dropped, also by a test that fails.
pub struct Over<'a>(pub &'a Scene);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

impl Scene {
    pub fn new(gateway: SocketAddr) -> Self {
        Self { gateway: Mutex::new(gateway), replies: AtomicUsize::default(), is_over: AtomicBool::default() }
    }

    /// The gateway is another process now.
    pub fn moved_to(&self, gateway: SocketAddr) {
        *self.gateway.lock().unwrap_or_else(PoisonError::into_inner) = gateway;
    }

    /// Replies that clients have read.
    pub fn replies(&self) -> usize {
        self.replies.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// The reply's body; none when the gateway is not there, or was gone before all of the reply was.
    fn call(&self, target: &str) -> Option<String> {
        let gateway = *self.gateway.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stream = TcpStream::connect(gateway).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let call = format!("GET {target} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n");
        stream.write_all(call.as_bytes()).ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        let (head, body) = reply.split_once("\r\n\r\n")?;
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if length != Some(body.len()) {
            return None;
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "{reply}");
        self.replies.fetch_add(1, Ordering::Relaxed);
        Some(body.to_owned())
    }
}

/// Client `number` uploads a question and polls until it has the answer, again and again. An odd one uploads a question
/// anew until it is told an id; an even one gives a question up that it was told none for.
pub fn works(scene: &Scene, number: usize) -> Did {
    let mut did = Did { client: number, asked: Vec::new(), bought: Vec::new(), answered: 0 };
    for round in 0.. {
        if scene.is_over() {
            break;
        }
        let text = format!("client-{number}-asks-{round}");
        did.asked.push(text.clone());
        let Some(id) = upload(scene, number, &text) else { continue };
        did.bought.push(Bought { client: number, text: text.clone(), id: id.clone() });
        did.answered += usize::from(is_answered(scene, number, &text, &id));
    }
    did
}

fn upload(scene: &Scene, number: usize, text: &str) -> Option<String> {
    let target = format!("/in.php?key={}&textcaptcha={text}", client_key(number));
    loop {
        let told = scene.call(&target);
        match told.as_deref() {
            Some("ERROR_NO_SLOT_AVAILABLE") | None => {}
            Some(told) => {
                return Some(told.strip_prefix("OK|").unwrap_or_else(|| panic!("{text}: {told}")).to_owned());
            }
        }
        std::thread::park_timeout(PAUSE);
        if number.is_multiple_of(2) || scene.is_over() {
            return None;
        }
    }
}

/// Polls until the answer is there; false when all is over before.
fn is_answered(scene: &Scene, number: usize, text: &str, id: &str) -> bool {
    let target = format!("/res.php?key={}&action=get&id={id}", client_key(number));
    while !scene.is_over() {
        match scene.call(&target).as_deref() {
            Some("CAPCHA_NOT_READY") => {}
            Some(told) => {
                assert_eq!(told, answer_to(text), "{text}, id {id}");
                return true;
            }
            None => std::thread::park_timeout(PAUSE),
        }
    }
    false
}
