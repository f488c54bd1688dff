//! The generated pages: printed by the program that they describe. CI checks that they are up to date.

use std::path::PathBuf;

use xtask::run::{Failure, cargo, output, root, target};

/// A page and the hidden command that prints it.
const PAGES: [(&str, &[&str]); 4] = [
    ("docs/reference/bounds.md", &["reference", "bounds"]),
    ("docs/reference/commands.md", &["reference", "commands"]),
    ("docs/reference/exit-codes.md", &["reference", "exit-codes"]),
    ("docs/settings.md", &["reference", "settings"]),
];

/// Writes every generated page.
pub(crate) fn write() -> Result<(), Failure> {
    build()?;
    for (path, text) in pages()? {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}

/// Fails if [`write`] would change a page.
pub(crate) fn check() -> Result<(), Failure> {
    build()?;
    check_built()
}

/// The same with the program that is already built. The tests build it; built for itself, it would compile many crates again, with
/// other features.
pub(crate) fn check_built() -> Result<(), Failure> {
    let stale =
        pages()?.into_iter().filter(|(path, text)| std::fs::read_to_string(path).ok().as_ref() != Some(text));
    let stale: Vec<String> = stale.map(|(path, _)| path.display().to_string()).collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(Failure(format!("out of date: {}; run `cargo xtask docs`", stale.join(", "))))
}

fn build() -> Result<(), Failure> {
    cargo(&["build", "--quiet", "--package", "mainstay"])
}

fn pages() -> Result<Vec<(PathBuf, String)>, Failure> {
    let mainstay = target().join("debug/mainstay");
    PAGES.iter().map(|(path, args)| Ok((root().join(path), output(&mainstay, args)?))).collect()
}
