//! Whether files that settings name were changed: looked at from time to time, because secrets that a cluster mounts
//! change by a link that is put elsewhere, which nobody is told of.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often it is looked.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What tells a file from what it was before: another file in its place, or another content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    bytes: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// None while there is no such file.
    fn of(path: &Path) -> Option<Self> {
        // Follows links.
        let found: Metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            file: (found.dev(), found.ino()),
            bytes: found.size(),
            written: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

/// The files that are watched.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// As they were before they were last read.
    read: Stamps,
    /// As they were when it was last looked.
    seen: Stamps,
}

impl Watch {
    /// These files are about to be read.
    pub fn before_reading(files: impl Iterator<Item = PathBuf>) -> Self {
        let read: Stamps = files.map(|path| (path.clone(), Stamp::of(&path))).collect();
        Self { seen: read.clone(), read }
    }

    /// From now on these are watched. What is known of those that were watched already stays.
    pub fn only(&mut self, files: Vec<PathBuf>) {
        let stamp = |path: PathBuf| {
            let stamp = self.read.get(&path).copied().unwrap_or_else(|| Stamp::of(&path));
            (path, stamp)
        };
        self.read = files.into_iter().map(stamp).collect();
        self.seen = self.read.clone();
    }

    /// Whether a file is another than when it was read, and has been so since the look before: whoever writes several
    /// files, or a long one, is let finish.
    pub fn look(&mut self) -> bool {
        let found: Stamps = self.read.keys().map(|path| (path.clone(), Stamp::of(path))).collect();
        let is_still = found == self.seen;
        self.seen = found;
        is_still && self.seen != self.read
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn is_seen_at_the_second_look_only(watch: &mut Watch, what: &str) {
        assert!(!watch.look(), "{what}: it may be half of a change");
        assert!(watch.look(), "{what}");
        assert!(watch.look(), "{what}: until it is read");
        *watch = Watch::before_reading(watch.read.clone().into_keys());
        assert!(!watch.look() && !watch.look(), "{what}: once");
    }

    #[test]
    fn each_way_to_change_a_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "one").unwrap();
        let mut watch = Watch::before_reading([file.clone()].into_iter());
        assert!(!watch.look());
        fs::write(&file, "another").unwrap();
        is_seen_at_the_second_look_only(&mut watch, "written");
        let beside = folder.path().join("beside");
        fs::write(&beside, "another").unwrap();
        fs::rename(&beside, &file).unwrap();
        is_seen_at_the_second_look_only(&mut watch, "another in its place");
        fs::remove_file(&file).unwrap();
        is_seen_at_the_second_look_only(&mut watch, "gone");
        fs::write(&file, "back").unwrap();
        is_seen_at_the_second_look_only(&mut watch, "back");
    }

    #[test]
    fn a_link_that_is_put_elsewhere_is_seen_as_clusters_do_it() {
        // secret -> ..data/secret, ..data -> ..first; then ..data -> ..second, by a rename.
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for version in ["..first", "..second"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("secret"), "of the same length").unwrap();
        }
        symlink("..first", at("..data")).unwrap();
        symlink("..data/secret", at("secret")).unwrap();
        let mut watch = Watch::before_reading([at("secret")].into_iter());
        assert!(!watch.look());
        symlink("..second", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        is_seen_at_the_second_look_only(&mut watch, "put elsewhere");
    }

    #[test]
    fn a_file_that_goes_on_changing_is_let_finish() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "").unwrap();
        let mut watch = Watch::before_reading([file.clone()].into_iter());
        for part in 1..5 {
            fs::write(&file, "x".repeat(part)).unwrap();
            assert!(!watch.look());
        }
        assert!(watch.look());
    }
}
