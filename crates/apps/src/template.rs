//! Apps to begin with: small, complete, and bundled as they are.

use std::path::{Path, PathBuf};

use finding::{Exit, nearest};

use crate::{Error, file, rules};

/// A language that there is an app in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// What `mainstay apps init` calls it.
    pub name: &'static str,
    /// AWS's runtime.
    pub runtime: &'static str,
    /// What must be run before it can be bundled; empty: nothing.
    pub build: &'static str,
    handler: &'static str,
    source: &'static str,
    ignored: &'static str,
    files: &'static [(&'static str, &'static str)],
}

/// Every template.
pub const TEMPLATES: [Template; 4] = [
    Template {
        name: "go",
        runtime: "provided.al2023",
        build: "make",
        handler: "bootstrap",
        source: "*.go",
        ignored: "/hello/",
        files: &[
            ("go.mod", include_str!("../templates/go/go.mod")),
            ("main.go", include_str!("../templates/go/main.go")),
            ("runtime.go", include_str!("../templates/go/runtime.go")),
            ("Makefile", include_str!("../templates/go/Makefile")),
        ],
    },
    Template {
        name: "node",
        runtime: "nodejs24.x",
        build: "",
        handler: "index.handler",
        source: "hello/index.mjs",
        ignored: "node_modules/",
        files: &[("hello/index.mjs", include_str!("../templates/node/hello/index.mjs"))],
    },
    Template {
        name: "python",
        runtime: "python3.14",
        build: "",
        handler: "app.handler",
        source: "hello/app.py",
        ignored: "__pycache__/",
        files: &[("hello/app.py", include_str!("../templates/python/hello/app.py"))],
    },
    Template {
        name: "rust",
        runtime: "provided.al2023",
        build: "make",
        handler: "bootstrap",
        source: "src/",
        ignored: "/hello/\n/target/",
        files: &[
            // Under another name, or Cargo would take the template for a package of this workspace.
            ("Cargo.toml", include_str!("../templates/rust/cargo.toml")),
            ("src/main.rs", include_str!("../templates/rust/src/main.rs")),
            ("src/runtime.rs", include_str!("../templates/rust/src/runtime.rs")),
            ("Makefile", include_str!("../templates/rust/Makefile")),
        ],
    },
];

/// What every app has.
const COMMON: [(&str, &str); 3] = [
    ("manifest.json", include_str!("../templates/common/manifest.json")),
    ("README.md", include_str!("../templates/common/README.md")),
    (".gitignore", include_str!("../templates/common/gitignore")),
];
const ICON: &[u8] = include_bytes!("../templates/common/icon.png");

/// The template of this name.
///
/// # Errors
/// There is none.
pub fn template(name: &str) -> Result<Template, Error> {
    let names = TEMPLATES.map(|template| template.name);
    TEMPLATES.into_iter().find(|template| template.name == name).ok_or_else(|| {
        let error = Error::new(
            Exit::Usage,
            format!("there is no template {}; allowed: {}", crate::found::shown(name), names.join(", ")),
        );
        match nearest(name, names) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error,
        }
    })
}

impl Template {
    /// The files of an app: paths below its directory, and contents.
    fn files(&self, id: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let build = if self.build.is_empty() { String::new() } else { format!("{}\n", self.build) };
        let filled = |text: &str| {
            text.replace("{{id}}", id)
                .replace("{{name}}", &in_words(id))
                .replace("{{handler}}", self.handler)
                .replace("{{runtime}}", self.runtime)
                .replace("{{source}}", self.source)
                .replace("{{ignored}}", self.ignored)
                .replace("{{build}}", &build)
        };
        let texts = COMMON.iter().chain(self.files);
        let mut files: Vec<(PathBuf, Vec<u8>)> =
            texts.map(|(path, text)| (PathBuf::from(path), filled(text).into_bytes())).collect();
        files.push(("static/icon.png".into(), ICON.to_vec()));
        files
    }

    /// Writes an app into a directory that is empty or not there. Gives the paths that were written. Without an id, it gets the
    /// directory's name.
    ///
    /// # Errors
    /// The directory holds something, cannot be written, or the id breaks its rule.
    pub fn write(&self, dir: &Path, id: Option<&str>) -> Result<Vec<PathBuf>, Error> {
        let id = id.map_or_else(|| id_of(dir), str::to_owned);
        rules::app_id(&id).map_err(|why| {
            Error::new(Exit::Usage, format!("{} is no id of an app: {why}", crate::found::shown(&id)))
                .hint(format!("choose {}", rules::APP_ID))
        })?;
        if dir.exists() {
            let mut entries = std::fs::read_dir(dir).map_err(|error| file::unread(dir, &error))?;
            if entries.next().is_some() {
                return Err(Error::new(
                    Exit::Refused,
                    format!("{} is not empty; nothing has been written", dir.display()),
                )
                .hint("name a directory that is empty or does not exist"));
            }
        }
        let was_there = dir.exists();
        let mut written = Vec::new();
        for (name, bytes) in self.files(&id) {
            let path = dir.join(name);
            let parent = path.parent().unwrap_or(dir);
            let is_written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, bytes));
            written.push(path);
            if let (Err(error), Some(path)) = (is_written, written.last()) {
                let failed = file::unwritten(path, &error);
                undo(dir, was_there);
                return Err(failed);
            }
        }
        Ok(written)
    }
}

/// Removes the beginning of an app from a directory that was empty, or not there: an app of which a part is missing looks like one.
fn undo(dir: &Path, was_there: bool) {
    if !was_there {
        let _ = host::disk::remove_tree(dir);
        return;
    }
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let _ = host::disk::remove_tree(&entry.path());
    }
}

/// An id from a directory's name: small letters, and `-` for what an id may not have.
fn id_of(dir: &Path) -> String {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let name = dir.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' };
    let id: String = name.chars().map(allowed).take(32).collect();
    let id = id.trim_matches('-').to_owned();
    if id.len() < 3 { "hello-app".to_owned() } else { id }
}

/// An id as people read it: `hello-app` is `Hello app`.
fn in_words(id: &str) -> String {
    let text = id.rsplit('.').next().filter(|text| !text.is_empty()).unwrap_or(id).replace(['-', '_'], " ");
    let mut letters = text.trim().chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_follow_from_the_directory() {
        for (dir, id, name) in [
            ("/tmp/My App", "my-app", "My app"),
            ("/tmp/com.example.hello", "com.example.hello", "Hello"),
            ("/tmp/x", "hello-app", "Hello app"),
            ("/", "hello-app", "Hello app"),
            ("/tmp/größe", "gr--e", "Gr  e"),
        ] {
            assert_eq!((id_of(Path::new(dir)).as_str(), in_words(id).as_str()), (id, name), "{dir}");
            assert_eq!(rules::app_id(id), Ok(()));
        }
    }

    #[test]
    fn no_file_keeps_a_placeholder() {
        for template in TEMPLATES {
            for (path, bytes) in template.files("abc") {
                let text = String::from_utf8_lossy(&bytes);
                assert!(
                    !text.contains("{{id}}") && !text.contains("{{name}}") && !text.contains("{{b"),
                    "{}",
                    path.display()
                );
            }
        }
        assert_eq!(template("rsut").unwrap_err().hint.as_deref(), Some("did you mean rust?"));
    }
}
