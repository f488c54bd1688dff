//! The Mattermost server: its process, and the accounts that it must have before people come in.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use plan::Step;
use release::Capabilities;

use super::database::cluster;
use super::{Part, Stage, View};
use crate::action::{self, Action, Administrator, Switch};
use crate::control::health;
use crate::control::protocol::{ServerSpec, ServerStatus, Status};
use crate::error::Error;
use crate::local::{self, Account, LocalChannel};
use crate::place::layout::Layout;
use crate::state::desired::Desired;
use crate::state::settled::Settled;

/// How long the server may take to answer whether it is healthy.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is there.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    /// Where the server listens, or will.
    pub listen: SocketAddr,
    /// Whether it runs and says that it is healthy.
    pub healthy: bool,
    /// Whether an active administrator is there, where it runs and can be asked.
    pub administered: bool,
}

pub(super) async fn observe(
    layout: &Layout,
    agent: Option<&Status>,
    edge: SocketAddr,
) -> Result<Observed, Error> {
    let listen = listen_address(layout, agent, edge);
    let healthy = match agent.and_then(|status| status.server()) {
        // One whose local channel is gone cannot be administered: only a restart opens it again.
        Some(server) => {
            health::ask(&health::client(&server.spec, PATIENCE)?, &server.spec).await.is_ok()
                && !local::is_shut(layout, PATIENCE).await
        }
        None => false,
    };
    // One that does not answer there gets the step, which says why.
    let administered = !healthy || is_administered(layout).await.unwrap_or(false);
    Ok(Observed { listen, healthy, administered })
}

/// Whether an administrator can sign in. A server that has no local channel is not asked.
async fn is_administered(layout: &Layout) -> Result<bool, Error> {
    match LocalChannel::open(layout).await? {
        None => Ok(true),
        Some(channel) => Ok(channel.accounts(true).await?.iter().any(Account::is_active)),
    }
}

/// Where the server listens, or will: kept while it runs, otherwise a free port of loopback.
///
/// Below the kernel's range for outgoing connections, so that none of those can take it while the server restarts. The search begins at
/// a port that depends on the directory, so that two deployments that start at once do not find the same one. The port where the edge
/// will listen is still free when the server starts, and not the server's.
pub(crate) fn listen_address(layout: &Layout, agent: Option<&Status>, edge: SocketAddr) -> SocketAddr {
    const FIRST: u16 = 18_065;
    const PORTS: u16 = 8_000;
    if let Some(server) = agent.and_then(|status| status.server()) {
        return server.spec.listen;
    }
    let mut hasher = DefaultHasher::new();
    layout.root().hash(&mut hasher);
    let begin = (hasher.finish() % u64::from(PORTS)) as u16;
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut ports =
        (0..PORTS).map(|offset| FIRST + (begin + offset) % PORTS).filter(|port| *port != edge.port());
    let free = |port: &u16| host::port::check(host::Listen { address: Some(loopback), port: *port }).is_ok();
    SocketAddr::new(loopback, ports.find(free).unwrap_or(FIRST))
}

pub(crate) struct Server;

impl Part for Server {
    fn name(&self) -> &'static str {
        "server"
    }

    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        let (seen, Settled { desired, release, .. }) = (&view.observed.server, view.settled);
        let spec = ServerSpec {
            release: view.layout.releases().join(release.to_string()),
            user: desired.user.clone(),
            listen: seen.listen,
            socket: Capabilities::of(release).unix_socket.then(|| view.layout.http_socket()),
            overrides: BTreeMap::new(),
            path: desired.site_url.path().trim_end_matches('/').to_owned(),
        };
        let running = view.observed.agent.as_ref().and_then(|status| status.server());
        // Whole directories change their owner while the server is stopped: it makes and removes files in them.
        let has_its_files = view.observed.directory.of_others.is_empty();
        let stays = |server: &ServerStatus| {
            let database = view.observed.database.cluster.as_ref();
            let restarts =
                database.is_some_and(|seen| seen.restarts(&cluster::spec(view.layout, view.settled)));
            !view.observed.config.reconfigures()
                && !view.observed.release.other_build
                && has_its_files
                && !restarts
                && seen.healthy
                && server.spec == spec
        };
        let administrator = || Administrator { listen: seen.listen, email: admin_email(desired) }.step();
        if running.is_some_and(stays) {
            let missing = stage == Stage::Start && !seen.administered;
            return missing.then(administrator).into_iter().collect();
        }
        match stage {
            Stage::Stop => running.map(stop).into_iter().collect(),
            Stage::Start => {
                vec![start(spec), administrator()]
            }
            _ => Vec::new(),
        }
    }

    fn stop(&self, running: &Status) -> Option<Step<Action>> {
        running.server().map(stop)
    }

    fn start_again(&self, running: &Status) -> Option<Step<Action>> {
        running.server().map(|server| start(server.spec.clone()))
    }
}

fn stop(server: &ServerStatus) -> Step<Action> {
    action::Server { switch: Switch::Off, spec: server.spec.clone() }.step()
}

fn start(spec: ServerSpec) -> Step<Action> {
    action::Server { switch: Switch::On, spec }.step()
}

/// A mail address for the administrator: at the site's own host where that can have one.
pub(crate) fn admin_email(desired: &Desired) -> String {
    match desired.site_url.domain() {
        Some(domain) if domain.contains('.') => format!("admin@{domain}"),
        _ => "admin@localhost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_leaves_the_port_of_the_edge_alone() {
        let layout = Layout::new("/srv/chat");
        let elsewhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let first = listen_address(&layout, None, elsewhere);
        assert_ne!(listen_address(&layout, None, first).port(), first.port());
    }
}
