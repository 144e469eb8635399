//! Opens the file: finds it, locks it, checks it, and sets how SQLite keeps it.
//!
//! The lock is on a file beside it (`capgate.db-lock`), so that `capgate usage` may read while the gateway writes. The
//! system releases it when the process ends, by `kill -9` too; the lock file itself stays and means nothing.

use std::ffi::c_int;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::{Options, layout};
use crate::store::StoreError;

/// How long a statement waits for another process that reads the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Pages of the write-ahead log with which a commit brings it into the file, if silence has not been long enough for that.
const WAL_PAGES: u32 = 4_096;
/// The write-ahead log is cut to this size when it begins anew.
const WAL_BYTES_KEPT: i64 = 16 * 1024 * 1024;
/// Pages of the file that are held in memory, in KiB.
const CACHE_KIB: i64 = 16 * 1024;
/// Different statements that are kept prepared; there are fewer.
const STATEMENTS_PREPARED: usize = 32;

/// All of them: a copy is of one moment.
const PAGES_COPIED_AT_ONCE: c_int = c_int::MAX;
/// Free pages that stay in the file, to be used again.
const FREE_PAGES_KEPT: u32 = 1_024;
/// Most pages that are given back at once: it delays the next group.
const PAGES_GIVEN_BACK_MAX: u32 = 2_048;

/// Errors that say that something cannot be written.
const OF_WRITING: [c_int; 5] = [
    ffi::SQLITE_IOERR_WRITE,
    ffi::SQLITE_IOERR_FSYNC,
    ffi::SQLITE_IOERR_DIR_FSYNC,
    ffi::SQLITE_IOERR_TRUNCATE,
    ffi::SQLITE_IOERR_SHMSIZE,
];

/// The open file. The connection comes first: it is closed before the lock is released.
#[derive(Debug)]
pub(super) struct StoreFile {
    pub connection: Connection,
    pub path: PathBuf,
    /// Whether a commit waits until it is on disk.
    syncs: bool,
    _lock: File,
}

impl StoreFile {
    /// Whether each commit from now on waits until it is on disk.
    pub fn sync_each_commit(&mut self, syncs: bool) -> rusqlite::Result<()> {
        if self.syncs != syncs {
            self.connection.pragma_update(None, "synchronous", if syncs { "FULL" } else { "NORMAL" })?;
            self.syncs = syncs;
        }
        Ok(())
    }

    /// Brings the write-ahead log into the file, as far as nobody reads it.
    pub fn checkpoint(&self) -> rusqlite::Result<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    }

    /// Shortens the file when much of it is free.
    pub fn give_space_back(&self) -> rusqlite::Result<()> {
        let free: u32 = self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        let too_many = free.saturating_sub(FREE_PAGES_KEPT).min(PAGES_GIVEN_BACK_MAX);
        if too_many > 0 {
            // Each step gives one page back.
            self.connection.pragma(None, "incremental_vacuum", too_many, |_| Ok(()))?;
        }
        Ok(())
    }
}

/// Opens, checks and locks `path`.
pub(super) fn open(path: &Path, options: Options) -> Result<StoreFile, StoreError> {
    let path = find(path)?;
    let lock = lock(&path)?;
    create(&path)?;
    let cannot = |error: rusqlite::Error| cannot_open(&path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&path, flags).map_err(cannot)?;
    if connection.is_readonly("main").map_err(cannot)? {
        return Err(StoreError::ReadOnly(path));
    }
    connection.busy_timeout(BUSY_TIMEOUT).map_err(cannot)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_PREPARED);
    let found = layout::found(&connection, &path)?;
    if let Some(what) = damage(&connection).map_err(cannot)? {
        return Err(StoreError::Corrupt { path, what });
    }
    configure(&connection, options).map_err(cannot)?;
    layout::migrate(&mut connection, found).map_err(cannot)?;
    Ok(StoreFile { connection, path, syncs: true, _lock: lock })
}

/// Opens `path` for reading only, locked or not.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(StoreError::Missing(path.to_owned())),
        Err(error) => {
            return Err(StoreError::CannotOpen { path: path.to_owned(), why: error.to_string() });
        }
    }
    let cannot = |error: rusqlite::Error| cannot_open(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(cannot)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(cannot)?;
    match layout::found(&connection, path)? {
        layout::VERSION => Ok(connection),
        older => {
            let why = format!("its layout is number {older}; a start of the gateway brings it up to date");
            Err(StoreError::CannotOpen { path: path.to_owned(), why })
        }
    }
}

