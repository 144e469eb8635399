//! The budgets of the block rules across a restart: written before each call that they allow, read at the start.
//!
//! While the store is down, looks leave that no state knows of. Each state has paid for some ahead ([`super::float`]).
//! Beside those, last looks are made; they are among those that the state keeps a look for, and a start counts them as
//! made, except for captchas whose last look was not due yet.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::float::FLOAT_MAX;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::engine::captcha::{LAST_LOOK_BEFORE_END, LIFETIME};
use crate::engine::{Admission, Limits, Past, SavedAdmission};
use crate::protocol::ids::UpstreamKey;
use crate::store::Recovered;

/// What the store keeps of the budgets.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    /// Of the account's key: what was learned of one key says nothing of another.
    key: String,
    admission: SavedAdmission,
    /// Nothing was sent after it was written.
    #[serde(default)]
    is_last: bool,
}

/// What a state pays for ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ahead {
    /// [`FLOAT_MAX`] looks, as far as no open captcha needs them.
    Float,
    /// Nothing: it is the last.
    Nothing,
}

/// The numbers that the settings give admission.
pub(super) fn limits(config: &Config) -> Limits {
    Limits {
        mode: config.budget.mode,
        batch_counts_as: config.upstream.batch_counts_as,
        upload_gap: config.budget.upload_gap,
        ..Limits::default()
    }
}

/// By how much the clock was set back since the budgets were kept; nothing, as far as anybody can tell.
pub(super) fn set_back(recovered: &Recovered, now: Timestamp) -> Duration {
    let saved = recovered.budgets.as_deref().and_then(|saved| serde_json::from_str::<Saved>(saved).ok());
    saved.map_or(Duration::ZERO, |saved| saved.admission.kept_at().since(now))
}

/// Admission as it was before the restart. A store that knows captchas but no budgets has lost them: then all of the
/// past counts as spent.
pub(super) fn restore(config: &Config, limits: Limits, recovered: &Recovered, now: Timestamp) -> Admission {
    let saved = recovered.budgets.as_deref().map(serde_json::from_str::<Saved>);
    let is_first_start = recovered.captchas.is_empty() && recovered.unknown.is_empty();
    match saved {
        Some(Ok(mut saved)) => {
            if !saved.is_last {
                let kept_for = saved.admission.reserve();
                let surely_not = not_looked_last(recovered, &saved.admission, now);
                saved.admission.charge_looks(kept_for.saturating_sub(surely_not));
            }
            let mut admission = Admission::new(limits, Past::Saved(saved.admission), now);
            if saved.key != fingerprint(config) {
                tracing::info!("the account's key is another than before the restart");
                admission.key_changed(now);
            }
            admission
        }
        None if is_first_start => Admission::new(limits, Past::Fresh, now),
        lost => {
            if let Some(Err(error)) = lost {
                tracing::error!(%error, "the stored budgets cannot be read");
            }
            tracing::warn!(
                "the budgets of the block rules were lost: the past counts as spent, uploads wait two minutes"
            );
            Admission::new(limits, Past::Unknown, now)
        }
    }
}

/// Open captchas whose last look was certainly not made; none where the clock was set back. (By less than has passed since
/// the state was kept nobody can tell.)
fn not_looked_last(recovered: &Recovered, saved: &SavedAdmission, now: Timestamp) -> u32 {
    if saved.kept_at() > now {
        return 0;
    }
    let due_at = |uploaded_at| uploaded_at + LIFETIME - LAST_LOOK_BEFORE_END;
    let captchas = recovered.captchas.iter();
    let open = captchas.filter(|captcha| captcha.solution.is_none() && now < due_at(captcha.uploaded_at));
    u32::try_from(open.count()).unwrap_or(u32::MAX)
}

/// The budgets as the store keeps them, and how many looks they have paid for ahead.
pub(super) fn save(key: &str, admission: &Admission, ahead: Ahead) -> (String, u32) {
    let (admission, paid) = match ahead {
        Ahead::Float => admission.save_ahead(FLOAT_MAX),
        Ahead::Nothing => (admission.save(), 0),
    };
    let saved = Saved { key: key.to_owned(), admission, is_last: ahead == Ahead::Nothing };
    let text = serde_json::to_string(&saved).expect("the budgets are numbers and names, which JSON can hold");
    (text, paid)
}

pub(super) fn fingerprint(config: &Config) -> String {
    config.upstream.key.as_ref().map(UpstreamKey::fingerprint).unwrap_or_default()
}
