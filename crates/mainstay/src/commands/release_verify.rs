//! `mainstay release verify`

use std::path::{Path, PathBuf};

use deploy::{Error, World};
use finding::Exit;
use release::{Arch, Cache, Catalogue, Edition, Proof, PublicKey, ReleaseId, Wish};
use serde_json::json;

use super::release_fetch::{network, sources};
use crate::cli::ReleaseVerify;
use crate::printer::Printer;

/// The most bytes of a signature.
const SIGNATURE_LIMIT: u64 = 64 << 10;

pub(super) async fn run(printer: Printer, world: &World, args: ReleaseVerify) -> Result<Exit, Error> {
    let files = files(&args.path)?;
    let dir = files[0].parent().unwrap_or(Path::new(".")).to_owned();
    let catalogue = Catalogue::known(&Cache::at(&world.cache));
    let key = key(world, &args, &catalogue, &dir).await?;
    let mut exit = Exit::Done;
    for file in &files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let published = match sources(world, &args.source)?.fingerprint {
            None => catalogue.sha256_of_file(&name).cloned(),
            Some(_) => None,
        };
        match proof(file, &key, published.as_ref()) {
            Ok(proof) => {
                let checksum = if proof.listed { "; its SHA-256 is the published one" } else { "" };
                printer.show(&format!("✓ {name}: signed by {}{checksum}", proof.signed_by));
                for warning in proof.warnings() {
                    printer.say(&format!("warning: {warning}"));
                }
                printer.data(&json!({"file": file, "verified": true, "proof": proof}));
            }
            Err(why) => {
                exit = Exit::NotVerified;
                printer.show(&format!("✗ {name}: {why}"));
                printer.data(&json!({"file": file, "verified": false, "why": why}));
            }
        }
    }
    if exit == Exit::NotVerified {
        printer
            .say("\nhint: do not install what is not proven; fetch it again with `mainstay release fetch`");
    }
    Ok(exit)
}

/// The tarballs to prove: the one that is named, or those in the directory that is named.
fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let meta = std::fs::metadata(path).map_err(|error| Error::path("read", path, &error))?;
    if !meta.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let fail = |error: std::io::Error| Error::path("read", path, &error);
    let entries = std::fs::read_dir(path).map_err(fail)?.collect::<Result<Vec<_>, _>>().map_err(fail)?;
    let names = entries.into_iter().map(|entry| entry.path());
    let is_tarball = |path: &PathBuf| path.to_string_lossy().ends_with(".tar.gz");
    let mut files: Vec<PathBuf> = names.filter(is_tarball).collect();
    files.sort();
    if files.is_empty() {
        return Err(Error::new(Exit::Usage, format!("there is no release in {}", path.display()))
            .hint("name a file such as mattermost-team-11.7.15-linux-amd64.tar.gz, or its directory"));
    }
    Ok(files)
}

/// The pinned key: the one that is named, in the cache or beside the release; otherwise it is fetched.
async fn key(
    world: &World,
    args: &ReleaseVerify,
    catalogue: &Catalogue,
    beside: &Path,
) -> Result<PublicKey, Error> {
    let cache = Cache::at(&world.cache);
    let sources = sources(world, &args.source)?;
    let fingerprint = sources.fingerprint.unwrap_or(catalogue.key.fingerprint);
    let at_hand = release::key_at_hand(fingerprint, sources.key_file.as_deref(), &cache, beside);
    let no_key = |error: release::FetchError| {
        let told = Error::not_ready(error.to_string());
        told.hint("bring the file with the key, and name it with `--key FILE`; it is `signing-key.asc` where `release fetch --to` put it")
    };
    match at_hand {
        Ok(key) => Ok(key),
        Err(error) if sources.key_file.is_some() => Err(no_key(error)),
        Err(_) => {
            let any = ReleaseId { version: version::Version::new(0, 0, 0), edition: Edition::Team };
            let wish = Wish::of(&any, Arch::Amd64, catalogue, &sources)
                .ok_or_else(|| Error::new(Exit::Bug, "an official release has no address"))?;
            release::fetch_key(&wish, &cache, &network(world)?).await.map_err(no_key)
        }
    }
}

fn proof(file: &Path, key: &PublicKey, published: Option<&release::Sha256>) -> Result<Proof, String> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".sig");
    let beside = PathBuf::from(beside);
    let signature = host::disk::read_guarded(&beside, SIGNATURE_LIMIT).map_err(|error| {
        format!("it has no signature: {}: {}", beside.display(), finding::disk::reason(&error.source))
    })?;
    release::prove(file, &signature.bytes, key, published).map_err(|why| why.to_string())
}
