//! The folders' arrows: an import against them fails here.

use std::fs;
use std::path::{Path, PathBuf};

/// Each part of the crate, and what it may use beside itself.
#[rustfmt::skip]
const MAY_USE: &[(&str, &[&str])] = &[
    ("clock",     &[]),
    ("protocol",  &[]),
    ("engine",    &["clock", "protocol"]),
    ("config",    &["clock", "engine", "protocol"]),
    ("telemetry", &["clock", "config"]),
    ("simulator", &["clock", "protocol"]),
    ("store",     &["clock", "protocol"]),
    ("upstream",  &["config", "engine", "protocol"]),
    ("receivers", &["config", "protocol", "upstream"]),
    ("metrics",   &["clock", "protocol", "upstream"]),
    ("audit",     &["clock", "config", "metrics", "protocol"]),
    ("clients",   &["config", "engine", "metrics", "protocol"]),
    ("driver",    &["audit", "clients", "clock", "config", "engine", "metrics", "protocol", "receivers", "store", "upstream"]),
    ("server",    &["audit", "clients", "clock", "config", "driver", "engine", "metrics", "protocol"]),
    ("app",       &["audit", "clients", "clock", "config", "driver", "metrics", "protocol", "receivers", "server", "store", "telemetry", "upstream"]),
    ("cli",       &["app", "clock", "config", "engine", "protocol", "simulator", "store", "telemetry"]),
];

/// What the pure parts must not touch: they decide, and others carry out.
const IMPURE: &[&str] = &[
    "tokio::",
    "async fn",
    ".await",
    "std::fs",
    "std::env",
    "tracing::",
    "prometheus",
    "rand::",
    "std::net",
];

fn files_of(part: &str) -> Vec<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![source.join(format!("{part}.rs"))];
    let mut folders = vec![source.join(part)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.retain(|file| file.exists());
    assert!(!files.is_empty(), "{part} has no files");
    files
}

/// The lines that ship: what stands before a file's own tests, its comments left out.
fn code(file: &Path) -> Vec<(usize, String)> {
    let is_test = file.file_stem().is_some_and(|stem| stem == "tests" || stem == "recount")
        || file.components().any(|part| part.as_os_str() == "tests");
    if is_test {
        return Vec::new();
    }
    let text = fs::read_to_string(file).unwrap();
    let ends_before = |line: &&str| !line.trim_start().starts_with("mod tests");
    let lines = text.lines().take_while(ends_before).enumerate().map(|(at, line)| (at + 1, line.to_owned()));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//")).collect()
}

#[test]
fn every_part_of_the_crate_has_its_row() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let is_known =
            MAY_USE.iter().any(|(part, _)| *part == name) || ["main", "lib"].contains(&name.as_str());
        assert!(is_known, "src/{name} has no row in MAY_USE");
    }
}

#[test]
fn imports_follow_the_arrows() {
    let mut against = Vec::new();
    for (part, may_use) in MAY_USE {
        for file in files_of(part) {
            for (number, line) in code(&file) {
                assert!(!line.contains("crate::{"), "{}:{number}: one import a line", file.display());
                for used in line.split("crate::").skip(1) {
                    let used: String = used.chars().take_while(char::is_ascii_lowercase).collect();
                    let is_part = MAY_USE.iter().any(|(known, _)| *known == used);
                    if is_part && used != *part && !may_use.contains(&used.as_str()) {
                        against.push(format!("{}:{number}: {part} uses {used}", file.display()));
                    }
                }
            }
        }
    }
    assert!(against.is_empty(), "imports against the arrows:\n{}", against.join("\n"));
}

#[test]
fn the_pure_parts_only_decide() {
    let mut found = Vec::new();
    let pure = files_of("protocol").into_iter().chain(files_of("engine"));
    let model = files_of("simulator").into_iter().filter(|file| {
        !["server", "pushing", "mod", "options"]
            .iter()
            .any(|name| file.file_stem().is_some_and(|stem| stem == *name))
    });
    for file in pure.chain(model) {
        for (number, line) in code(&file) {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                found.push(format!("{}:{number}: {word}", file.display()));
            }
        }
    }
    assert!(found.is_empty(), "effects in a pure part:\n{}", found.join("\n"));
}

#[test]
fn main_stays_short() {
    let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs");
    assert!(fs::read_to_string(main).unwrap().lines().count() < 60);
}
