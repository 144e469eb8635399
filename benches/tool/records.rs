//! Captchas as a store keeps them.

use std::time::{SystemTime, UNIX_EPOCH};

use capgate::clock::Timestamp;
use capgate::protocol::answer::{Answer, Solution};
use capgate::protocol::ids::CaptchaId;
use capgate::protocol::methods::Method;
use capgate::protocol::repeat::{Repeat, Sameness};
use capgate::store::{Change, Intent, IntentId, SqliteStore, Store};
use futures_util::future::try_join_all;

/// The id of the first captcha; ids of today have eleven digits.
pub const FIRST_ID: u64 = 70_123_400_000;
/// Captchas that are handed over at once.
const TOGETHER: u64 = 1_000;

/// Writes so many, uploaded just now, of which one in `solved_one_in` is solved; 0: none.
pub fn write(store: &SqliteStore, captchas: u64, solved_one_in: u64) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    #[expect(clippy::disallowed_methods, reason = "a gateway that starts on it reads the time")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let at = Timestamp(u64::try_from(now.as_millis())?);
    let mut first = 0;
    while first < captchas {
        let numbers = first..captchas.min(first + TOGETHER);
        runtime.block_on(async {
            try_join_all(numbers.clone().map(|number| store.commit(noted(number, at)))).await?;
            try_join_all(numbers.clone().map(|number| store.commit(accepted(number, at)))).await?;
            try_join_all(numbers.clone().map(|number| store.commit(delivered(number)))).await?;
            let is_solved = |number: &u64| solved_one_in > 0 && number.is_multiple_of(solved_one_in);
            try_join_all(numbers.filter(is_solved).map(|number| store.commit(solved(number, at)))).await
        })?;
        first += TOGETHER;
    }
    Ok(())
}

fn noted(number: u64, at: Timestamp) -> Change {
    let (id, client) = (IntentId(number), "team-a".to_owned());
    Change::Submitting(Intent { id, client, method: Method::RecaptchaV2, at })
}

fn accepted(number: u64, at: Timestamp) -> Change {
    let repeat = Some(Repeat { same: Sameness::from_bytes([7; 32]), key: None });
    Change::Accepted { intent: IntentId(number), id: CaptchaId(FIRST_ID + number), at, repeat }
}

fn delivered(number: u64) -> Change {
    Change::Delivered { id: CaptchaId(FIRST_ID + number) }
}

fn solved(number: u64, at: Timestamp) -> Change {
    let solution = Solution::from(Answer::Text(vec![b't'; 500].into()));
    Change::Solved { id: CaptchaId(FIRST_ID + number), solution, at }
}
