//! Bytes of strangers, made up by the thousand: each target takes any bytes, and knows what must hold of what it makes
//! of them beyond "no panic" ([`targets`]).
//!
//! A target's corpus is the files in `tests/fixtures/fuzz/TARGET`: seeds, and whatever was once found. All of them are
//! tried first, then what comes of them by chance. A number decides what chance does; a failing input is written to
//! `target/fuzz/TARGET` and goes into the corpus with its repair. A longer run of one target, in seconds:
//! ```sh
//! FUZZ_SECONDS=600 cargo test --test suite fuzz::reply -- --nocapture
//! ```

mod mutation;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use capgate::clock::Clock;
use mutation::Mutator;
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// Inputs of a target in the test command; settings cost the most, for each is a file.
const INPUTS: u64 = 20_000;
const INPUTS_OF_CONFIG: u64 = 2_000;
/// Between two looks at the clock.
const INPUTS_A_TURN: u64 = 500;
/// Largest input, bytes.
const SIZE_MAX: usize = 16 * 1024;

fn number_in_env(wanted: &str) -> Option<u64> {
    let (_, value) = std::env::vars().find(|(name, _)| name == wanted)?;
    Some(value.parse().unwrap())
}

fn folder(kind: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(target)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = folder("tests/fixtures/fuzz", target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus of {target} is empty");
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Tries one input, and keeps it when it fails.
fn tried(name: &str, target: targets::Target, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        let folder = folder("target/fuzz", name);
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("found-{:016x}", mutation::number_of(input)));
        std::fs::write(&file, input).unwrap();
        println!("the input that failed is in {}", file.display());
        std::panic::resume_unwind(panic);
    }
}

fn run(name: &str, target: targets::Target) {
    let corpus = corpus(name);
    for input in &corpus {
        tried(name, target, input);
    }
    let seed = number_in_env("FUZZ_SEED").unwrap_or(7);
    let seconds = number_in_env("FUZZ_SECONDS");
    let clock = Clock::system();
    let started = clock.now();
    let mut mutator = Mutator::new(corpus, SmallRng::seed_from_u64(seed), SIZE_MAX);
    let mut inputs = 0;
    loop {
        for _ in 0..INPUTS_A_TURN {
            tried(name, target, &mutator.next_input());
        }
        inputs += INPUTS_A_TURN;
        let is_over = match seconds {
            Some(seconds) => clock.now().since(started).as_secs() >= seconds,
            None => inputs >= if name == "config" { INPUTS_OF_CONFIG } else { INPUTS },
        };
        if is_over {
            break;
        }
    }
    println!("{name}: {inputs} inputs with seed {seed} in {:?}", clock.now().since(started));
}

macro_rules! fuzzed {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                run(stringify!($target), targets::$target);
            }
        )*
    };
}

fuzzed! { decoder multipart batch reply pingback config }
