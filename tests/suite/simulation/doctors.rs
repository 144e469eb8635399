//! Faults that are planted between the gateway and its world, to see that the simulation finds them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use capgate::clock::{Clock, Timestamp};
use capgate::protocol::{ErrorCode, Reaction};
use capgate::store::{Change, Day, Ledger, Recovered, Store, StoreError};
use capgate::upstream::{Call, Upstream, UpstreamError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// A planted fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doctor {
    None,
    /// The reply to a look is made up at once, while the call is still under way: what is in flight is not counted.
    AnswersLooksAtOnce,
    /// Blocks and refusals of the key look like error pages.
    HidesBlocks,
    /// A refusal of the key never arrives.
    LosesRefusals,
    /// The pieces of a batch come in another order.
    SwapsPieces,
    /// A lost upload looks as if it had never been sent.
    DeniesLostUploads,
    /// The store says that a change is kept before it is.
    KeepsLater,
    /// The store does not note an upload before it is sent, and says that it did.
    NotesNothing,
    /// The store says that it keeps the budgets, whether it does or not.
    KeepsBudgetsInWords,
    /// The store forgets everything when the process ends.
    ForgetsAll,
    /// The store forgets accepted captchas when the process ends.
    ForgetsCaptchas,
    /// The store forgets what is to be pushed when the process ends.
    ForgetsPingbacks,
    /// A call that got no reply is waited for, for ever.
    NeverGivesUp,
    /// All clients are one to the gateway.
    TakesAllForOne,
}

impl Doctor {
    pub fn upstream(self, upstream: impl Upstream, clock: Clock) -> Arc<dyn Upstream> {
        Arc::new(DoctoredUpstream { inner: upstream, doctor: self, clock })
    }

    pub fn store(self, store: impl Store, clock: Clock) -> Arc<dyn Store> {
        Arc::new(DoctoredStore { inner: Arc::new(store), doctor: self, clock })
    }
}

struct DoctoredUpstream<U> {
    inner: U,
    doctor: Doctor,
    clock: Clock,
}

impl<U: Upstream> Upstream for DoctoredUpstream<U> {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Bytes, UpstreamError>> {
        let (doctor, clock) = (self.doctor, self.clock);
        let (is_upload, is_look) = (matches!(call, Call::Submit(_)), matches!(call, Call::Look(_)));
        let answered = self.inner.call(call);
        if doctor == Doctor::AnswersLooksAtOnce && is_look {
            tokio::spawn(answered);
            return async { Err(UpstreamError::NotSent("so it says".to_owned())) }.boxed();
        }
        async move {
            match (doctor, answered.await) {
                (Doctor::HidesBlocks, Ok(body)) if is_block(&body) => Ok(Bytes::from_static(b"<html>")),
                (Doctor::LosesRefusals, Ok(body)) if is_refusal(&body) => {
                    Err(UpstreamError::Lost("so it says".to_owned()))
                }
                (Doctor::SwapsPieces, Ok(body)) if is_look => Ok(swapped(&body)),
                (Doctor::DeniesLostUploads, Err(UpstreamError::Lost(why))) if is_upload => {
                    Err(UpstreamError::NotSent(why))
                }
                (Doctor::NeverGivesUp, Err(UpstreamError::Lost(_))) => {
                    clock.sleep(Duration::from_hours(48)).await;
                    Err(UpstreamError::Lost("at last".to_owned()))
                }
                (_, answered) => answered,
            }
        }
        .boxed()
    }
}

fn is_block(body: &[u8]) -> bool {
    is_refusal(body) || says(body, |reaction| matches!(reaction, Reaction::WaitOutBlock(_)))
}

fn is_refusal(body: &[u8]) -> bool {
    says(body, |reaction| reaction == Reaction::StopCalling)
}

/// Whether there is a code in it that asks for such a reaction.
fn says(body: &[u8], asks: impl Fn(Reaction) -> bool) -> bool {
    let text = String::from_utf8_lossy(body);
    ErrorCode::ALL.iter().any(|code| asks(code.reaction()) && text.contains(code.as_str()))
}

fn swapped(body: &Bytes) -> Bytes {
    if body.starts_with(b"OK|") || body.starts_with(b"{") {
        return body.clone();
    }
    let mut pieces: Vec<&[u8]> = body.split(|byte| *byte == b'|').collect();
    pieces.rotate_left(1);
    pieces.join(&b'|').into()
}

struct DoctoredStore<S> {
    inner: Arc<S>,
    doctor: Doctor,
    clock: Clock,
}

impl<S: Store> Store for DoctoredStore<S> {
    fn load(&self) -> BoxFuture<'_, Result<Recovered, StoreError>> {
        async move {
            let mut recovered = self.inner.load().await?;
            if self.doctor == Doctor::ForgetsAll {
                return Ok(Recovered::default());
            }
            if self.doctor == Doctor::ForgetsCaptchas {
                recovered.captchas.clear();
            }
            if self.doctor == Doctor::ForgetsPingbacks {
                recovered.deliveries.clear();
            }
            Ok(recovered)
        }
        .boxed()
    }

    fn commit(&self, change: Change) -> BoxFuture<'_, Result<(), StoreError>> {
        if self.doctor == Doctor::NotesNothing && matches!(change, Change::Submitting(_)) {
            return async { Ok(()) }.boxed();
        }
        if self.doctor == Doctor::KeepsBudgetsInWords && matches!(change, Change::Budgets(_)) {
            return self.inner.commit(change).map(|_| Ok(())).boxed();
        }
        if self.doctor != Doctor::KeepsLater || !matches!(change, Change::Accepted { .. }) {
            return self.inner.commit(change);
        }
        let (store, clock) = (Arc::clone(&self.inner), self.clock);
        tokio::spawn(async move {
            clock.sleep(Duration::from_secs(1)).await;
            store.commit(change).await
        });
        async { Ok(()) }.boxed()
    }

    fn ledger(&self, since: Day, open_since: Timestamp) -> BoxFuture<'_, Result<Ledger, StoreError>> {
        self.inner.ledger(since, open_since)
    }
}