/// All of it, in memory.
pub(super) fn copy(connection: &Connection) -> rusqlite::Result<Connection> {
    let mut copy = Connection::open_in_memory()?;
    Backup::new(connection, &mut copy)?.run_to_completion(PAGES_COPIED_AT_ONCE, BUSY_TIMEOUT, None)?;
    Ok(copy)
}

/// What an error of SQLite means for whoever opens `path`.
pub(super) fn cannot_open(path: &Path, error: &rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    if let rusqlite::Error::FromSqlConversionFailure(..) = error {
        return StoreError::Corrupt { path, what: error.to_string() };
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::Corrupt { path, what: error.to_string() }
        }
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly(path),
        Some(ErrorCode::DiskFull) => StoreError::Full(path),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse(path),
        Some(ErrorCode::SystemIoFailure) if is_of_writing(error) => StoreError::CannotWrite(path),
        _ => StoreError::CannotOpen { path, why: error.to_string() },
    }
}

/// What an error of SQLite means while the store runs: it may pass.
pub(super) fn failed(path: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::Failed(match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("{}: another program has locked it", path.display())
        }
        _ => cannot_open(path, error).to_string(),
    })
}

fn is_of_writing(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| OF_WRITING.contains(&error.extended_code))
}

/// The file's one true path, so that a link to it meets the same lock.
fn find(path: &Path) -> Result<PathBuf, StoreError> {
    match path.canonicalize() {
        Ok(found) => return Ok(found),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(io_error(path, &error)),
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = directory.canonicalize().map_err(|_| StoreError::NoDirectory(path.to_owned()))?;
    let name = path.file_name().ok_or_else(|| StoreError::CannotOpen {
        path: path.to_owned(),
        why: "it does not end in a file's name".to_owned(),
    })?;
    Ok(directory.join(name))
}

/// A process that has just ended, or a child that it was about to start, may hold the lock a moment longer than it lived:
/// half a second is waited for it.
const LOCK_TRIES: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    let file = private().open(name).map_err(|error| io_error(path, &error))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // Nobody unparks this thread: it is only to pass a little time.
            Err(TryLockError::WouldBlock) => std::thread::park_timeout(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(io_error(path, &error)),
        }
    }
    Err(StoreError::InUse(path.to_owned()))
}

/// Makes the file if it is not there, readable by nobody else: answers are worth money.
fn create(path: &Path) -> Result<(), StoreError> {
    let file = private().open(path).map_err(|error| io_error(path, &error))?;
    let metadata = file.metadata().map_err(|error| io_error(path, &error))?;
    // A system administrator could write all the same; the mark is taken at its word.
    if metadata.permissions().readonly() { Err(StoreError::ReadOnly(path.to_owned())) } else { Ok(()) }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn io_error(path: &Path, error: &io::Error) -> StoreError {
    let path = path.to_owned();
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly(path),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full(path),
        ErrorKind::FileTooLarge => StoreError::CannotWrite(path),
        _ => StoreError::CannotOpen { path, why: error.to_string() },
    }
}

/// The first damage that a look at every page finds.
fn damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    // It says where on a line of its own.
    Ok((found != "ok").then(|| found.lines().last().unwrap_or_default().to_owned()))
}

fn configure(connection: &Connection, options: Options) -> rusqlite::Result<()> {
    // Works on an empty file only, and only before the log is chosen.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        tracing::warn!(mode, "the store's file system allows no write-ahead log: every change is slower");
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", WAL_PAGES, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_KEPT, |_| Ok(()))?;
    if let Some(pages_max) = options.pages_max {
        connection.pragma_update_and_check(None, "max_page_count", pages_max, |_| Ok(()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_waits_for_the_disk_and_free_pages_can_be_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let file = open(&directory.path().join("x.db"), Options::default()).unwrap();
        let setting =
            |name| file.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!((setting("synchronous"), setting("auto_vacuum"), setting("foreign_keys")), (2, 2, 1));
        let mode = file.connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
        assert_eq!(mode.as_deref(), Ok("wal"));
        assert_eq!(damage(&file.connection), Ok(None));
    }
}
