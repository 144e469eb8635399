//! `kill -9` at random moments while twenty clients upload and poll: every id that a client read is answered rightly, what
//! is paid twice is what nobody can know, and that is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use capgate::simulator::random::Random;

use super::clients::{Did, Over, Scene, works};
use super::{answer_to, assert_never_blocked, bought, content_of};
use crate::support::{Setup, TestProgram, wait_until};

const CLIENTS: usize = 20;
const KILLS: usize = 32;
/// Decides the moments; the rest of the story is the machine's.
const SEED: u64 = 4;
/// A life lasts for at most so many replies and so many microseconds more.
const REPLIES_MAX: u64 = 40;
const MICROSECONDS_MAX: u64 = 30_000;

#[test]
fn what_a_client_was_told_outlives_every_kill() {
    let mut program = Setup::new()
        .clients(CLIENTS)
        // Slow enough that a kill meets uploads on their way there and back.
        .simulator(&["--solve-times", "fast", "--fault", "slow@in=1", "--slow-ms", "5-60"])
        .set("BUDGET__UPLOAD_GAP", "50ms")
        .set("POLLING__HOLD", "100ms")
        .start();
    let scene = Scene::new(program.clients());
    let all: Vec<Did> = std::thread::scope(|scope| {
        let over = Over(&scene);
        let scene = &scene;
        let clients: Vec<_> = (1..=CLIENTS).map(|number| scope.spawn(move || works(scene, number))).collect();
        kill_again_and_again(&mut program, scene);
        drop(over);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let told: usize = all.iter().map(|did| did.bought.len()).sum();
    let answered: usize = all.iter().map(|did| did.answered).sum();
    println!("{KILLS} kills: clients read {told} ids and {answered} answers");
    assert!(answered > 2 * KILLS, "the clients got something done between the kills");

    for bought in all.iter().flat_map(|did| &did.bought) {
        assert_eq!(program.answer_as(bought.client, &bought.id), answer_to(&bought.text), "{}", bought.text);
    }
    program.stop();
    assert_ids_are_of_one_upload_each(&program, &all);
    assert_only_what_is_unknown_was_bought_again(&program, &all);
    assert_never_blocked(&program);
}

fn kill_again_and_again(program: &mut TestProgram, scene: &Scene) {
    let mut random = Random::new(SEED, "kills");
    for kill in 1..=KILLS {
        let replies = usize::try_from(1 + random.below(REPLIES_MAX)).unwrap();
        let after = Duration::from_micros(random.below(MICROSECONDS_MAX));
        println!("kill {kill}: {after:?} after {replies} replies");
        let before = scene.replies();
        wait_until("clients are served", || scene.replies() >= before + replies);
        std::thread::park_timeout(after);
        program.kill();
        program.start_again();
        scene.moved_to(program.clients());
    }
    let before = scene.replies();
    wait_until("clients are served after the last kill", || scene.replies() >= before + 5 * CLIENTS);
}

/// Every id is the upstream's, of that question, and was told once.
fn assert_ids_are_of_one_upload_each(program: &TestProgram, all: &[Did]) {
    let captchas = program.simulated("/captchas");
    let contents: BTreeMap<String, &str> = captchas
        .as_array()
        .unwrap()
        .iter()
        .map(|captcha| (captcha["id"].to_string().replace('"', ""), captcha["content"].as_str().unwrap()))
        .collect();
    let mut ids = BTreeSet::new();
    for bought in all.iter().flat_map(|did| &did.bought) {
        assert!(ids.insert(&bought.id), "{} was told twice", bought.id);
        assert_eq!(contents[&bought.id], content_of(&bought.text));
    }
}

/// A question was bought a second time only when a kill met its first upload between the send and the reply: the client
/// that repeats it is bought another, and the first one is shown as unknown.
fn assert_only_what_is_unknown_was_bought_again(program: &TestProgram, all: &[Did]) {
    let bought = bought(program);
    let usage = program.usage("client");
    let figure = |client: &str, figure: &str| {
        let row = usage["rows"].as_array().unwrap().iter().find(|row| row["client"] == client);
        row.map_or(0, |row| row[figure].as_u64().unwrap())
    };
    let (mut again, mut unknown) = (0, 0);
    for did in all {
        let times: Vec<u64> =
            did.asked.iter().filter_map(|text| bought.get(&content_of(text)).copied()).collect();
        let name = format!("client-{}", did.client);
        let (client_again, client_unknown) =
            (times.iter().map(|times| times - 1).sum::<u64>(), figure(&name, "unknown"));
        let is_odd = !did.client.is_multiple_of(2);
        let allowed = if is_odd { client_unknown } else { 0 };
        assert!(client_again <= allowed, "{name}: {client_again} bought again, {client_unknown} unknown");
        // What the gateway knows of is what was bought, but for what nobody can know.
        let (paid, known) = (times.iter().sum::<u64>(), figure(&name, "captchas"));
        assert!((known..=known + client_unknown).contains(&paid), "{name}: {paid} bought, {known} known");
        again += client_again;
        unknown += client_unknown;
    }
    println!("{unknown} uploads are unknown; {again} questions were bought a second time for that");
    assert!(unknown > 0, "no kill met an upload on its way");
}
