//! The HTTP client, and scripted registries for failures that a real registry seldom has.
use std::net::SocketAddr;
use std::sync::Once;

use axum::Router;
use reqwest::Client;

/// A client, after installing the process's crypto provider.
pub(crate) fn client() -> Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap());
    Client::builder().build().unwrap()
}

/// Serves `app` on loopback until the test's runtime ends.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}
