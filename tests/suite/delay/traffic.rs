//! Who uploads what and when, and how each client polls.

use std::time::Duration;

use capgate::protocol::{Field, Form};
use capgate::simulator::random::Random;

/// Which way clients go.
#[derive(Clone, Copy, Debug)]
pub enum Route {
    /// They call the upstream themselves.
    Direct,
    /// Through the gateway, with its own hold or another; the upstream may push its answers.
    Through { hold: Option<Duration>, is_pushed: bool },
}

/// How a client asks for its answer.
#[derive(Clone, Copy, Debug)]
pub enum Polls {
    /// At once, as the official Python client does, and then with such a pause after each reply.
    Every(Duration),
    /// With `wait=60`; on its own, as often as the documentation asks for.
    Waits,
}

/// What is uploaded.
#[derive(Clone, Copy, Debug)]
pub enum Kinds {
    Images,
    Tokens,
    Both,
}

/// A seed's traffic.
#[derive(Clone, Debug)]
pub struct Traffic {
    pub seed: u64,
    pub captchas: usize,
    /// Mean time between two uploads; they come by chance.
    pub every: Duration,
    pub clients: usize,
    pub kinds: Kinds,
    /// How clients poll, in turns.
    pub polls: Vec<Polls>,
}

/// One upload.
pub struct Arrival {
    pub at: Duration,
    pub client: usize,
    pub polls: Polls,
    pub form: Form,
}

impl Traffic {
    pub fn arrivals(&self) -> impl Iterator<Item = Arrival> {
        let (mut random, mut at) = (Random::new(self.seed, "arrivals"), Duration::ZERO);
        (0..self.captchas).map(move |number| {
            at += self.every.mul_f64(-(1.0 - random.fraction()).ln());
            let is_image = match self.kinds {
                Kinds::Images => true,
                Kinds::Tokens => false,
                Kinds::Both => random.below(2) == 0,
            };
            let form = if is_image { image(number) } else { token(number) };
            Arrival {
                at,
                client: number % self.clients + 1,
                polls: self.polls[number % self.polls.len()],
                form,
            }
        })
    }
}

fn image(number: usize) -> Form {
    form([("method", "post".to_owned()), ("file", String::from_utf8_lossy(&picture(number)).into_owned())])
}

/// A GIF by its first bytes, another for each number.
fn picture(number: usize) -> Vec<u8> {
    format!("GIF89a{number:0100}").into_bytes()
}

fn token(number: usize) -> Form {
    let page = format!("https://shop-{}.example/login", number % 7);
    form([("method", "userrecaptcha".to_owned()), ("googlekey", format!("key-{number}")), ("pageurl", page)])
}

fn form<const N: usize>(fields: [(&str, String); N]) -> Form {
    let mut form = Form::default();
    for (name, value) in fields {
        form.set(Field::text(name, value)).expect("an upload has few parameters");
    }
    form
}
