//! The disk takes nothing more while the gateway runs: nothing is bought that cannot be remembered, what was bought is
//! told from memory, and when there is room again work goes on.
//!
//! A limit on the size of files fails every write, and any user can set it. A small disk of its own gives the very error of
//! a full one, where the machine lets a test mount it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::Command;

use super::{answer_to, assert_never_blocked, bought, content_of};
use crate::support::{Reply, Setup, TestProgram, wait_until};

const PRLIMIT: &str = "/usr/bin/prlimit";
/// Every write to a file fails.
const NO_WRITES: &str = "--fsize=1:";
const ALL_WRITES: &str = "--fsize=unlimited:";

/// Fills the disk, or gives it room again.
trait Disk {
    fn fill(&self, program: &TestProgram);
    fn make_room(&self, program: &TestProgram);
}

struct Limited;

impl Limited {
    fn set(program: &TestProgram, limit: &str) {
        let id = program.id().to_string();
        let done = Command::new(PRLIMIT).args(["--pid", &id, limit]).status().unwrap();
        assert!(done.success());
    }
}

impl Disk for Limited {
    fn fill(&self, program: &TestProgram) {
        Self::set(program, NO_WRITES);
    }

    fn make_room(&self, program: &TestProgram) {
        Self::set(program, ALL_WRITES);
    }
}

/// A disk that the gateway alone sees, mounted in its folder.
struct Mounted;

impl Mounted {
    const UNSHARE: &str = "/usr/bin/unshare";
    const PRIVATELY: [&str; 2] = ["--mount", "--map-root-user"];
    const MOUNT: &str = "mount -t tmpfs -o size=2m tmpfs disk";

    /// Whether this machine lets a test mount it.
    fn is_allowed(folder: &std::path::Path) -> bool {
        let tried = Command::new(Self::UNSHARE)
            .args(Self::PRIVATELY)
            .args(["/bin/sh", "-c", Self::MOUNT])
            .current_dir(folder)
            .output();
        tried.is_ok_and(|tried| tried.status.success())
    }

    fn filler(program: &TestProgram) -> PathBuf {
        let folder = program.folder.path().canonicalize().unwrap();
        let inside = folder.strip_prefix("/").unwrap();
        PathBuf::from(format!("/proc/{}/root", program.id())).join(inside).join("disk/filler")
    }
}

impl Disk for Mounted {
    fn fill(&self, program: &TestProgram) {
        let mut filler = OpenOptions::new().create(true).append(true).open(Self::filler(program)).unwrap();
        let error = loop {
            if let Err(error) = filler.write_all(&[0; 512]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }

    fn make_room(&self, program: &TestProgram) {
        fs::remove_file(Self::filler(program)).unwrap();
    }
}

fn upload(program: &TestProgram, text: &str) -> Reply {
    program.upload_as(1, text)
}

#[track_caller]
fn assert_refused(reply: &Reply) {
    assert_eq!((reply.status, reply.text()), (200, "ERROR_NO_SLOT_AVAILABLE"));
    let why = reply.header("X-Capgate-Reason").unwrap();
    assert!(why.contains("the store"), "{why}");
}

fn count(program: &TestProgram) -> u64 {
    program.simulated("/state")["uploads_accepted"].as_u64().unwrap()
}

/// From a disk with room to a full one and back; the ids that clients were told, with their questions.
fn through_a_full_disk(program: &TestProgram, disk: &impl Disk) -> Vec<(String, String)> {
    let mut told = vec![("early".to_owned(), upload(program, "early").id())];
    assert_eq!(program.answer_as(1, &told[0].1), answer_to("early"));
    told.push(("open".to_owned(), upload(program, "open").id()));

    disk.fill(program);
    let mut texts = (0..).map(|number| format!("question-{number}"));
    // The last free bytes of a disk may do for one more.
    let first_refused = texts
        .by_ref()
        .find(|text| match upload(program, text) {
            told_id if told_id.text().starts_with("OK|") => {
                told.push((text.clone(), told_id.id()));
                false
            }
            refused => {
                assert_refused(&refused);
                true
            }
        })
        .unwrap();
    let so_far = count(program);
    let refused: Vec<String> = std::iter::once(first_refused).chain(texts.take(5)).collect();
    refused[1..].iter().for_each(|text| assert_refused(&upload(program, text)));
    assert_eq!(count(program), so_far, "what cannot be remembered is not bought");

    let (ready, state) = {
        let reply = program.get_admin("/readyz");
        (reply.status, reply.json())
    };
    assert_eq!((ready, state["store"].as_str()), (503, Some("down")), "{state}");
    assert!(state["store_fault"].as_str().unwrap().contains("capgate.db: "), "{state}");
    assert!(shows(program, "capgate_store_up 0"));
    for (text, id) in &told {
        assert_eq!(program.answer_as(1, id), answer_to(text), "from memory");
    }

    disk.make_room(program);
    wait_until("the store is up again", || program.get_admin("/readyz").status == 200);
    assert!(shows(program, "capgate_store_up 1"));
    for text in refused {
        let id = upload(program, &text).id();
        assert_eq!(program.answer_as(1, &id), answer_to(&text));
        told.push((text, id));
    }
    let bought = bought(program);
    for (text, _) in &told {
        assert_eq!(bought.get(&content_of(text)), Some(&1), "{text} is paid once");
    }
    assert_never_blocked(program);
    told
}

fn shows(program: &TestProgram, metric: &str) -> bool {
    program.get_admin("/metrics").text().lines().any(|line| line == metric)
}

fn setup() -> Setup {
    // Long enough for "open" to be solved when the disk is full.
    Setup::new().simulator(&["--solve-times", "300-300"])
}

#[test]
fn a_file_that_may_not_grow_stops_purchases_and_nothing_else() {
    let mut program = setup().start();
    let told = through_a_full_disk(&program, &Limited);
    program.kill();
    let refused = program.refused_start(&[PRLIMIT, NO_WRITES, "--"]);
    assert!(refused.contains("capgate.db: ") && refused.contains("limit"), "{refused}");
    program.start_again();
    for (text, id) in told {
        assert_eq!(program.answer_as(1, &id), answer_to(&text), "after a restart");
    }
}

#[test]
fn a_full_disk_stops_purchases_and_nothing_else() {
    let mount = format!("{} && exec \"$0\" \"$@\"", Mounted::MOUNT);
    let words = [&[Mounted::UNSHARE][..], &Mounted::PRIVATELY, &["/bin/sh", "-c", &mount]].concat();
    let setup = setup().set("STORE__URL", "sqlite:disk/capgate.db").through(&words);
    fs::create_dir(setup.folder.path().join("disk")).unwrap();
    if !Mounted::is_allowed(setup.folder.path()) {
        println!("this machine lets no test mount a disk; the limit on files stands for it");
        return;
    }
    let mut program = setup.start();
    let told = through_a_full_disk(&program, &Mounted);
    assert!(told.len() > 2);
    let (_, logged) = program.stop();
    assert!(logged.contains("the disk is full"), "{logged}");

    let full = [Mounted::MOUNT, " && head -c 4m /dev/zero > disk/filler; exec \"$0\" \"$@\""].concat();
    let words = [&[Mounted::UNSHARE][..], &Mounted::PRIVATELY, &["/bin/sh", "-c", &full]].concat();
    let refused = program.refused_start(&words);
    assert!(refused.contains("disk/capgate.db: the disk is full"), "{refused}");
}
