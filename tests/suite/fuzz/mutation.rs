//! What chance makes of a corpus.

use std::hash::{DefaultHasher, Hash, Hasher};

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};

/// Most changes to one input.
const CHANGES_MAX: usize = 6;

/// What means something to one of the parsers, and is rarely hit upon byte by byte.
const WORDS: &[&[u8]] = &[
    b"&",
    b"=",
    b"%",
    b"%00",
    b"%0d%0a",
    b"%FF",
    b"+",
    b"\0",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"--",
    b"--b",
    b"--b--",
    b"\r\n--b\r\n",
    b"Content-Disposition: form-data; name=\"",
    b"; filename=\"",
    b"Content-Type: ",
    b"filename*=UTF-8''%F0",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\\"",
    b"\\u0000",
    b"\\ud800",
    b":",
    b",",
    b"null",
    b"true",
    b"1e999",
    b"-0",
    b"\"request\":",
    b"\"status\":",
    b"\"price\":",
    b"OK|",
    b"|",
    b"||",
    b"CAPCHA_NOT_READY",
    b"ERROR_",
    b"ERROR: 1005",
    b"<html>",
    b"18446744073709551616",
    b"-1",
    b"key",
    b"method",
    b"json",
    b"ids=",
    b"id=1",
    b"action=get",
    b"pageurl",
    b"\xEF\xBB\xBF",
    b"\xC0\x80",
    b"\xE2\x80\xA8",
    b"[[client]]\n",
    b"[listen]\n",
    b"# ",
    b" = ",
    b"'''",
    b"\"\"\"",
    b"key_file = ",
    b"name = ",
];

pub struct Mutator {
    corpus: Vec<Vec<u8>>,
    random: SmallRng,
    size_max: usize,
}

impl Mutator {
    pub fn new(corpus: Vec<Vec<u8>>, random: SmallRng, size_max: usize) -> Self {
        Self { corpus, random, size_max }
    }

    /// One of the corpus, changed in a few places.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.any().to_vec();
        for _ in 0..self.random.random_range(1..=CHANGES_MAX) {
            self.change(&mut input);
            input.truncate(self.size_max);
        }
        input
    }

    fn any(&mut self) -> &[u8] {
        self.corpus.choose(&mut self.random).expect("a corpus is not empty")
    }

    /// A stretch of something `length` long.
    fn stretch(&mut self, length: usize) -> std::ops::Range<usize> {
        let (one, other) = (self.random.random_range(0..=length), self.random.random_range(0..=length));
        one.min(other)..one.max(other)
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.random.random_range(0..=input.len());
        match self.random.random_range(0..9) {
            0 if at < input.len() => input[at] ^= 1 << self.random.random_range(0..8),
            1 if at < input.len() => input[at] = self.random.random(),
            2 => drop(input.drain(self.stretch(input.len()))),
            3 => input.truncate(at),
            4 => {
                let stretch = self.stretch(input.len());
                let stretch = input[stretch].to_vec();
                drop(input.splice(at..at, stretch));
            }
            5 => {
                let other = self.any().to_vec();
                let stretch = self.stretch(other.len());
                drop(input.splice(at..at, other[stretch].iter().copied()));
            }
            6 => {
                let mut noise = vec![0; self.random.random_range(1..40)];
                self.random.fill_bytes(&mut noise);
                drop(input.splice(at..at, noise));
            }
            7 => {
                let word = self.word();
                let times = self.random.random_range(1..2_000);
                drop(input.splice(at..at, word.repeat(times)));
            }
            _ => {
                let word = self.word();
                drop(input.splice(at..at, word.iter().copied()));
            }
        }
    }

    fn word(&mut self) -> &'static [u8] {
        WORDS.choose(&mut self.random).expect("there are words")
    }
}

/// A name for an input.
pub fn number_of(input: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    hasher.finish()
}
