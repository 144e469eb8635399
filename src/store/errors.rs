//! Why a store could not be opened, or did not keep a change.

use std::path::PathBuf;

use crate::protocol::ids::CaptchaId;

/// Why a store could not be opened, or did not keep a change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// For a reason that may pass: a later change may be kept.
    #[error("the store failed: {0}")]
    Failed(String),
    /// An `Accepted` without its `Submitting`.
    #[error("captcha {0} was never about to be sent")]
    NoIntent(CaptchaId),
    /// An `Accepted` for an id that is somebody's already.
    #[error("captcha {0} is kept already")]
    Duplicate(CaptchaId),
    /// Nobody but the gateway makes it.
    #[error("{}: there is no such file; the gateway makes it when it starts", .0.display())]
    Missing(PathBuf),
    #[error("{}: its directory is missing; make it", .0.display())]
    NoDirectory(PathBuf),
    /// Locked by another process, or by this one.
    #[error("{}: another capgate has it open; stop that one, or give this one a file of its own", .0.display())]
    InUse(PathBuf),
    #[error("{}: it is read-only; let this user write it and its directory", .0.display())]
    ReadOnly(PathBuf),
    #[error("{}: the disk is full; make room on it", .0.display())]
    Full(PathBuf),
    #[error("{}: it cannot be written; is there a limit on the size of files, or does the disk fail?", .0.display())]
    CannotWrite(PathBuf),
    #[error("{}: it is damaged ({what}); put a backup in its place, or move it away to begin anew", path.display())]
    Corrupt { path: PathBuf, what: String },
    #[error("{}: it is a database, but not of capgate; name another file", .0.display())]
    NotOurs(PathBuf),
    #[error("{}: its layout is number {found}, and this capgate knows layouts up to {known}; use a newer capgate", path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("{}: it cannot be opened: {why}", path.display())]
    CannotOpen { path: PathBuf, why: String },
}
