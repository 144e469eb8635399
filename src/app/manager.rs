//! Tells the service manager what the process is doing, where there is one that asks: systemd's `Type=notify` and
//! `Type=notify-reload`. Elsewhere nothing happens.
//!
//! A thread of its own tells it, for a manager that does not listen would hold up whoever speaks.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use sd_notify::NotifyState;

/// What it is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum News {
    /// Clients are served from now on; and again after a reload.
    Ready,
    Reloading,
    Stopping,
}

/// The way to the service manager.
#[derive(Debug)]
pub(super) struct Manager(Sender<News>);

impl Manager {
    /// # Errors
    /// When the thread does not start.
    pub fn start() -> io::Result<Self> {
        let (sender, news) = channel();
        std::thread::Builder::new().name("manager".into()).spawn(move || tell_all(&news))?;
        Ok(Self(sender))
    }

    /// In the order in which this is called. There are few, so those that wait have no limit.
    pub fn tell(&self, news: News) {
        // The thread ends after this does.
        let _ = self.0.send(news);
    }
}

fn tell_all(news: &Receiver<News>) {
    for news in news {
        let told = match news {
            News::Ready => sd_notify::notify(&[NotifyState::Ready]),
            News::Reloading => NotifyState::monotonic_usec_now()
                .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
            News::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        };
        if let Err(error) = told {
            tracing::warn!(?news, %error, "the service manager was not told");
        }
    }
}
