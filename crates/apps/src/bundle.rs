//! A bundle: a manifest, static files, and an archive for each function, in one zip file or in a directory.

use std::path::{Path, PathBuf};

use finding::{Exit, Finding, Location, Severity};

use crate::archive::{self, Archive, Entry};
use crate::found::shown;
use crate::package::{self, Package};
use crate::reader::Reader;
use crate::reading::MANIFEST_LIMIT;
use crate::{Error, Manifest, file, names, pack, rules};

/// The largest static file, in bytes: Mattermost reads each whole into memory.
pub const ASSET_MAX: u64 = 100 << 20;

/// A bundle whose manifest, names and sizes have passed all checks.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Where it came from.
    pub path: PathBuf,
    /// What the app is.
    pub manifest: Manifest,
    /// The manifest as it stands in the bundle.
    pub manifest_bytes: Vec<u8>,
    /// The static files, in the bundle's order.
    pub assets: Vec<Asset>,
    /// The functions on AWS Lambda, in the manifest's order, each with its archive.
    pub functions: Vec<Package>,
    /// What could be better.
    pub warnings: Vec<Finding>,
    archive: Archive,
}

/// A static file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its path below `static/`.
    pub name: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Where it is in the bundle.
    pub entry: Entry,
}

impl Bundle {
    /// Opens a bundle: a zip file, or a directory, which is bundled in memory as `mainstay apps bundle` does it.
    ///
    /// # Errors
    /// It cannot be read, is no safe archive, or its manifest or a function is wrong: with everything that was found.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if path.is_dir() {
            let packed = pack::pack(path)?;
            let mut bundle = Self::of(path, Reader::of_bytes(packed.bytes))?;
            bundle.warnings.extend(packed.warnings);
            return Ok(bundle);
        }
        let reader = Reader::of_file(file::open(path)?).map_err(|error| file::unread(path, &error))?;
        Self::of(path, reader)
    }

    /// Opens a bundle that is in memory. `name` is its name in messages.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(name: &Path, bytes: Vec<u8>) -> Result<Self, Error> {
        Self::of(name, Reader::of_bytes(bytes))
    }

    fn of(path: &Path, reader: Reader) -> Result<Self, Error> {
        let archive = Archive::open(path, reader)?;
        let manifest_bytes = manifest_of(&archive, path)?;
        let (manifest, mut found) = Manifest::read(&path.join("manifest.json"), &manifest_bytes)?;
        let at = |finding: Finding| match finding.location {
            Some(_) => finding,
            None => finding.at(Location::File(path.to_owned())),
        };
        let declared = manifest.aws_lambda.as_ref().map_or(&[][..], |section| &section.functions);
        let (functions, matching) = package::matched(declared, &archive.entries);
        found.extend(matching.into_iter().map(at));
        for package in &functions {
            found.extend(package::check(package, &archive).into_iter().map(at));
        }
        let assets = assets(&archive.entries);
        found.extend(assets_found(&manifest, &assets).into_iter().map(at));
        found.extend(shared_names(&manifest, &assets).into_iter().map(at));
        found.extend(ignored(&archive.entries).map(at));
        let errors = found.iter().filter(|finding| finding.severity == Severity::Error).count();
        if errors > 0 {
            let count = if errors == 1 { "a mistake".to_owned() } else { format!("{errors} mistakes") };
            let what = format!("{} cannot be used: it has {count}", path.display());
            return Err(Error::new(Exit::Settings, what).findings(found));
        }
        Ok(Self {
            path: path.to_owned(),
            manifest,
            manifest_bytes,
            assets,
            functions,
            warnings: found,
            archive,
        })
    }

    /// The bytes of a file. They have the checksum that the bundle says.
    ///
    /// # Errors
    /// The bundle cannot be read, or is damaged there.
    pub fn read(&self, entry: &Entry) -> Result<Vec<u8>, Error> {
        self.archive.read(entry)
    }

    /// The SHA-256 of a file, in lower-case hexadecimal.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn sha256(&self, entry: &Entry) -> Result<String, Error> {
        Ok(names::sha256(&self.read(entry)?))
    }

    /// Reads every file once, so that each checksum is compared.
    ///
    /// # Errors
    /// A file is damaged.
    pub fn verify(&self) -> Result<(), Error> {
        self.archive.entries.iter().try_for_each(|entry| self.archive.check(entry))
    }
}

/// The manifest, at the very top.
pub(crate) fn manifest_of(archive: &Archive, path: &Path) -> Result<Vec<u8>, Error> {
    let path = path.display();
    if let Some(entry) = archive.entries.iter().find(|entry| entry.name == "manifest.json") {
        if entry.size > MANIFEST_LIMIT {
            return Err(Error::new(
                Exit::Settings,
                format!("manifest.json in {path} is larger than {MANIFEST_LIMIT} bytes"),
            ));
        }
        return archive.read(entry);
    }
    let wrapped = archive.entries.iter().find_map(|entry| {
        let dir = entry.name.strip_suffix("/manifest.json")?;
        (!dir.starts_with("static")).then_some(dir)
    });
    let error = Error::new(Exit::Settings, format!("there is no manifest.json at the top of {path}"));
    Err(match wrapped {
        Some(dir) => error.hint(format!(
            "it is in the directory {}: zip what is in that directory, not the directory (`cd DIR && zip -r ../app.zip .`), or use `mainstay apps bundle DIR`",
            shown(dir)
        )),
        None => error.hint("make a bundle with `mainstay apps bundle DIR`"),
    })
}

