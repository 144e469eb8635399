//! The trail's file: lines are added at its end and nothing in it is ever changed. When it is full it is put beside, as
//! `NAME.1`, and the ones before move up; the oldest leaves.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// So much of a file's end is read to find the number of its last line; no line is as long.
const TAIL_BYTES: u64 = 128 * 1024;

/// Where the trail is kept, and how much of it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub path: PathBuf,
    /// Most bytes of one file.
    pub file_bytes_max: u64,
    /// Full files that are kept.
    pub files_kept: u32,
}

/// The file that lines are added to.
#[derive(Debug)]
pub(super) struct TrailFile {
    place: Place,
    file: File,
    size: u64,
    /// How much of the line at hand is in the file already.
    begun: usize,
    is_synced: bool,
}

/// What is read of a line.
#[derive(Deserialize)]
struct Numbered {
    n: u64,
}

impl TrailFile {
    /// Opens the file, or begins it; with the number of the last line that is in it or in the one before.
    pub fn open(place: Place) -> io::Result<(Self, u64)> {
        let last = match last_number(&place.path)? {
            Some(number) => number,
            None => last_number(&beside(&place.path, 1))?.unwrap_or(0),
        };
        let (file, size) = opened(&place.path)?;
        Ok((Self { place, file, size, begun: 0, is_synced: true }, last))
    }

    /// Adds `line`, whose end is a line end. After an error the same line may be added again: what of it is in the file is
    /// not written twice.
    pub fn add(&mut self, line: &[u8]) -> io::Result<()> {
        if self.begun == 0 && self.size > 0 && self.size + line.len() as u64 > self.place.file_bytes_max {
            self.put_beside()?;
        }
        while self.begun < line.len() {
            match self.file.write(&line[self.begun..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.begun += written;
                    self.size += written as u64;
                    self.is_synced = false;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.begun = 0;
        Ok(())
    }

    /// Begins a new file when somebody else, such as logrotate, has put this one away. A line that is begun in the old one
    /// is written again, whole.
    pub fn follow(&mut self) -> io::Result<()> {
        let ours = self.file.metadata()?;
        let is_ours = |there: &fs::Metadata| (there.dev(), there.ino()) == (ours.dev(), ours.ino());
        match fs::metadata(&self.place.path) {
            Ok(there) if is_ours(&there) => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.begin(),
        }
    }

    /// Waits until what was added is on the disk.
    pub fn sync(&mut self) -> io::Result<()> {
        if !self.is_synced {
            self.file.sync_data()?;
            self.is_synced = true;
        }
        Ok(())
    }

    fn put_beside(&mut self) -> io::Result<()> {
        self.sync()?;
        let Place { path, files_kept, .. } = &self.place;
        for number in (1..*files_kept).rev() {
            moved(&beside(path, number), &beside(path, number + 1))?;
        }
        moved(path, &beside(path, 1))?;
        self.begin()
    }

    fn begin(&mut self) -> io::Result<()> {
        (self.file, self.size) = opened(&self.place.path)?;
        self.begun = 0;
        Ok(())
    }
}

/// The file for adding, and its size. Only its owner may read it, and only one process writes to it. A line that a crash
/// has cut off is ended, so that the next does not continue it.
fn opened(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().append(true).read(true).create(true).mode(0o600).open(path)?;
    let about = file.metadata()?;
    match if about.is_file() { file.try_lock() } else { Ok(()) } {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "another process writes to it"));
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut size = about.len();
    if size > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            size += 1;
        }
    }
    Ok((file, size))
}

/// The number of the last whole line; none without one.
fn last_number(path: &Path) -> io::Result<Option<u64>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail)?;
    let number = |line: &[u8]| serde_json::from_slice::<Numbered>(line).ok().map(|line| line.n);
    Ok(tail.split(|byte| *byte == b'\n').rev().find_map(number))
}

