//! The store that the settings ask for.

use std::sync::Arc;

use anyhow::Context;

use crate::config::{StoreSettings, StoreUrl};
use crate::store::sqlite::Options;
use crate::store::{MemoryStore, SqliteStore, Store};

pub(super) fn open(settings: &StoreSettings) -> anyhow::Result<Arc<dyn Store>> {
    let usage_kept_days = settings.usage_days;
    match &settings.url {
        StoreUrl::Memory => Ok(Arc::new(MemoryStore::keeping(usage_kept_days))),
        StoreUrl::Sqlite(path) => {
            let store = SqliteStore::open_with(path, Options { usage_kept_days, ..Options::default() })
                .context("store.url")?;
            Ok(Arc::new(store))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::protocol::ids::CaptchaId;
    use crate::protocol::methods::Method;
    use crate::store::{Change, Day, Intent, IntentId};

    #[tokio::test]
    async fn usage_stays_in_either_store_for_as_long_as_the_settings_say() {
        const DAY: u64 = 24 * 60 * 60 * 1_000;
        let folder = tempfile::tempdir().unwrap();
        for url in [StoreUrl::Memory, StoreUrl::Sqlite(folder.path().join("capgate.db"))] {
            let store = open(&StoreSettings { url, usage_days: 7 }).unwrap();
            let at = Timestamp(20_000 * DAY);
            let intent = IntentId(1);
            let upload = Intent { id: intent, client: "team-a".to_owned(), method: Method::Image, at };
            let accepted = Change::Accepted { intent, id: CaptchaId(1), at, repeat: None };
            for change in [Change::Submitting(upload), accepted] {
                store.commit(change).await.unwrap();
            }
            for (days, uploads) in [(7, 1), (8, 0)] {
                let uploaded_before = Timestamp(at.0 + days * DAY + 1);
                store.commit(Change::Forget { uploaded_before }).await.unwrap();
                let ledger = store.ledger(Day(0), Timestamp(0)).await.unwrap();
                assert_eq!(ledger.usage.total().uploads, uploads, "after {days} days");
            }
        }
    }
}