fn assets(entries: &[Entry]) -> Vec<Asset> {
    let asset = |entry: &Entry| {
        let name = entry.name.strip_prefix("static/")?.to_owned();
        Some(Asset { name, size: entry.size, entry: entry.clone() })
    };
    entries.iter().filter_map(asset).collect()
}

/// Whether the static files can be kept and fetched, and the icon is one of them.
fn assets_found(manifest: &Manifest, assets: &[Asset]) -> Vec<Finding> {
    let mut found = Vec::new();
    for asset in assets {
        let name = shown(&asset.name);
        let key = names::static_key(&manifest.app_id, &manifest.version, &asset.name);
        if key.len() > names::KEY_MAX {
            let cause = format!("its key in the bucket has {} bytes; S3 takes {}", key.len(), names::KEY_MAX);
            found.push(Finding::error(
                format!("the path of the static file {name} is too long"),
                cause,
                "shorten it",
            ));
        }
        if asset.size > ASSET_MAX {
            let cause = format!("it has {} MB; Mattermost reads it whole into memory", asset.size >> 20);
            found.push(Finding::error(
                format!("the static file {name} is too large"),
                cause,
                format!("at most {} MB", ASSET_MAX >> 20),
            ));
        }
    }
    for asset in assets.iter().filter(|asset| archive::is_too_long_for_disk(&asset.name)) {
        let what = format!("the static file {} cannot be kept on a disk", shown(&asset.name));
        let cause = format!("a file or directory in its path has more than {} bytes", archive::NAME_MAX);
        found.push(Finding::warning(what, cause, "shorten it, or the app runs on AWS alone"));
    }
    let icon = rules::static_path(&manifest.icon).unwrap_or_default();
    let icon = icon.strip_prefix("./").unwrap_or(&icon);
    if !manifest.icon.is_empty() && !icon.contains("://") && !assets.iter().any(|asset| asset.name == icon) {
        let what = format!("the icon {} is not in the bundle", shown(icon));
        let cause = "Mattermost refuses to install an app whose icon it cannot fetch";
        found.push(Finding::warning(what, cause, format!("add static/{}", finding::one_line(icon, 60))));
    }
    found
}

/// Things that would get one name on AWS, and names that AWS does not take.
fn shared_names(manifest: &Manifest, assets: &[Asset]) -> Vec<Finding> {
    let Manifest { app_id: id, version, .. } = manifest;
    let key = |name: &str| names::static_key(id, version, name);
    let mut found = Vec::new();
    for names::Collision { first, second, name } in
        names::collisions(assets.iter().map(|asset| &*asset.name), key)
    {
        let what = format!("the static files {} and {} have the same key", shown(&first), shown(&second));
        found.push(Finding::error(what, format!("both become {}", shown(&name)), "rename one"));
    }
    let functions = manifest.aws_lambda.as_ref().map_or(&[][..], |section| &section.functions);
    let lambda = |name: &str| names::lambda(id, version, name);
    for names::Collision { first, second, name } in
        names::collisions(functions.iter().map(|function| &*function.name), lambda)
    {
        let what = if first == second {
            format!("two functions are named {}", shown(&first))
        } else {
            format!("the functions {} and {} have the same name on AWS", shown(&first), shown(&second))
        };
        found.push(Finding::error(what, format!("both become {}", shown(&name)), "rename one"));
    }
    for function in functions {
        let name = lambda(&function.name);
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            let what = format!("the name of function {} is refused by AWS", shown(&function.name));
            found.push(Finding::error(
                what,
                format!("it becomes {}", shown(&name)),
                "use A-Z, a-z, 0-9, `-`, `_` and spaces",
            ));
        }
    }
    found
}

/// Files that nothing reads.
fn ignored(entries: &[Entry]) -> impl Iterator<Item = Finding> {
    let unused: Vec<&str> = entries
        .iter()
        .map(|entry| entry.name.as_str())
        .filter(|name| {
            *name != "manifest.json" && !name.starts_with("static/") && package::archive_name(name).is_none()
        })
        .collect();
    let finding = unused.first().map(|first| {
        let what = match unused.len() {
            1 => format!("{} is ignored", shown(first)),
            count => format!("{count} files are ignored, such as {}", shown(first)),
        };
        Finding::warning(
            what,
            "a bundle has manifest.json, static/, and a .zip or .jar for each function",
            "leave them out",
        )
    });
    finding.into_iter()
}
