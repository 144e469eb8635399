//! The budgets of the block rules across a restart: written before each call that they allow, read at the start.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::config::Config;
use crate::engine::{Admission, Limits, Past, SavedAdmission};
use crate::protocol::ids::UpstreamKey;
use crate::store::Recovered;

/// What the store keeps of the budgets.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    /// Of the account's key: what was learned of one key says nothing of another.
    key: String,
    admission: SavedAdmission,
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

/// Admission as it was before the restart. A store that knows captchas but no budgets has lost them: then all of the
/// past counts as spent.
pub(super) fn restore(config: &Config, limits: Limits, recovered: &Recovered, now: Timestamp) -> Admission {
    let saved = recovered.budgets.as_deref().map(serde_json::from_str::<Saved>);
    let is_first_start = recovered.captchas.is_empty() && recovered.unknown.is_empty();
    match saved {
        Some(Ok(saved)) => {
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

/// The budgets as the store keeps them.
pub(super) fn save(key: &str, admission: &Admission) -> String {
    let saved = Saved { key: key.to_owned(), admission: admission.save() };
    serde_json::to_string(&saved).expect("the budgets are numbers and names, which JSON can hold")
}

pub(super) fn fingerprint(config: &Config) -> String {
    config.upstream.key.as_ref().map(UpstreamKey::fingerprint).unwrap_or_default()
}
