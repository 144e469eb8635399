//! The end, in order.
//!
//! ```text
//! told to stop -> /readyz says 503, held polls are answered, each reply closes its connection
//!              -> [listen.drain_delay] -> no new connections -> the calls under way end
//!              -> uploads that still wait are refused -> the driver's own calls end -> the store has all of it
//!              -> the admin listener closes -> the audit trail is on the disk
//! ```
//! All of it within `listen.drain`: what has not ended by then is cut off. An upload that is cut off is found as
//! unknown at the next start.

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio_util::sync::CancellationToken;

use crate::audit::Event;
use crate::clock::{Clock, Timestamp};
use crate::config::Listen;
use crate::metrics::Metrics;
use crate::server::Server;

/// A client that has just connected, or whose connection was idle, may be about to send a call: it is taken for so long,
/// and its reply closes the connection.
const LINGER: Duration = Duration::from_millis(250);
/// How often it is looked whether all connections have ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A scrape or a health check that is under way may take so long yet.
const ADMIN_WITHIN: Duration = Duration::from_millis(100);
/// So much of the time is kept to tell what was cut short: half of it for the uploads that still wait for their turn,
/// the other half for those whose upstream call has not ended.
const TELL_WITHIN: Duration = Duration::from_secs(1);

/// What has to end.
pub(super) struct Ending {
    pub server: Arc<Server>,
    pub clients: ServerHandle,
    pub admin: ServerHandle,
    /// Somebody else holds the sockets too: new connections wait in them for the next process.
    pub sockets_stay: bool,
    /// Cancelled when all is over: what has not ended is cut off.
    pub over: CancellationToken,
}

impl Ending {
    pub async fn in_order(self, listen: &Listen, why: &'static str) {
        let Self { server, clients, admin, sockets_stay, over } = self;
        let (driver, clock) = (&server.driver, server.driver.clock);
        let ends = clock.now() + listen.drain;
        driver.announce_stop();
        clock.sleep(listen.drain_delay.min(listen.drain)).await;
        if sockets_stay {
            clients.pause().await;
        }
        if sockets_stay || server.metrics.connections_open() > 0 {
            clock.sleep(LINGER).await;
        }
        // The web server itself looks once a second whether its connections have ended.
        let mut calls_end = std::pin::pin!(async {
            tokio::select! {
                () = clients.stop(true) => {}
                () = none_open(clock, &server.metrics) => {}
            }
        });
        let have_ended = before(clock, ends - TELL_WITHIN, &mut calls_end).await;
        // Uploads whose clients hung up, looks and reports may still be under way.
        let told_by = ends - TELL_WITHIN / 2;
        before(clock, ends, driver.drain(told_by.since(clock.now()))).await;
        if !have_ended && !before(clock, ends, calls_end).await {
            let connections = server.metrics.connections_open();
            tracing::warn!(connections, "calls did not end in time: they are cut off");
        }
        before(clock, clock.now() + ADMIN_WITHIN, admin.stop(true)).await;
        let audit = driver.audit.clone();
        // It has a limit of its own, and what it cannot keep it logs.
        let _ = tokio::task::spawn_blocking(move || audit.close(Event::Stopped { why })).await;
        over.cancel();
    }
}

async fn none_open(clock: Clock, metrics: &Metrics) {
    while metrics.connections_open() > 0 {
        clock.sleep(LOOK_EVERY).await;
    }
}

/// Waits for `end`, but not beyond `moment`; whether it has come.
async fn before(clock: Clock, moment: Timestamp, end: impl Future<Output = ()>) -> bool {
    tokio::select! {
        biased;
        () = end => true,
        () = clock.sleep_until(moment) => false,
    }
}
