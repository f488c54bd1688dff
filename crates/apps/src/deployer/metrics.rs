//! What the deployer has done, as Prometheus reads it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use finding::Exit;
use jiff::Timestamp;

use super::pass::Pass;
use crate::Error;

/// Name, kind, meaning, and a value for each set of labels.
type Row<'a> = (&'a str, &'a str, &'a str, Vec<(&'a str, String)>);

/// The numbers. They begin with the process.
#[derive(Debug, Default)]
pub struct Metrics {
    passed: AtomicU64,
    broken: AtomicU64,
    busy: AtomicU64,
    deployed: AtomicU64,
    failed: AtomicU64,
    unsaid: AtomicU64,
    found: AtomicU64,
    waiting: AtomicU64,
    last: AtomicU64,
    milliseconds: AtomicU64,
}

impl Metrics {
    /// Counts a pass, and how long it took.
    pub fn count(&self, pass: &Result<Pass, Error>, took: Duration, now: Timestamp) {
        let add = |counter: &AtomicU64, more: usize| counter.fetch_add(more as u64, Ordering::Relaxed);
        match pass {
            Ok(pass) => {
                add(&self.passed, 1);
                add(&self.deployed, pass.deployed.len());
                add(&self.failed, pass.failed.len());
                add(&self.unsaid, pass.unsaid.len());
                self.found.store(pass.found as u64, Ordering::Relaxed);
                self.waiting.store((pass.waiting.len() + pass.failed.len()) as u64, Ordering::Relaxed);
                self.last.store(now.as_second().unsigned_abs(), Ordering::Relaxed);
                let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                self.milliseconds.store(took, Ordering::Relaxed);
            }
            Err(error) if error.exit == Exit::Busy => {
                add(&self.busy, 1);
            }
            Err(_) => {
                add(&self.broken, 1);
            }
        }
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> String {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let seconds = Duration::from_millis(read(&self.milliseconds)).as_secs_f64();
        let rows: [Row<'_>; 7] = [
            (
                "passes_total",
                "counter",
                "Looks at the bucket, by how they ended.",
                vec![
                    ("{result=\"done\"}", read(&self.passed).to_string()),
                    ("{result=\"failed\"}", read(&self.broken).to_string()),
                    ("{result=\"busy\"}", read(&self.busy).to_string()),
                ],
            ),
            (
                "deployed_total",
                "counter",
                "Bundles that were deployed.",
                vec![("", read(&self.deployed).to_string())],
            ),
            (
                "failures_total",
                "counter",
                "Attempts to deploy a bundle that failed.",
                vec![("", read(&self.failed).to_string())],
            ),
            (
                "bundles",
                "gauge",
                "Bundles in the bucket, by what is known of them.",
                vec![
                    ("{state=\"all\"}", read(&self.found).to_string()),
                    ("{state=\"failed\"}", read(&self.waiting).to_string()),
                ],
            ),
            (
                "unsent_notifications_total",
                "counter",
                "Notifications that a webhook did not take.",
                vec![("", read(&self.unsaid).to_string())],
            ),
            (
                "last_pass_timestamp_seconds",
                "gauge",
                "When the last complete look at the bucket ended.",
                vec![("", read(&self.last).to_string())],
            ),
            ("last_pass_duration_seconds", "gauge", "How long it took.", vec![("", seconds.to_string())]),
        ];
        let mut text = String::new();
        for (name, kind, help, values) in rows {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "# HELP mainstay_apps_deployer_{name} {help}\n# TYPE mainstay_apps_deployer_{name} {kind}"
            );
            for (labels, value) in values {
                let _ = writeln!(text, "mainstay_apps_deployer_{name}{labels} {value}");
            }
        }
        text
    }
}

/// Answers `GET /metrics` at this address, which must be one of this machine alone, until `cancelled`. The address that it has.
///
/// # Errors
/// The address is not of loopback, or is taken.
pub async fn serve(
    metrics: Arc<Metrics>,
    address: SocketAddr,
    cancelled: impl Future<Output = ()> + Send + 'static,
) -> Result<SocketAddr, Error> {
    if !address.ip().is_loopback() {
        return Err(Error::new(
            Exit::Refused,
            format!("metrics are for this machine alone, and {address} is not"),
        )
        .hint("use an address such as 127.0.0.1:9464; a proxy in front decides who else reads them"));
    }
    let taken =
        |error| Error::new(Exit::NotReady, format!("cannot listen on {address} for metrics: {error}"));
    let listener = tokio::net::TcpListener::bind(address).await.map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    let router = Router::new().route("/metrics", get(show)).with_state(metrics);
    tokio::spawn(async move {
        let _ = axum::serve(listener, router).with_graceful_shutdown(cancelled).await;
    });
    Ok(address)
}

async fn show(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_one_that_prometheus_reads() {
        let metrics = Metrics::default();
        metrics.count(
            &Ok(Pass { found: 3, ..Pass::default() }),
            Duration::from_millis(1500),
            Timestamp::UNIX_EPOCH,
        );
        metrics.count(&Err(Error::new(Exit::Busy, "x")), Duration::ZERO, Timestamp::UNIX_EPOCH);
        let text = metrics.text();
        for line in [
            "mainstay_apps_deployer_passes_total{result=\"done\"} 1",
            "mainstay_apps_deployer_passes_total{result=\"busy\"} 1",
            "mainstay_apps_deployer_bundles{state=\"all\"} 3",
            "mainstay_apps_deployer_last_pass_duration_seconds 1.5",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in {text}");
        }
        assert!(text.lines().all(|line| line.starts_with("# ") || line.split(' ').count() == 2));
    }
}
