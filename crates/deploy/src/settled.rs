//! What the server's settings come to: every layer laid on the other, checked against the release, rendered as config.json.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use settings::{Base, Declared, Defaults, Drift, Resolved, Sources, Wanted};

use crate::action::{World, secrets};
use crate::desired::Desired;
use crate::error::{Error, Kind};
use crate::layout::Layout;

/// A secret in a file of its own (`NAME_FILE`) is not longer, in bytes.
const SECRET_FILE_LIMIT: u64 = 64 * 1024;

/// What holds in a server of that version, and where each value comes from.
///
/// # Errors
/// Every mistake in `mainstay.toml` and in the environment at once; a rule of the release that forbids one.
pub fn settings_of(world: &World, wanted: &Wanted, version: &release::Version) -> Result<Resolved, Error> {
    let version: settings::Version = format!("{}.{}", version.major, version.minor)
        .parse()
        .map_err(|error: settings::NoVersion| Error::new(Kind::Usage, error.to_string()))?;
    let secrets = if world.layout.secrets().exists() { Some(secrets(world)?) } else { None };
    let sources = Sources {
        defaults: Defaults::Release,
        secrets: secrets.as_ref(),
        wanted: Some(wanted),
        environment: &world.variables,
        flags: &[].into(),
        read_file: &read_secret_file,
    };
    settings::resolve(version, &sources).map_err(|findings| {
        let kind = if findings.policy_only() { Kind::Refused } else { Kind::Settings };
        Error::new(kind, findings.to_string()).hint("nothing has been changed")
    })
}

fn read_secret_file(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(SECRET_FILE_LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

/// The config.json that the deployment's server must have: what is settled, and above it what follows from the house itself.
pub(crate) fn config_json(
    resolved: &Resolved,
    desired: &Desired,
    layout: &Layout,
    listen: SocketAddr,
    base: Base<'_>,
) -> Value {
    settings::render(&settings::render_for(resolved, base), &own(desired, layout, listen))
}

/// What is not a matter of taste: where the server listens, where its files lie, that the edge is in front of it.
fn own(desired: &Desired, layout: &Layout, listen: SocketAddr) -> Vec<Declared> {
    let path = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let mut own = vec![
        Declared::new("ServiceSettings", "SiteURL", desired.site_url_text()),
        Declared::new("ServiceSettings", "ListenAddress", listen.to_string()),
        // The edge is the one proxy in front, and it replaces what clients send.
        Declared::new("ServiceSettings", "TrustedProxyIPHeader", vec!["X-Forwarded-For", "X-Real-IP"]),
        Declared::new("FileSettings", "Directory", format!("{}/", layout.data().display())),
        Declared::new("LogSettings", "FileLocation", path(layout.logs().join("mattermost"))),
        Declared::new("PluginSettings", "Directory", path(layout.root().join("plugins"))),
        Declared::new("PluginSettings", "ClientDirectory", path(layout.root().join("client-plugins"))),
    ];
    if desired.edition == release::Edition::Builtin {
        own.push(Declared::new("SqlSettings", "DriverName", "sqlite"));
        own.push(Declared::new("SqlSettings", "DataSource", path(layout.sqlite())));
    }
    own
}

/// What the deployment's config.json would change at the next `up`, and who decides each key.
///
/// # Errors
/// There is no config.json, or it is no JSON.
pub fn drift(world: &World, resolved: &Resolved) -> Result<Vec<Drift>, Error> {
    let on_disk = crate::action::read_config(&world.layout.config())?;
    let rendered = settings::render_for(resolved, Base::Deployed(&on_disk));
    Ok(settings::diff(resolved, &on_disk, &rendered))
}
