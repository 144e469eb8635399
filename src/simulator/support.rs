//! For the simulator's own unit tests: calls written as query strings, replies read as text.

use bytes::Bytes;

use super::faults::Endpoint;
use super::model::Model;
use super::reply::Reply;
use super::scenario::{DEFAULT_KEY, Scenario};
use crate::clock::Timestamp;
use crate::protocol::form::FileLabel;
use crate::protocol::{Field, Form};

/// A moment for tests to begin at.
pub const START: Timestamp = Timestamp(1_700_000_000_000);

pub const TOKEN: &str = "method=userrecaptcha&googlekey=site&pageurl=http://page";

pub fn form(query: &str) -> Form {
    Form::decode(query, &Bytes::new()).unwrap()
}

/// A PNG as far as the simulator looks, with `mark` in it.
pub fn png(mark: u8, size: usize) -> Bytes {
    let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
    image.resize(size, mark);
    image.into()
}

pub fn with_file(query: &str, name: &str, file_name: &str, value: Bytes) -> Form {
    let mut form = form(query);
    let file = FileLabel { file_name: file_name.to_owned(), content_type: None };
    form.set(Field { name: name.to_owned(), value, file: Some(file) }).unwrap();
    form
}

/// A model with captchas that take one second, the default key, and a moment of its own.
pub struct Upstream {
    pub model: Model,
    pub now: Timestamp,
}

impl Upstream {
    /// `patch`: switches as JSON, on top of solve times of one second.
    pub fn with(patch: &serde_json::Value) -> Self {
        let scenario = Scenario::default()
            .merged(&serde_json::json!({"solve_times": "1000-1000"}))
            .and_then(|scenario| scenario.merged(patch))
            .unwrap();
        Self { model: Model::new(scenario, START), now: START }
    }

    pub fn plain() -> Self {
        Self::with(&serde_json::json!({}))
    }

    pub fn reply(&mut self, endpoint: Endpoint, query: &str) -> Reply {
        let form = form(&format!("key={DEFAULT_KEY}&{query}"));
        self.model.handle(endpoint, &form, self.now)
    }

    pub fn submit(&mut self, query: &str) -> String {
        text(&self.reply(Endpoint::InPhp, query))
    }

    pub fn poll(&mut self, query: &str) -> String {
        text(&self.reply(Endpoint::ResPhp, query))
    }

    pub fn upload(&mut self) -> String {
        let said = self.submit(TOKEN);
        said.strip_prefix("OK|").unwrap_or_else(|| panic!("{said}")).to_owned()
    }

    pub fn wait_ms(&mut self, length_ms: u64) {
        self.now = Timestamp(self.now.as_millis() + length_ms);
    }

    /// Blocks earned so far.
    pub fn blocks(&self) -> u64 {
        self.model.blocks()
    }
}

pub fn as_json(said: &str) -> serde_json::Value {
    serde_json::from_str(said).unwrap_or_else(|error| panic!("{said}: {error}"))
}

pub fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.to_vec()).unwrap()
}
