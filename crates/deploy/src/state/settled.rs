//! What the server's settings come to: every layer laid on the other, checked against the release, rendered as config.json.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;

use release::{Edition, ReleaseId};
use serde_json::Value;
use settings::{Base, Declared, Drift, Resolved, Sources, Wanted};
use version::Version;

use crate::error::{Error, Kind};
use crate::place::container::image_release;
use crate::place::layout::Layout;
use crate::state::config_file;
use crate::state::desired::{Desired, Machine};
use crate::state::location::{self, Location};
use crate::state::wanted::read_wanted;
use crate::world::World;

/// A secret in a file of its own (`NAME_FILE`) is not longer, in bytes.
const SECRET_FILE_LIMIT: u64 = 64 * 1024;

/// What is wanted, with everything decided: command line, environment and file agree.
pub(crate) struct Settled {
    pub desired: Desired,
    pub resolved: Resolved,
    /// The release that it is about.
    pub release: ReleaseId,
    /// What `mainstay.toml` says, if there is one.
    pub file: Option<Wanted>,
    /// Where the data is, or will be.
    pub location: Location,
    /// Where it is by now, as config.json says; `None` when there is none.
    pub before: Option<Location>,
    /// Whether the site URL followed the edge to another address.
    pub moved: bool,
}

/// Decides. `flags` are keys of `mainstay.toml` given on the command line.
///
/// # Errors
/// A mistake in any of them, or two that contradict each other.
pub(crate) fn settle(
    world: &World,
    flags: &BTreeMap<&'static str, String>,
    tarball: Option<&Path>,
) -> Result<Settled, Error> {
    let layout = &world.layout;
    let file = read_wanted(layout)?.map(|(wanted, _)| wanted);
    let machine = Machine::here(layout, host::User::current()?.is_root());
    let said = file.clone().unwrap_or_default();
    let mut flags = flags.clone();
    let moved = follow_edge(&said, &mut flags, &machine)?;
    let desired = Desired::decide(&said, &flags, &machine)?;
    let release = match (layout.is_container(), tarball) {
        (false, _) => wanted_release(&desired, tarball, release::current(&layout.current()))?,
        (true, None) => image_release(layout, &desired.wanted)?,
        (true, Some(_)) => {
            return Err(Error::new(Kind::Refused, "in a container the image decides the release")
                .hint("replace the container by one of another image"));
        }
    };
    let resolved = settings_of(world, &desired.wanted, &release.version)?;
    let deployed = config_file::deployed(layout)?;
    let location = location::location(&resolved, deployed.as_ref(), &release)?;
    let before = deployed.as_ref().and_then(location::deployed);
    let from_flag = flags.get("site_url").filter(|_| !moved).map(|_| desired.site_url.clone());
    let desired = with_site_url(desired, &resolved, deployed.as_ref())?;
    match from_flag.filter(|url| *url != desired.site_url) {
        Some(url) => Err(Error::new(
            Kind::Usage,
            format!("`--site-url` says {url}, and the environment says {}", desired.site_url_text()),
        )
        .hint("give the site URL in one place")),
        None => Ok(Settled { desired, resolved, release, file, location, before, moved }),
    }
}

/// With the site URL that holds: given by the environment, or by the System Console (in the config.json in place) where nobody
/// else says one.
pub(crate) fn with_site_url(
    desired: Desired,
    resolved: &Resolved,
    deployed: Option<&Value>,
) -> Result<Desired, Error> {
    let mut desired = desired.given(resolved)?;
    if let Some(config) = deployed.filter(|_| !desired.tells_site_url) {
        let url = config["ServiceSettings"]["SiteURL"].as_str().and_then(|url| url.parse().ok());
        desired.site_url = url.unwrap_or(desired.site_url);
    }
    Ok(desired)
}

/// Which release a question without a version is about: the installed one, the image's, or the built-in server.
pub fn present_release(layout: &Layout) -> ReleaseId {
    let image = || layout.is_container().then(|| image_release(layout, &Wanted::default()).ok())?;
    release::current(&layout.current()).or_else(image).unwrap_or_else(release::builtin)
}

/// A site URL that was derived from the edge's address goes with it to another one.
fn follow_edge(
    file: &Wanted,
    flags: &mut BTreeMap<&'static str, String>,
    machine: &Machine,
) -> Result<bool, Error> {
    let given = |listen: Option<&str>| {
        let listen = listen.map(|listen| ("listen", listen.to_owned())).into_iter().collect();
        Desired::decide(&Wanted::default(), &listen, machine)
            .map(|desired| desired.site_url_text().to_owned())
    };
    let Some(listen) = flags.get("listen").cloned() else { return Ok(false) };
    let derived =
        file.get("site_url").is_some() && file.get("site_url") == Some(given(file.get("listen"))?.as_str());
    let follows = derived && !flags.contains_key("site_url");
    if follows {
        flags.insert("site_url", given(Some(&listen))?);
    }
    Ok(follows)
}

/// Which release it is about: the one in the tarball, otherwise the installed one, otherwise the built-in one.
fn wanted_release(
    desired: &Desired,
    tarball: Option<&Path>,
    current: Option<ReleaseId>,
) -> Result<ReleaseId, Error> {
    if let Some(tarball) = tarball {
        return Ok(release::identify(tarball)?);
    }
    let wanted: Option<Version> = desired.version.as_deref().map(str::parse).transpose()?;
    let suits = |id: &ReleaseId| {
        let same_build = |wanted: &Version| wanted.build.is_none() || wanted.build == id.version.build;
        let same = |wanted: &Version| wanted.numbers() == id.version.numbers() && same_build(wanted);
        id.edition == desired.edition && wanted.as_ref().is_none_or(same)
    };
    let found = current.into_iter().chain([release::builtin()]).find(suits);
    found.ok_or_else(|| match &desired.version {
        Some(version) if desired.edition == Edition::Builtin => {
            let ours = release::builtin().version;
            Error::new(Kind::Refused, format!("the built-in server is version {ours}, not {version}"))
                .hint("leave `version` out")
        }
        _ => Error::new(Kind::Refused, format!("edition `{}` needs a tarball", desired.edition))
            .hint("name one with `--release FILE`, or leave `edition` out for the built-in server"),
    })
}

