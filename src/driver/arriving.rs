//! An upload from its arrival to its reply: whether its client may make it, its turn, and what is counted and told of it.

use std::sync::Arc;

use super::repeats::{HungUp, Parcel};
use super::witnesses::{self, Described};
use super::{Driver, Refusal};
use crate::clients::Client;
use crate::engine::Denied;
use crate::metrics::UploadOutcome;
use crate::protocol::ids::CaptchaId;
use crate::protocol::submit::{Upload, WrongCall};
use crate::store::Change;

impl Driver {
    /// Sends a client's upload when its turn comes.
    ///
    /// # Errors
    /// [`Refusal`] when it got no id.
    pub async fn submit(
        &self,
        client: &Client,
        upload: Result<Upload, WrongCall>,
    ) -> Result<CaptchaId, Refusal> {
        self.submit_while(client, upload, HungUp::default()).await
    }

    /// The same, for a client that can be seen to have gone: it loses its place in the queue, and an id that it did not
    /// read waits for the same upload to come again.
    ///
    /// # Errors
    /// [`Refusal`] when it got no id.
    pub async fn submit_while(
        &self,
        client: &Client,
        upload: Result<Upload, WrongCall>,
        hung_up: HungUp,
    ) -> Result<CaptchaId, Refusal> {
        let arrived_at = self.clock.now();
        let upload = match upload {
            Ok(upload) => upload,
            Err(wrong) => {
                let refusal = Refusal::Wrong(wrong);
                self.refused(client, None, &refusal);
                return Err(refusal);
            }
        };
        let method = upload.method;
        let described = Described::of(&self.audit, &upload);
        let result = if let Err(denied) = self.may_upload(client, &upload) {
            Err(Refusal::Denied(denied))
        } else if client.check_rate().is_err() {
            Err(Refusal::TooFast)
        } else {
            let deadline = arrived_at + self.live.load().uploads.hold;
            self.submitter.submit(client, upload, hung_up.clone(), arrived_at, deadline).await
        };
        let outcome = match &result {
            Ok(parcel) if parcel.is_again() => UploadOutcome::Again,
            Ok(_) => UploadOutcome::Accepted,
            Err(refusal) => refusal.outcome(),
        };
        let took = self.clock.now().since(arrived_at);
        self.metrics.upload_ended(&client.name, method, outcome, took);
        self.history.upload_ended(result.is_ok());
        match result {
            Ok(parcel) => {
                let (client, id, again) = (&client.name, parcel.id(), parcel.is_again());
                tracing::info!(%client, captcha = %id, method = method.label(), again, "upload accepted");
                Ok(self.deliver(parcel, &hung_up))
            }
            Err(refusal) => {
                self.refused(client, Some(&described), &refusal);
                Err(refusal)
            }
        }
    }

    fn refused(&self, client: &Client, upload: Option<&Described>, refusal: &Refusal) {
        let (client, reason) = (&client.name, refusal.reason());
        self.metrics.upload_refused(client, reason);
        witnesses::refused(&self.audit, client, upload, refusal);
        let (method, detail) = (upload.map(|upload| upload.method.label()), refusal.detail());
        tracing::info!(%client, method, reason, detail, "upload refused");
    }

    /// Whether the client may make calls that cost anything.
    ///
    /// # Errors
    /// [`Denied`] when it is stopped or its time is over.
    pub fn may_call(&self, client: &Client) -> Result<(), Denied> {
        if self.stops.has(&client.name) {
            return Err(Denied::Stopped);
        }
        client.policy.may_call(self.clock.now())
    }

    /// A call that was no upload and that [`Self::may_call`] refused.
    pub fn denied(&self, client: &Client, denied: &Denied) {
        witnesses::refused(&self.audit, &client.name, None, &Refusal::Denied(denied.clone()));
    }

    fn may_upload(&self, client: &Client, upload: &Upload) -> Result<(), Denied> {
        self.may_call(client)?;
        client.policy.may_upload(upload, self.clock.now())
    }

    /// The id goes to its client, if there is one to read it.
    fn deliver(&self, parcel: Parcel, hung_up: &HungUp) -> CaptchaId {
        let id = parcel.id();
        if !hung_up.is_so() && parcel.delivered() {
            let keeper = Arc::clone(&self.keeper);
            // The client does not wait for this.
            self.tasks.spawn(async move { keeper.keep(Change::Delivered { id }).await });
        }
        id
    }
}
