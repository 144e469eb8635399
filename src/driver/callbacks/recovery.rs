//! Takes up after a restart what was wanted, due or given up before it.

use std::sync::Arc;

use bytes::Bytes;

use super::dead::DeadLetter;
use super::{Callbacks, EXPIRED, Wanted};
use crate::clock::Timestamp;
use crate::protocol::ids::CaptchaId;
use crate::protocol::pingback::Target;
use crate::store::{Change, Delivery};

impl Callbacks {
    /// Takes up what a store holds. `outcome` gives what is known of a captcha: none when the store does not have it,
    /// and nothing inside while it is open.
    pub fn recover(
        self: &Arc<Self>,
        recovered: Vec<Delivery>,
        outcome: impl Fn(CaptchaId) -> Option<Option<Bytes>>,
        forgotten_before: Timestamp,
    ) {
        let mut recovered = recovered;
        recovered.sort_by_key(|delivery| (delivery.dead.as_ref().map(|dead| dead.at), delivery.since));
        for Delivery { id, client, target, since, code, dead } in recovered {
            let client: Arc<str> = client.into();
            let Ok(target) = Target::parse(target.as_bytes()) else {
                tracing::warn!(%client, captcha = %id, "the receiver of a pingback cannot be read");
                continue;
            };
            match (code, dead) {
                (Some(code), Some(dead)) => {
                    self.remember(DeadLetter { id, client, target, since, dead, code });
                }
                (None, Some(_)) => {}
                (Some(code), None) => self.restore(id, client, target, code, since),
                (None, None) => {
                    let known = outcome(id);
                    if known.is_none() && since >= forgotten_before {
                        // Its client was never told the id.
                        self.drop_wanted(id);
                        continue;
                    }
                    let Some(place) = self.places.take(&client, usize::MAX) else { continue };
                    self.with(|state| state.wanted.insert(id, Wanted { client, target, _place: place }));
                    match known {
                        Some(None) => {}
                        Some(Some(code)) => self.ended(id, || code),
                        None => self.ended(id, || EXPIRED.as_str().into()),
                    }
                }
            }
        }
    }

    fn drop_wanted(self: &Arc<Self>, id: CaptchaId) {
        let keeper = Arc::clone(&self.keeper);
        self.tasks.spawn(async move { keeper.keep(Change::DeliveryOver { id }).await });
    }
}
