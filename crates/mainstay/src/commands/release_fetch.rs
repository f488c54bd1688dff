//! `mainstay release fetch`

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use deploy::{Error, World};
use finding::Exit;
use release::{Arch, Cache, Catalogue, Edition, Fetched, Network, Patience, Sources, Wish};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cli::{ReleaseFetch, Source};
use crate::printer::Printer;
use crate::terminal::Bar;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: ReleaseFetch,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let cache = Cache::at(&world.cache);
    let wish = wish(world, &cache, &args)?;
    let file = wish.file();
    if args.plan {
        return Ok(show(printer, &wish, &cache, args.to.as_deref()));
    }
    let network = network(world)?;
    let fetched = fetched(printer, &wish, &cache, &network, cancel).await?;
    let fetched = fetched.map_err(|error| {
        let told = deploy::not_fetched(&error, &wish, args.edition, network.proxy());
        let refused = matches!(error, release::FetchError::Refused { .. });
        Error { exit: if refused { Exit::Refused } else { told.exit }, ..told }
    })?;
    for warning in fetched.proof.warnings() {
        printer.say(&format!("warning: {warning}"));
    }
    is_asked_for(&wish, &cache, &fetched)?;
    let placed = match &args.to {
        Some(to) => Some(carry(world, &wish, args.edition, &cache, &fetched, to)?),
        None => None,
    };
    printer.data(&json!({
        "release": wish.release.to_string(), "file": placed.as_ref().unwrap_or(&fetched.path), "from": fetched.from,
        "proof": fetched.proof,
    }));
    let checksum = if fetched.proof.listed { ", and its SHA-256 is the published one" } else { "" };
    printer.show(&format!(
        "{file} is signed by {}{checksum}\n\n  File     {}\n  SHA-256  {}\n\nNext: {}",
        fetched.proof.signed_by,
        placed.as_ref().unwrap_or(&fetched.path).display(),
        fetched.proof.sha256,
        match &args.to {
            Some(to) =>
                format!("carry {} to the other machine; its README.txt says what to do there", to.display()),
            None => format!("`mainstay up --edition {} --version {}`", args.edition, wish.release.version),
        }
    ));
    Ok(Exit::Done)
}

/// The makers' signature is right for each of their releases. So the server says which one it is, confined, where this machine can run it.
fn is_asked_for(wish: &Wish, cache: &Cache, fetched: &Fetched) -> Result<(), Error> {
    if Arch::here() != Some(wish.arch) {
        return Ok(());
    }
    // One that cannot say it is told by `up`.
    let Ok(found) = release::identify(&fetched.path, &host::Shim::confining(), Some(&wish.release)) else {
        return Ok(());
    };
    let is_it = found.release.version.numbers() == wish.release.version.numbers()
        && found.release.edition.is_one_tarball_with(wish.release.edition);
    if is_it {
        return Ok(());
    }
    // Kept, it would be taken for the release at every further try.
    cache.remove(&fetched.path)?;
    let from = fetched.from.as_ref().map_or_else(|| "the cache".to_owned(), ToString::to_string);
    let (found, wanted) = (&found.release, &wish.release);
    Err(Error::new(Exit::Refused, format!("{from} has {found} under the name of {wanted}"))
        .hint("the site serves another release under this name: tell whoever runs it, or name another with `--mirror`"))
}

/// What is wanted, checked.
fn wish(world: &World, cache: &Cache, args: &ReleaseFetch) -> Result<Wish, Error> {
    let usage = |what: String| Error::new(Exit::Usage, what);
    if args.edition == Edition::Builtin {
        return Err(usage("the built-in server is in Mainstay itself: there is nothing to fetch".to_owned())
            .hint("choose `--edition team`, `entry` or `enterprise`"));
    }
    let channel = args.release.parse().map_err(|error: release::ReleaseError| usage(error.to_string()))?;
    let release = deploy::offered(&channel, args.edition, cache)?;
    let arch = args.arch.or_else(Arch::here).ok_or_else(|| {
        usage("no release is built for this kind of machine".to_owned())
            .hint("say for which machine it is: `--arch amd64` or `--arch arm64`")
    })?;
    Wish::of(&release, arch, &Catalogue::known(cache), &sources(world, &args.source)?)
        .ok_or_else(|| Error::new(Exit::Bug, "an official release has no address"))
}

/// Where releases come from: as the command line says, otherwise the deployment.
pub(super) fn sources(world: &World, given: &Source) -> Result<Sources, Error> {
    if let Some(url) = given.mirror.iter().find(|url| !matches!(url.scheme(), "http" | "https")) {
        return Err(Error::new(Exit::Usage, format!("`--mirror {url}`: allowed: http:// or https://")));
    }
    let of_file = deploy::sources(&deploy::wanted_file(&world.layout)?)?;
    Ok(Sources {
        mirrors: if given.mirror.is_empty() { of_file.mirrors } else { given.mirror.clone() },
        fingerprint: given.fingerprint.or(of_file.fingerprint),
        key_file: given.key.clone().or(of_file.key_file),
    })
}

pub(super) fn network(world: &World) -> Result<Network, Error> {
    Network::new(&world.variables, Patience::default()).map_err(|error| Error::not_ready(error.to_string()))
}

