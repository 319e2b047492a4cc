//! `python/lifesigns/specs` says what the checks in `src` take: it is generated from them, and compared here.
//!
//! `LIFESIGNS_WRITE_SPECS=1 cargo test --no-default-features --test specs` writes it anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod python;
mod source;
mod types;

use std::path::Path;
use std::{env, fs};

use source::Source;

#[test]
fn python_specs_match_the_checks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = Source::read(&root.join("src"));
    let files = python::render(&source.classes());
    let folder = root.join("python/lifesigns/specs");
    let mut outdated = Vec::new();
    for (name, expected) in files {
        let path = folder.join(name);
        if env::var_os("LIFESIGNS_WRITE_SPECS").is_some() {
            fs::write(&path, &expected).unwrap();
        }
        if fs::read_to_string(&path).unwrap_or_default() != expected {
            outdated.push(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
    assert!(
        outdated.is_empty(),
        "{} is not what src says; LIFESIGNS_WRITE_SPECS=1 cargo test --no-default-features --test specs writes it",
        outdated.join(", "),
    );
}
