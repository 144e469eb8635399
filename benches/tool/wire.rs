//! Whole HTTP/1.1 replies on a keep-alive connection, as far as the servers here write them.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, ensure};

const HEAD_ENDS: &[u8] = b"\r\n\r\n";

/// A connection, and the part of a reply that has come so far.
pub struct Line {
    stream: TcpStream,
    come: Vec<u8>,
}

impl Line {
    pub fn open(to: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(to).with_context(|| format!("no connection to {to}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, come: Vec::with_capacity(1_024) })
    }

    /// From now on [`Self::reply`] does not wait.
    pub fn without_waiting(self) -> io::Result<Self> {
        self.stream.set_nonblocking(true)?;
        Ok(self)
    }

    pub fn send(&mut self, mut call: &[u8]) -> io::Result<()> {
        self.come.clear();
        // The kernel's buffer may be full for a moment.
        while !call.is_empty() {
            match self.stream.write(call) {
                Ok(sent) => call = &call[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The body of the reply, once all of it is there.
    pub fn reply(&mut self) -> anyhow::Result<Option<&[u8]>> {
        let mut part = [0; 4_096];
        loop {
            match self.stream.read(&mut part) {
                Ok(0) => anyhow::bail!("the connection was closed"),
                Ok(read) => self.come.extend_from_slice(&part[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            if let Some(begin) = whole(&self.come)? {
                return Ok(Some(&self.come[begin..]));
            }
        }
    }
}

/// Where the body begins, if the reply is whole.
fn whole(come: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(head) = come.windows(HEAD_ENDS.len()).position(|bytes| bytes == HEAD_ENDS) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&come[..head])?;
    ensure!(text.starts_with("HTTP/1.1 200 "), "not a good reply: {text}");
    let length = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, length)| length.trim().parse::<usize>().ok())
        .context("a reply without a length")?;
    let begin = head + HEAD_ENDS.len();
    Ok((come.len() >= begin + length).then_some(begin))
}