fn show(printer: Printer, wish: &Wish, cache: &Cache, to: Option<&Path>) -> Exit {
    let is_cached = release::is_cached(wish, cache);
    let urls: Vec<String> = wish.sites.iter().map(|site| wish.url(site).to_string()).collect();
    printer.data(&json!({
        "release": wish.release.to_string(), "urls": urls, "signing_key": wish.key, "sha256": wish.sha256,
        "cached": is_cached, "cache": cache.root(), "to": to,
    }));
    let first = match is_cached {
        true => format!("Take it from the cache, {}", cache.root().display()),
        false => format!("Fetch {}", urls.join(" or ")),
    };
    let sha256 =
        wish.sha256.as_ref().map(|sha256| format!(", and by its SHA-256, {sha256}")).unwrap_or_default();
    let carry = to.map(|to| {
        format!("\n  3. Put it into {}, with its signature, the key, Mainstay and a README", to.display())
    });
    printer.show(&format!(
        "Fetch {}\n  1. {first}\n  2. Prove it by the signature of {}{sha256}{}",
        wish.release,
        wish.key,
        carry.unwrap_or_default()
    ));
    Exit::Done
}

/// Fetches with a bar. After Ctrl-C what has come stays for the next time.
async fn fetched(
    printer: Printer,
    wish: &Wish,
    cache: &Cache,
    network: &Network,
    cancel: CancellationToken,
) -> Result<Result<Fetched, release::FetchError>, Error> {
    let far = Mutex::new(None);
    let watch = |done: u64, total: Option<u64>| {
        if let Ok(mut far) = far.lock() {
            *far = total.map(|total| (done, total));
        }
    };
    let mut bar = Bar::new(printer);
    let title = if release::is_cached(wish, cache) { "Prove" } else { "Fetch" };
    bar.begin(&format!("{title} {}", wish.release));
    let fetching = release::fetch(wish, cache, network, &watch);
    tokio::pin!(fetching);
    let mut tick = tokio::time::interval(Bar::INTERVAL);
    loop {
        tokio::select! {
            fetched = &mut fetching => {
                bar.end(fetched.is_ok());
                return Ok(fetched);
            }
            _ = tick.tick() => {
                if let Some((done, total)) = far.lock().ok().and_then(|far| *far) {
                    bar.bytes(done, total);
                }
            }
            () = cancel.cancelled() => {
                bar.end(false);
                return Err(Error::new(Exit::Undone, "interrupted; what has come is kept, and the same command goes on from there"));
            }
        }
    }
}

/// Puts everything that a machine without a network needs into a directory. Returns the tarball there.
fn carry(
    world: &World,
    wish: &Wish,
    edition: Edition,
    cache: &Cache,
    fetched: &Fetched,
    to: &Path,
) -> Result<PathBuf, Error> {
    fs::create_dir_all(to).map_err(|error| Error::path("create", to, &error))?;
    let file = wish.file();
    let key = wish.key_file.clone().unwrap_or_else(|| cache.key(wish.key));
    let tarball = to.join(&file);
    copy(&fetched.path, &tarball, 0o644)?;
    copy(&fetched.signature, &to.join(format!("{file}.sig")), 0o644)?;
    copy(&key, &to.join(release::KEY_NAME), 0o644)?;
    copy(&world.mainstay, &to.join("mainstay"), 0o755)?;
    let is_own = wish.key != Catalogue::known(cache).key.fingerprint;
    let readme = readme(wish, edition, is_own);
    host::disk::atomic_write(&to.join("README.txt"), readme.as_bytes(), 0o644, None)?;
    Ok(tarball)
}

/// Copies a file, which appears when it is complete.
fn copy(from: &Path, to: &Path, mode: u32) -> Result<(), Error> {
    let mut name = to.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let copied = fs::copy(from, &new)
        .and_then(|_| fs::set_permissions(&new, fs::Permissions::from_mode(mode)))
        .and_then(|()| fs::File::open(&new)?.sync_all())
        .and_then(|()| fs::rename(&new, to));
    copied.map_err(|error| {
        let _ = fs::remove_file(&new);
        Error::path("write", to, &error)
    })
}

/// `is_own`: the key is not the makers', which Mainstay knows.
fn readme(wish: &Wish, edition: Edition, is_own: bool) -> String {
    let (version, file) = (&wish.release.version, wish.file());
    let fingerprint = &wish.key;
    let (own, first) = match is_own {
        true => (
            format!(" --fingerprint {fingerprint}"),
            format!(
                " First name the key in mainstay.toml of the deployment's\n   directory (/var/lib/mainstay):\n\n       [release]\n       fingerprint = \"{fingerprint}\"\n"
            ),
        ),
        false => (String::new(), String::new()),
    };
    format!(
        "Mattermost {version} ({edition}) for Linux on {arch}, to be installed without a network\n\
         \n\
         1. Carry this directory to the machine, and go into it.\n\
         \n\
         2. See whether it arrived as it was published:\n\
         \n\
         \x20      ./mainstay release verify{own} .\n\
         \n\
         \x20  The signature must be that of {fingerprint}.\n\
         \n\
         3. Install it. Mattermost needs PostgreSQL: https://docs.mattermost.com has the versions, `./mainstay up --help` the flags.{first}\n\
         \n\
         \x20      ./mainstay up --edition {edition} --release {file}\n",
        arch = wish.arch,
    )
}
