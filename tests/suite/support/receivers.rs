//! Receivers of pingback for a driver without sockets.

use std::net::IpAddr;

use bytes::Bytes;
use capgate::config::Pingback;
use capgate::protocol::pingback::{Host, Target};
use capgate::receivers::{NotTaken, Receivers};
use futures_util::future::BoxFuture;

/// There are none.
pub struct NoReceivers;

impl Receivers for NoReceivers {
    fn resolve(&self, _: &Host, _: &Pingback) -> BoxFuture<'static, Result<Vec<IpAddr>, NotTaken>> {
        Box::pin(std::future::ready(Err(NotTaken::NoSuchHost)))
    }

    fn push(&self, _: &Target, _: Bytes, _: &Pingback) -> BoxFuture<'static, Result<(), NotTaken>> {
        Box::pin(std::future::ready(Err(NotTaken::NoSuchHost)))
    }
}
