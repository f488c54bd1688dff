//! An open edge: served on the agent's runtime, drained when it closes.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

use edge::{Edge, Hold, Limits, Network, Plain, UpstreamAddress};
use tokio_util::sync::CancellationToken;

use crate::control::protocol::{EdgeSpec, EdgeStatus};
use crate::control::proxy_users::local_proxies;
use crate::error::{Error, Exit, reason};

/// An edge that serves, or is draining.
#[derive(Clone)]
pub(super) struct OpenEdge {
    pub spec: EdgeSpec,
    pub upstream: UpstreamAddress,
    counters: Arc<edge::Counters>,
    silence: Arc<edge::Silence>,
    drain: CancellationToken,
    /// Cancelled when it has ended, for whatever reason.
    ended: CancellationToken,
    /// Keeps the address while another edge takes over; `None` when it is given up.
    address: Arc<Mutex<Option<TcpListener>>>,
}

impl OpenEdge {
    /// Answers at the address of the spec, or at an inherited socket, in the background until it is told to drain, or fails.
    ///
    /// # Errors
    /// The address cannot be had; what should be a network is none.
    pub(super) fn open(
        spec: EdgeSpec,
        upstream: UpstreamAddress,
        limits: Limits,
        hold: &Arc<Hold>,
        inherited: Option<TcpListener>,
    ) -> Result<Self, Error> {
        let (proxies, shared) = (networks(&spec.proxies)?, networks(&spec.shared)?);
        let unlimited = [limits.unlimited, shared].concat();
        let hold_limit = spec.hold.map_or(limits.hold, std::time::Duration::from_secs);
        let limits = Limits { unlimited, hold: hold_limit, ..limits };
        // The edge has no certificate, so where the site URL is `https`, something in front of it ends TLS.
        let transport = if spec.https { Plain::behind_tls() } else { Plain::http() };
        let edge = match inherited {
            Some(listener) => Edge::from_listener(listener, upstream.clone(), limits)?,
            None => Edge::from_listener(host::port::bind(spec.listen.into())?, upstream.clone(), limits)?,
        };
        let address = edge
            .try_clone_listener()
            .map_err(|error| Error::not_ready(format!("the edge cannot open: {}", reason(&error))))?;
        tracing::info!(?spec, "the edge is open");
        let local = local_proxies(spec.proxy_users.as_deref())?;
        let edge =
            edge.trusting(&proxies).with_local_proxies(local).held_by(Arc::clone(hold)).over(transport);
        let (drain, ended) = (CancellationToken::new(), CancellationToken::new());
        let (counters, silence) = (edge.counters(), edge.silence());
        let serving = edge.serve(drain.clone());
        let end = ended.clone().drop_guard();
        tokio::spawn(async move {
            let _end = end;
            if let Err(error) = serving.await {
                tracing::error!(%error, "the edge has ended");
            }
        });
        let address = Arc::new(Mutex::new(Some(address)));
        Ok(Self { spec, upstream, counters, silence, drain, ended, address })
    }

    /// Tells it whether its server answers nothing.
    pub(super) fn set_silent(&self, is_silent: bool) {
        if self.silence.set(is_silent) {
            tracing::info!(upstream = %self.upstream, is_silent, "the edge was told whether the server is silent");
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Gives the address up and returns when the last connection is gone.
    pub(super) async fn close(&self) {
        drop(self.take_address());
        self.drain().await;
    }

    /// Returns when the last connection is gone. New ones wait in the queue of the address.
    pub(super) async fn drain(&self) {
        self.drain.cancel();
        self.ended.cancelled().await;
    }

    /// The listening socket, once.
    pub(super) fn take_address(&self) -> Option<TcpListener> {
        self.address.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn status(&self) -> EdgeStatus {
        let counted = self.counters.read();
        EdgeStatus {
            spec: self.spec.clone(),
            connections: counted.connections,
            websockets: counted.websockets,
            requests: counted.requests,
            upstream_errors: counted.upstream_errors,
        }
    }
}

fn networks(texts: &[String]) -> Result<Vec<Network>, Error> {
    let networks = texts.iter().map(|network| network.parse()).collect::<Result<_, _>>();
    networks.map_err(|error: edge::NetworkError| Error::new(Exit::Settings, error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[tokio::test]
    async fn a_drained_edge_keeps_its_address_and_a_closed_one_gives_it_up() {
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let hold = Arc::default();
        let spec = EdgeSpec {
            listen: any,
            https: false,
            proxies: Vec::new(),
            shared: Vec::new(),
            proxy_users: None,
            hold: None,
        };
        let open = OpenEdge::open(spec.clone(), any.into(), Limits::default(), &hold, None).expect("a port");
        open.drain().await;
        let listener = open.take_address().expect("it is kept");
        let address = listener.local_addr().expect("an address");
        assert!(TcpListener::bind(address).is_err(), "it is not free in between");
        let again =
            OpenEdge::open(spec, any.into(), Limits::default(), &hold, Some(listener)).expect("taken over");
        again.close().await;
        assert!(TcpListener::bind(address).is_ok());
    }
}