fn beside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn moved(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: &tempfile::TempDir, file_bytes_max: u64, files_kept: u32) -> Place {
        Place { path: folder.path().join("audit.jsonl"), file_bytes_max, files_kept }
    }

    fn line(number: u64) -> Vec<u8> {
        format!("{{\"n\":{number}}}\n").into_bytes()
    }

    fn read(folder: &tempfile::TempDir, name: &str) -> String {
        fs::read_to_string(folder.path().join(name)).unwrap()
    }

    #[test]
    fn a_file_is_filled_to_its_limit_and_not_a_byte_further_and_the_oldest_leaves() {
        let folder = tempfile::tempdir().unwrap();
        let ten = b"123456789\n";
        let (mut file, last) = TrailFile::open(place(&folder, 20, 2)).unwrap();
        assert_eq!(last, 0);
        let add = |file: &mut TrailFile, count: usize| (0..count).for_each(|_| file.add(ten).unwrap());
        let sizes = || {
            ["", ".1", ".2", ".3"].map(|end| {
                fs::metadata(folder.path().join(format!("audit.jsonl{end}"))).map(|file| file.len()).ok()
            })
        };
        add(&mut file, 2);
        assert_eq!(sizes(), [Some(20), None, None, None], "at the limit");
        add(&mut file, 1);
        assert_eq!(sizes(), [Some(10), Some(20), None, None], "one more");
        add(&mut file, 4);
        assert_eq!(sizes(), [Some(10), Some(20), Some(20), None], "two are kept beside it");
        file.add(&[b'x'; 50]).unwrap();
        assert_eq!(sizes(), [Some(50), Some(10), Some(20), None], "a line is never cut");
    }

    #[test]
    fn the_numbers_go_on_after_a_restart_also_when_the_file_has_just_begun() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder, 1_000, 1);
        let (mut file, _) = TrailFile::open(place.clone()).unwrap();
        for number in 1..=3 {
            file.add(&line(number)).unwrap();
        }
        drop(file);
        assert_eq!(TrailFile::open(place.clone()).unwrap().1, 3);
        fs::rename(&place.path, beside(&place.path, 1)).unwrap();
        assert_eq!(TrailFile::open(place).unwrap().1, 3);
    }

    #[test]
    fn a_line_that_a_crash_cut_off_stays_and_is_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder, 1_000, 1);
        fs::write(&place.path, "{\"n\":7}\n{\"n\":8,\"at\":\"20").unwrap();
        let (mut file, last) = TrailFile::open(place).unwrap();
        assert_eq!(last, 7);
        file.add(&line(9)).unwrap();
        assert_eq!(read(&folder, "audit.jsonl"), "{\"n\":7}\n{\"n\":8,\"at\":\"20\n{\"n\":9}\n");
    }

    #[test]
    fn a_file_that_somebody_else_put_away_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder, 1_000, 1);
        let (mut file, _) = TrailFile::open(place.clone()).unwrap();
        file.add(&line(1)).unwrap();
        file.follow().unwrap();
        file.add(&line(2)).unwrap();
        fs::rename(&place.path, folder.path().join("put-away")).unwrap();
        file.follow().unwrap();
        file.add(&line(3)).unwrap();
        assert_eq!(read(&folder, "put-away").lines().count(), 2);
        assert_eq!(read(&folder, "audit.jsonl").lines().count(), 1);
    }

    #[test]
    fn two_processes_do_not_write_to_one_trail_and_nobody_else_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder, 1_000, 1);
        let first = TrailFile::open(place.clone()).unwrap();
        let mode = fs::metadata(&place.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = TrailFile::open(place.clone()).unwrap_err();
        assert_eq!(error.to_string(), "another process writes to it");
        drop(first);
        assert!(TrailFile::open(place).is_ok());
    }

    #[test]
    fn what_a_full_disk_took_of_a_line_is_not_written_twice() {
        // A file on a full disk takes a part of a line, and later the rest.
        let folder = tempfile::tempdir().unwrap();
        let (mut file, _) = TrailFile::open(place(&folder, 1_000, 1)).unwrap();
        let line = line(1);
        file.file.write_all(&line[..4]).unwrap();
        file.begun = 4;
        file.add(&line).unwrap();
        assert_eq!(read(&folder, "audit.jsonl").into_bytes(), line);
    }
}