/// What holds in a server of that version, and where each value comes from.
///
/// # Errors
/// Every mistake in `mainstay.toml` and in the environment at once; a rule of the release that forbids one.
pub fn settings_of(world: &World, wanted: &Wanted, version: &Version) -> Result<Resolved, Error> {
    let secrets = if world.layout.secrets().exists() { Some(world.secrets()?) } else { None };
    let sources = Sources {
        defaults: world.defaults(),
        secrets: secrets.as_ref(),
        wanted: Some(wanted),
        environment: &world.variables,
        flags: &[].into(),
        read_file: &read_secret_file,
    };
    let mut resolved = settings::resolve(version.series(), &sources).map_err(|findings| {
        let kind = if findings.policy_only() { Kind::Refused } else { Kind::Settings };
        Error::new(kind, findings.to_string()).hint("nothing has been changed")
    })?;
    for Own { section, key, why, .. } in &OWN {
        resolved.overrule(section, key, why);
    }
    Ok(resolved)
}

/// The content of a file that holds a secret, bounded.
pub(crate) fn read_secret_file(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(SECRET_FILE_LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

/// The config.json that the deployment's server must have: what is settled, and above it what follows from the house itself.
pub(crate) fn config_json(
    resolved: &Resolved,
    desired: &Desired,
    release: &ReleaseId,
    layout: &Layout,
    listen: SocketAddr,
    base: Base<'_>,
) -> Result<Value, Error> {
    let deployed = if let Base::Deployed(config) = base { Some(config) } else { None };
    let location = location::location(resolved, deployed, release)?;
    Ok(settings::render(&settings::render_for(resolved, base), &own(desired, &location, layout, listen)))
}

/// A key that follows from the house itself, whatever the settings say.
struct Own {
    section: &'static str,
    key: &'static str,
    /// For whoever gives it: why that has no effect.
    why: &'static str,
    value: fn(&Layout, SocketAddr) -> Value,
}

/// What is not a matter of taste: where the server listens, where its files lie, that the edge is in front of it.
const OWN: [Own; 9] = [
    Own {
        section: "ServiceSettings",
        key: "ListenAddress",
        why: "the server listens behind the edge; `listen` says where people find it",
        value: |_, listen| listen.to_string().into(),
    },
    Own {
        section: "ServiceSettings",
        key: "ConnectionSecurity",
        why: "the edge speaks plain HTTP with the server; TLS ends in front of the edge",
        value: |_, _| "".into(),
    },
    Own {
        section: "ServiceSettings",
        key: "UseLetsEncrypt",
        why: "TLS ends in front of the edge",
        value: |_, _| false.into(),
    },
    Own {
        section: "ServiceSettings",
        key: "Forward80To443",
        why: "TLS ends in front of the edge, and whatever ends it redirects",
        value: |_, _| false.into(),
    },
    Own {
        section: "ServiceSettings",
        key: "TrustedProxyIPHeader",
        why: "the edge is the one proxy in front, and it replaces what clients send",
        value: |_, _| vec!["X-Forwarded-For", "X-Real-IP"].into(),
    },
    Own {
        section: "FileSettings",
        key: "Directory",
        why: "files lie in the deployment's directory",
        value: |layout, _| format!("{}/", layout.data().display()).into(),
    },
    Own {
        section: "LogSettings",
        key: "FileLocation",
        why: "logs lie in the deployment's directory; `mainstay logs` shows them",
        value: |layout, _| text(&layout.logs().join("mattermost")),
    },
    Own {
        section: "PluginSettings",
        key: "Directory",
        why: "plugins lie in the deployment's directory",
        value: |layout, _| text(&layout.root().join("plugins")),
    },
    Own {
        section: "PluginSettings",
        key: "ClientDirectory",
        why: "plugins lie in the deployment's directory",
        value: |layout, _| text(&layout.root().join("client-plugins")),
    },
];

fn text(path: &Path) -> Value {
    path.to_string_lossy().into_owned().into()
}

fn own(desired: &Desired, location: &Location, layout: &Layout, listen: SocketAddr) -> Vec<Declared> {
    let mut own: Vec<Declared> =
        OWN.iter().map(|own| Declared::new(own.section, own.key, (own.value)(layout, listen))).collect();
    if desired.tells_site_url {
        own.push(Declared::new("ServiceSettings", "SiteURL", desired.site_url_text()));
    }
    match location {
        Location::File => {
            own.push(Declared::new("SqlSettings", "DriverName", "sqlite"));
            own.push(Declared::new("SqlSettings", "DataSource", text(&layout.sqlite())));
        }
        Location::Server(server) => {
            own.push(Declared::new("SqlSettings", "DriverName", server.engine.driver_name()));
        }
    }
    own
}

/// What the deployment's config.json would change at the next `up`, and who decides each key.
///
/// # Errors
/// There is no config.json, or it is no JSON.
pub fn drift(world: &World, resolved: &Resolved) -> Result<Vec<Drift>, Error> {
    let on_disk = config_file::read(&world.layout.config())?;
    let rendered = settings::render_for(resolved, Base::Deployed(&on_disk));
    Ok(settings::diff(resolved, &on_disk, &rendered))
}
