//! The keys of config.json that Mainstay itself decides.

use std::net::SocketAddr;
use std::path::Path;

use release::ReleaseId;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use settings::{Declared, Resolved};

use crate::place::layout::Layout;
use crate::state::location::Location;

/// A key of config.json that Mainstay itself decides, whatever the settings say.
pub(crate) struct Own {
    pub section: &'static str,
    pub key: &'static str,
    /// Why giving it has no effect.
    pub why: &'static str,
    value: fn(&Layout, SocketAddr) -> Value,
}

/// The keys that a deployment depends on: where the server listens, where its files are, and that the edge is in front of it.
pub(crate) const OWN: [Own; 11] = [
    Own {
        section: "ServiceSettings",
        key: "ListenAddress",
        why: "the server listens behind the edge; `listen` says where people find it",
        value: |_, listen| listen.to_string().into(),
    },
    Own {
        section: "ServiceSettings",
        key: "EnableLocalMode",
        why: "Mainstay manages accounts over the local channel, whatever becomes of them",
        value: |_, _| true.into(),
    },
    Own {
        section: "ServiceSettings",
        key: "LocalModeSocketLocation",
        why: "the local channel is in the deployment's directory, where only the server's user and root reach it",
        value: |layout, _| text(&layout.local_socket()),
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
        why: "TLS ends in front of the edge, and the server that ends it redirects",
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
        why: "files are in the deployment's directory",
        value: |layout, _| format!("{}/", layout.data().display()).into(),
    },
    Own {
        section: "LogSettings",
        key: "FileLocation",
        why: "logs are in the deployment's directory; `mainstay logs` shows them",
        value: |layout, _| text(&layout.logs().join("mattermost")),
    },
    Own {
        section: "PluginSettings",
        key: "Directory",
        why: "plugins are in the deployment's directory",
        value: |layout, _| text(&layout.root().join("plugins")),
    },
    Own {
        section: "PluginSettings",
        key: "ClientDirectory",
        why: "plugins are in the deployment's directory",
        value: |layout, _| text(&layout.root().join("client-plugins")),
    },
];

fn text(path: &Path) -> Value {
    path.to_string_lossy().into_owned().into()
}

/// The keys and values for one deployment.
pub(crate) fn own(
    resolved: &Resolved,
    deployed: Option<&Value>,
    location: &Location,
    layout: &Layout,
    (release, listen): (&ReleaseId, SocketAddr),
) -> Vec<Declared> {
    let has_channel = release::Capabilities::of(release).local_channel;
    let suits = |own: &&Own| has_channel || !own.key.contains("LocalMode");
    let value = |own: &Own| Declared::new(own.section, own.key, (own.value)(layout, listen));
    let mut own: Vec<Declared> = OWN.iter().filter(suits).map(value).collect();
    match location {
        Location::File => {
            own.push(Declared::new("SqlSettings", "DriverName", "sqlite"));
            own.push(Declared::new("SqlSettings", "DataSource", text(&layout.sqlite())));
        }
        Location::Managed(server) => {
            own.push(Declared::new("SqlSettings", "DriverName", server.engine.driver_name()));
            // PostgreSQL's addresses can contain everything that a path of a deployment and a generated password have.
            let source = server.data_source().map(|source| source.expose_secret().to_owned());
            own.push(Declared::new("SqlSettings", "DataSource", source.unwrap_or_default()));
        }
        Location::Server(server) => {
            own.push(Declared::new("SqlSettings", "DriverName", server.engine.driver_name()));
            // The data stays in the database in use, even if no one declares it any longer.
            let is_declared = |setting: &settings::Setting| setting.is_declared();
            if !resolved.setting("SqlSettings", "DataSource").is_some_and(is_declared)
                && let Some(source) = deployed.map(|config| &config["SqlSettings"]["DataSource"])
            {
                own.push(Declared::new("SqlSettings", "DataSource", source.clone()));
            }
        }
    }
    own
}
