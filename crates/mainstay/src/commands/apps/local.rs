//! What the commands have in common that run an app on this machine.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apps::runtime::{AppDir, Runtime, Settings};
use apps::serve::{Backend, Front, Running, Secret};
use apps::{Bundle, Error, Package, names};
use finding::Exit;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::say;
use crate::cli::Functions;
use crate::printer::Printer;

/// Where apps run, and our environment.
pub(super) struct Here {
    pub(super) apps: PathBuf,
    /// What apps printed whose first deployment failed.
    pub(super) failed: PathBuf,
    pub(super) variables: BTreeMap<String, String>,
}

impl Here {
    /// The directory of an app.
    pub(super) fn dir(&self, app_id: &str) -> AppDir {
        AppDir::new(&self.apps, app_id)
    }

    /// How this app's functions run.
    pub(super) fn settings(&self, app_id: &str, args: &Functions) -> Result<Settings, Error> {
        Ok(Settings {
            dir: self.dir(app_id),
            variables: self.variables.clone(),
            env: args.env_file.as_deref().map(variables_in).transpose()?.unwrap_or_default(),
            memory: args.memory << 20,
            limit: Duration::from_secs(args.timeout),
            concurrency: args.concurrency as usize,
            shim: host::Shim::guest(),
        })
    }

    /// The app that somebody names by its id or by a bundle.
    pub(super) fn app(&self, named: &Path) -> Result<(String, Option<Bundle>), Error> {
        // A directory of an id's name is an app's only if it holds one.
        if named.is_file() || named.join("manifest.json").is_file() {
            let bundle = Bundle::open(named)?;
            return Ok((bundle.manifest.app_id.clone(), Some(bundle)));
        }
        let id = named.to_str().filter(|id| !id.contains('/') && !id.is_empty() && *id != "." && *id != "..");
        match id {
            Some(id) => Ok((id.to_owned(), None)),
            None => Err(Error::new(Exit::Usage, format!("there is no bundle {}", named.display()))),
        }
    }
}

impl Here {
    /// Why an app cannot be called, and the way out.
    pub(super) fn not_running(&self, id: &str) -> Error {
        let error = |what: String| Error::new(Exit::NotReady, what);
        if self.apps.join(id).join("deployed.json").exists() {
            return error(format!("the app {id} is deployed here, and does not run now")).hint(format!(
                "how it is: `mainstay apps list --to local`; why it ended: `mainstay apps logs {id}`; `mainstay up` starts what is down"
            ));
        }
        let ids = std::fs::read_dir(&self.apps).into_iter().flatten().flatten();
        let ids: Vec<String> = ids.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let near = finding::nearest(id, ids.iter().map(String::as_str)).filter(|near| *near != id);
        error(format!("the app {id} does not run here")).hint(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "run it with `mainstay apps run BUNDLE`, or name its bundle instead of its id".to_owned(),
        })
    }
}

/// Opens a bundle, and says what could be better.
pub(super) fn open(printer: Printer, path: &Path) -> Result<Bundle, Error> {
    let bundle = Bundle::open(path)?;
    say(printer, &bundle.warnings);
    Ok(bundle)
}

/// Unpacks an app's files, and those of its functions that are to run here.
pub(super) fn prepare(bundle: &Bundle, functions: &[Package], settings: Settings) -> Result<Runtime, Error> {
    let assets = bundle.assets.iter().map(|asset| Ok((asset.name.clone(), bundle.read(&asset.entry)?)));
    let packages = functions
        .iter()
        .map(|package| Ok((package.function.clone(), bundle.read(&package.entry)?, package.is_jar)));
    Runtime::prepare(settings, &bundle.manifest, &bundle.manifest_bytes, assets, packages)
}

/// Answers callers until `cancel`.
pub(super) async fn answer(
    bundle: &Bundle,
    dir: &AppDir,
    root_url: &str,
    (backend, secret): (Backend, Option<Secret>),
    (listener, from): (TcpListener, &[IpAddr]),
    cancel: CancellationToken,
) {
    let manifest = &bundle.manifest;
    let key = |name: &str| names::static_key(&manifest.app_id, &manifest.version, name);
    let files = bundle.assets.iter().map(|asset| (asset.name.clone(), dir.bucket().join(key(&asset.name))));
    let front = Front::new(manifest, root_url, files.collect(), backend, secret);
    apps::serve::serve(listener, Arc::new(front), from.to_vec(), cancel).await;
}

/// Says where the app answers, for `apps call`.
pub(super) fn announce(
    dir: &AppDir,
    bundle: &Bundle,
    listener: &TcpListener,
    secret_file: Option<PathBuf>,
) -> Result<Running, Error> {
    let mut address = listener.local_addr().map_err(|error| Error::new(Exit::NotReady, error.to_string()))?;
    // Callers of this machine use it.
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let running = Running {
        pid: std::process::id(),
        url: format!("http://{address}"),
        version: bundle.manifest.version.clone(),
        secret_file,
    };
    running.write(dir)?;
    Ok(running)
}

/// Says what Landlock does not keep from a function that runs as the same user as everything else of that user.
pub(super) fn note_own_user(printer: Printer) {
    if host::guest::user(0).is_none() {
        printer.say(
            "note: the app's programs run as you. They cannot read or change what is in your files, but they can change the modes, \
             owners and times of your files, and end your processes; as root, Mainstay gives them users of their own",
        );
    }
}

/// A path as a word of a shell command.
pub(super) fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The variables in a file of lines NAME=VALUE; empty lines and those that begin with `#` are left out.
pub(super) fn variables_in(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let bytes = apps::read_file(path, 1 << 20)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| {
            let wrong = |what: &str| {
                Error::new(Exit::Usage, format!("{}:{number}: {what}; a line is NAME=VALUE", path.display()))
            };
            let (name, value) = line.split_once('=').ok_or_else(|| wrong("there is no `=`"))?;
            let name = name.trim();
            let is_name = !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !name.starts_with(|c: char| c.is_ascii_digit());
            if !is_name || value.contains('\0') {
                return Err(wrong("the name has other characters than letters, digits and `_`"));
            }
            // The loader would read them in our own program, before it has given up its rights.
            if name.starts_with("LD_") {
                return Err(wrong("variables of the loader (LD_*) are not passed on"));
            }
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}
