//! The program as a process.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest wait for a line that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Nothing of this machine's settings gets in. `through` is a program that becomes capgate when it has done its part, and
/// its arguments; empty: none.
fn command(folder: &Path, through: &[&str]) -> Command {
    let words: Vec<&str> = through.iter().copied().chain([env!("CARGO_BIN_EXE_capgate")]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env_clear().current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs capgate in `folder` to its end, with these variables and no others.
pub fn run(folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    command(folder, &[]).args(arguments).envs(env.iter().copied()).output().expect("the program runs")
}

/// A capgate that runs until it is stopped or dropped.
pub struct TestBinary {
    child: Child,
    lines: Receiver<String>,
    readers: Vec<JoinHandle<String>>,
    /// Nobody reads what it logs while this is there.
    deaf: Option<Sender<()>>,
}

impl TestBinary {
    pub fn start(folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Self {
        Self::start_through(&[], folder, arguments, env)
    }

    /// The same, by way of another program that becomes capgate.
    pub fn start_through(through: &[&str], folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let mut binary = Self::start_unread(through, folder, arguments, env);
        binary.deaf = None;
        binary
    }

    /// The same, but nobody reads its error output before its end.
    pub fn start_unread(through: &[&str], folder: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let mut child = command(folder, through)
            .args(arguments)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (told, lines) = channel();
        let out = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut err = child.stderr.take().expect("it was asked for");
        let out = std::thread::spawn(move || {
            let mut all = String::new();
            for line in out.lines().map_while(Result::ok) {
                all.push_str(&line);
                all.push('\n');
                // Nobody may listen any more.
                let _ = told.send(line);
            }
            all
        });
        let (deaf, until_it_ends) = channel::<()>();
        let err = std::thread::spawn(move || {
            // Nothing is ever sent: it comes to its end when the sender is dropped.
            let _ = until_it_ends.recv();
            let mut all = Vec::new();
            let _ = err.read_to_end(&mut all);
            String::from_utf8_lossy(&all).into_owned()
        });
        Self { child, lines, readers: vec![out, err], deaf: Some(deaf) }
    }

    /// The next line of its standard output that contains `part`.
    #[track_caller]
    pub fn line_with(&self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("no line with {part:?}: {error}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, such as `TERM`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args([&format!("-{name}"), &id]).status().expect("kill runs");
        assert!(told.success());
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    /// Waits for its end, and gives its exit status and all that it said: output and error output.
    #[track_caller]
    pub fn ended(mut self) -> (ExitStatus, String, String) {
        self.deaf = None;
        let status = self.child.wait().expect("it ends");
        let mut said = self.readers.drain(..).map(|reader| reader.join().expect("its output is read"));
        (status, said.next().unwrap_or_default(), said.next().unwrap_or_default())
    }

    /// Asks it to stop, as an operator does, and gives all that it said: output and error output.
    #[track_caller]
    pub fn stop(self) -> (String, String) {
        self.signal("TERM");
        let (status, output, errors) = self.ended();
        assert!(status.success(), "{status}: {errors}");
        (output, errors)
    }
}

impl Drop for TestBinary {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
