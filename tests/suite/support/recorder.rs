//! An upstream that follows a script and remembers every call, byte for byte.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use percent_encoding::percent_decode;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::wire::find;

/// Between two bytes of a reply that drips.
const DRIP: std::time::Duration = std::time::Duration::from_millis(50);

/// What the recorder does with a call.
#[derive(Clone, Debug)]
pub enum Say {
    /// Status 200 with this body; the connection stays open.
    Text(String),
    /// Another status.
    Page(u16, &'static str),
    /// Status 302, to this address.
    Redirect(String),
    /// Status 200 with this body, and then the connection is closed without a word before.
    TextAndClose(String),
    /// The head announces more than the body then has.
    HalfOf(String),
    /// In chunks, with the connection closed between two of them.
    HalfOfChunks(String),
    /// In HTTP/1.0, with no length in the head: it ends with the connection.
    UntilClosed(String),
    /// The connection is closed without a reply.
    Close,
    /// No reply, and the connection stays open.
    Nothing,
    /// These bytes, whatever they are, and then the connection is closed.
    Raw(Vec<u8>),
    /// These bytes, and then the second ones again and again, for as long as anybody takes them.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, one by one, and slowly.
    Drip(Vec<u8>),
}

/// A call as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub head: String,
    pub body: Vec<u8>,
}

impl Recorded {
    /// Method and target.
    fn target(&self) -> (&str, &str) {
        let mut words = self.head.split(' ');
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }

    pub fn method(&self) -> &str {
        self.target().0
    }

    pub fn path(&self) -> &str {
        self.target().1.split('?').next().unwrap_or_default()
    }

    pub fn query(&self) -> &str {
        self.target().1.split_once('?').map_or("", |(_, query)| query)
    }

    pub fn is_upload(&self) -> bool {
        self.path() == "/in.php"
    }

    pub fn content_type(&self) -> &str {
        self.header("content-type").unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.filter(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// The parameters in query and body, read by the book: an upstream is not as lenient as a gateway.
    ///
    /// # Panics
    /// When the body is not what its label says, or a name comes twice.
    #[track_caller]
    pub fn parameters(&self) -> BTreeMap<String, Vec<u8>> {
        let mut pairs = urldecoded(self.query().as_bytes());
        if let Some(boundary) = self.content_type().strip_prefix("multipart/form-data; boundary=") {
            pairs.extend(multipart_fields(boundary, &self.body));
        } else if !self.body.is_empty() {
            assert_eq!(self.content_type(), "application/x-www-form-urlencoded");
            pairs.extend(urldecoded(&self.body));
        }
        let count = pairs.len();
        let parameters: BTreeMap<_, _> = pairs.into_iter().collect();
        assert_eq!(parameters.len(), count, "a name came twice: {:?}", parameters.keys());
        parameters
    }

    /// A parameter as text; empty when it was not sent.
    pub fn parameter(&self, name: &str) -> String {
        let value = self.parameters().remove(name).unwrap_or_default();
        String::from_utf8_lossy(&value).into_owned()
    }

    /// Whether `text` stands anywhere in the call.
    pub fn contains(&self, text: &str) -> bool {
        self.head.contains(text) || find(&self.body, text.as_bytes()).is_some()
    }
}

fn urldecoded(text: &[u8]) -> Vec<(String, Vec<u8>)> {
    let decoded = |text: &[u8]| percent_decode(text).collect::<Vec<u8>>();
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=').expect("name=value");
            (String::from_utf8(decoded(&pair[..at])).expect("names are UTF-8"), decoded(&pair[at + 1..]))
        })
        .collect()
}

fn multipart_fields(boundary: &str, body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let between = format!("\r\n--{boundary}");
    let body = [b"\r\n", body].concat();
    let mut rest = &body[..];
    let mut parts = Vec::new();
    while let Some(at) = find(rest, between.as_bytes()) {
        parts.push(&rest[..at]);
        rest = &rest[at + between.len()..];
    }
    assert_eq!(rest, b"--\r\n", "a multipart body ends with its boundary");
    let field = |part: &[u8]| {
        let head_end = find(part, b"\r\n\r\n").expect("a part has a head");
        let head = std::str::from_utf8(&part[..head_end]).expect("a part's head is text");
        let name = head.split_once("name=\"").and_then(|(_, rest)| rest.split_once('"'));
        (name.expect("a part has a name").0.to_owned(), part[head_end + 4..].to_vec())
    };
    parts.into_iter().skip(1).map(field).collect()
}

type Script = dyn Fn(&Recorded) -> Say + Send + Sync;

struct Shared {
    script: Box<Script>,
    tls: Option<Arc<ServerConfig>>,
    calls: Mutex<Vec<Recorded>>,
    open: Mutex<Vec<TcpStream>>,
    is_stopped: AtomicBool,
}

