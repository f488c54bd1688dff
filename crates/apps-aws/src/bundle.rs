//! A bundle as a package: what it wants on AWS, and its bytes.

use std::collections::BTreeMap;

use apps::{Bundle, Entry, Error};

use crate::deploy::Package;
use crate::desired::{Desired, Item};
use crate::perform::Contents;

/// A bundle whose bytes have been read once: each is known by its SHA-256.
#[derive(Debug)]
pub struct Opened {
    bundle: Bundle,
    entries: BTreeMap<String, Entry>,
    desired: Desired,
}

impl Opened {
    /// Reads every archive and file of the bundle.
    ///
    /// # Errors
    /// It cannot be read, or cannot be deployed to AWS.
    pub fn new(bundle: Bundle) -> Result<Self, Error> {
        let mut entries = BTreeMap::new();
        let mut item = |name: &str, size, entry: &Entry| {
            let sha256 = bundle.sha256(entry)?;
            entries.insert(sha256.clone(), entry.clone());
            Ok::<_, Error>(Item { name: name.to_owned(), sha256, size })
        };
        let archives =
            bundle.functions.iter().map(|package| item(&package.function.name, package.size, &package.entry));
        let archives = archives.collect::<Result<Vec<_>, _>>()?;
        let files = bundle.assets.iter().map(|asset| item(&asset.name, asset.size, &asset.entry));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        let desired = Desired::new(&bundle.manifest, &archives, &files)?;
        Ok(Self { bundle, entries, desired })
    }

    /// What is deployed.
    pub fn package(&self) -> Package<'_> {
        Package { desired: self.desired.clone(), contents: self }
    }

    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }
}

impl Contents for Opened {
    fn read(&self, sha256: &str) -> Result<Option<Vec<u8>>, Error> {
        self.entries.get(sha256).map(|entry| self.bundle.read(entry)).transpose()
    }
}
