//! The tree of dependencies: where it comes from, under which licences, what is in it twice, and that no flaw of it is
//! known but the one that is lived with.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Licences that ask for no more than a notice.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that may be there in several versions, because others are between two of theirs. One that is no more goes from
/// the list: the test says so.
const SEVERAL: &[&str] = &[
    "base64",
    "bit-vec",
    "getrandom",
    "hashbrown",
    "http",
    "linux-raw-sys",
    "r-efi",
    "rand",
    "rand_chacha",
    "rand_core",
    "rustix",
    "syn",
    "synstructure",
    "windows-sys",
];

/// Flaws that are known and lived with: the advisory, the crate, its version, who alone may use it, and why it does not
/// concern us.
const LIVED_WITH: &[(&str, &str, &str, &[&str], &str)] = &[(
    "RUSTSEC-2026-0258",
    "h2",
    "0.3",
    &["actix-http", "awc"],
    "awc always pulls it in. HTTP/2 is spoken with nobody: the https listener offers HTTP/1.1 alone, and our connections to \
     the upstream and to receivers are made without ALPN",
)];

/// What is known of the crates in the tree: `tests/advisories/update` writes it.
#[derive(serde::Deserialize)]
struct Known {
    advisories: Vec<Advisory>,
    crates: BTreeSet<String>,
}

#[derive(serde::Deserialize)]
struct Advisory {
    id: String,
    #[serde(rename = "crate")]
    name: String,
    not_in: Vec<String>,
}

fn known() -> Known {
    toml::from_str(include_str!("../advisories/rustsec.toml")).unwrap()
}

fn tree() -> Value {
    let told = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    serde_json::from_slice(&told.stdout).unwrap()
}

/// Whether one of the alternatives asks for allowed licences only.
fn is_allowed(expression: &str) -> bool {
    // `(A OR B) AND C`: brackets come around alternatives only.
    let terms = expression.split(" AND ").map(|term| term.trim_matches(['(', ')']));
    let is_known = |licence: &str| LICENCES.contains(&licence.trim());
    terms.into_iter().all(|term| term.replace('/', " OR ").split(" OR ").any(is_known))
}

#[test]
fn every_dependency_has_a_licence_that_we_may_use() {
    for package in tree()["packages"].as_array().unwrap() {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(is_allowed(licence), "{}: {licence:?}", package["name"]);
    }
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("MIT OR GPL-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression), expected, "{expression}");
    }
}

#[test]
fn every_dependency_comes_from_the_registry() {
    for package in tree()["packages"].as_array().unwrap() {
        let source = package["source"].as_str();
        let is_ours = package["name"] == "capgate";
        let is_right = source == Some("registry+https://github.com/rust-lang/crates.io-index");
        assert!(is_right || is_ours && source.is_none(), "{}: {source:?}", package["name"]);
    }
}

#[test]
fn only_what_is_listed_is_there_in_several_versions() {
    let tree = tree();
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for package in tree["packages"].as_array().unwrap() {
        *versions.entry(package["name"].as_str().unwrap()).or_default() += 1;
    }
    let several: BTreeSet<_> =
        versions.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect();
    assert_eq!(several, SEVERAL.iter().copied().collect());
}

#[test]
fn a_flaw_that_is_lived_with_comes_in_by_the_known_way_only() {
    let tree = tree();
    let nodes = tree["resolve"]["nodes"].as_array().unwrap();
    for (advisory, name, version, by, why) in LIVED_WITH {
        let is_it = |id: &Value| id.as_str().unwrap().contains(&format!("#{name}@{version}"));
        let users: Vec<_> = nodes
            .iter()
            .filter(|node| node["dependencies"].as_array().unwrap().iter().any(is_it))
            .map(|node| node["id"].as_str().unwrap())
            .collect();
        let is_known = |user: &&str| by.iter().any(|by| user.contains(&format!("#{by}@")));
        assert!(
            !users.is_empty() && users.iter().all(is_known),
            "{advisory}: {name} is used by {users:?} ({why})"
        );
    }
}

#[test]
fn no_version_in_the_tree_has_a_flaw_that_is_known_and_not_lived_with() {
    let (tree, known) = (tree(), known());
    let mut found = BTreeSet::new();
    for package in tree["packages"].as_array().unwrap() {
        let (name, version) = (package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
        let is_ours = name == "capgate";
        assert!(
            is_ours || known.crates.contains(name),
            "{name} was not looked up: run tests/advisories/update with a checkout of the advisories"
        );
        let version: semver::Version = version.parse().unwrap();
        let has_not =
            |requirement: &String| requirement.parse::<semver::VersionReq>().unwrap().matches(&version);
        let about = known.advisories.iter().filter(|advisory| advisory.name == name);
        found.extend(
            about.filter(|advisory| !advisory.not_in.iter().any(has_not)).map(|advisory| &*advisory.id),
        );
    }
    let lived_with: BTreeSet<_> = LIVED_WITH.iter().map(|(advisory, ..)| *advisory).collect();
    assert_eq!(found, lived_with);
}