/// A scripted upstream; it stops when this is dropped.
pub struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    pub fn start(script: impl Fn(&Recorded) -> Say + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1:0".parse().expect("an address"), script)
    }

    /// Accepts every upload, each with an id of its own, and solves none.
    pub fn accepting() -> Self {
        let last_id = std::sync::atomic::AtomicU64::new(50_000_000_000);
        Self::start(move |call| match call.path() {
            "/in.php" => Say::Text(format!("OK|{}", last_id.fetch_add(1, Ordering::Relaxed))),
            _ if call.query().contains("ids=") => {
                let ids = call.parameter("ids").split(',').count();
                Say::Text(vec!["CAPCHA_NOT_READY"; ids].join("|"))
            }
            _ => Say::Text("CAPCHA_NOT_READY".into()),
        })
    }

    pub fn start_on(address: SocketAddr, script: impl Fn(&Recorded) -> Say + Send + Sync + 'static) -> Self {
        Self::listen(address, None, Box::new(script))
    }

    /// Over TLS, with this certificate; each connection is ended by the book, by saying so.
    pub fn start_tls(
        config: ServerConfig,
        script: impl Fn(&Recorded) -> Say + Send + Sync + 'static,
    ) -> Self {
        let address = "127.0.0.1:0".parse().expect("an address");
        Self::listen(address, Some(Arc::new(config)), Box::new(script))
    }

    fn listen(address: SocketAddr, tls: Option<Arc<ServerConfig>>, script: Box<Script>) -> Self {
        let listener = TcpListener::bind(address).expect("the address is free");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared {
            script,
            tls,
            calls: Mutex::default(),
            open: Mutex::default(),
            is_stopped: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        let thread = std::thread::spawn(move || accept(&listener, &accepting));
        Self { address, shared, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// All calls so far, in the order in which they were read to their end.
    pub fn calls(&self) -> Vec<Recorded> {
        locked(&self.shared.calls).clone()
    }

    pub fn uploads(&self) -> Vec<Recorded> {
        self.calls().into_iter().filter(Recorded::is_upload).collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::Release);
        // Wakes the thread that accepts; it sees that it is over.
        drop(TcpStream::connect(self.address));
        for stream in locked(&self.shared.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        if shared.is_stopped.load(Ordering::Acquire) {
            return;
        }
        if let Ok(clone) = stream.try_clone() {
            locked(&shared.open).push(clone);
        }
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // A connection that breaks ends its own thread only.
            let _ = match &shared.tls {
                None => converse(&stream, &shared),
                Some(config) => converse_in_tls(&stream, config, &shared),
            };
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

fn converse_in_tls(stream: &TcpStream, config: &Arc<ServerConfig>, shared: &Shared) -> std::io::Result<()> {
    let session = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut session = StreamOwned::new(session, stream);
    let ended = converse(&mut session, shared);
    session.conn.send_close_notify();
    session.flush()?;
    ended
}

fn converse(mut stream: impl Read + Write, shared: &Shared) -> std::io::Result<()> {
    loop {
        let call = read_call(&mut stream)?;
        locked(&shared.calls).push(call.clone());
        let reply = |status: u16, length: usize, body: &str| {
            format!(
                "HTTP/1.1 {status} x\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{body}"
            )
        };
        match (shared.script)(&call) {
            Say::Text(body) => stream.write_all(reply(200, body.len(), &body).as_bytes())?,
            Say::Page(status, body) => stream.write_all(reply(status, body.len(), body).as_bytes())?,
            Say::Redirect(location) => {
                let head = format!("HTTP/1.1 302 x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(head.as_bytes())?;
            }
            Say::TextAndClose(body) => {
                return stream.write_all(reply(200, body.len(), &body).as_bytes());
            }
            Say::HalfOf(body) => {
                let half = &body[..body.len() / 2];
                return stream.write_all(reply(200, body.len(), half).as_bytes());
            }
            Say::HalfOfChunks(body) => {
                let half = &body[..body.len() / 2];
                let head = "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n";
                return stream.write_all(format!("{head}{:x}\r\n{half}\r\n", half.len()).as_bytes());
            }
            Say::UntilClosed(body) => {
                return stream.write_all(format!("HTTP/1.0 200 x\r\n\r\n{body}").as_bytes());
            }
            Say::Close => return Ok(()),
            Say::Raw(bytes) => return stream.write_all(&bytes),
            Say::Endless(first, next) => {
                stream.write_all(&first)?;
                loop {
                    stream.write_all(&next)?;
                }
            }
            Say::Drip(bytes) => {
                for byte in bytes {
                    stream.write_all(&[byte])?;
                    std::thread::park_timeout(DRIP);
                }
                return Ok(());
            }
            // Until the other side, or the recorder's end, closes it.
            Say::Nothing => {}
        }
    }
}

fn read_call(mut stream: impl Read) -> std::io::Result<Recorded> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(head_end) = find(&bytes, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
            let mut call = Recorded { head, body: Vec::new() };
            let length = call.header("content-length").map_or(0, |length| length.parse().unwrap_or(0));
            let body_start = head_end + 4;
            while bytes.len() < body_start + length {
                match stream.read(&mut chunk)? {
                    0 => return Err(ErrorKind::UnexpectedEof.into()),
                    read => bytes.extend_from_slice(&chunk[..read]),
                }
            }
            call.body = bytes.split_off(body_start);
            return Ok(call);
        }
        match stream.read(&mut chunk)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}
