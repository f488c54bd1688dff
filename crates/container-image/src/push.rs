//! Pushing an image to a registry.

use std::time::Duration;

use oci::{Credentials, Layout, Meter, Reference, Registry, Transport};

use crate::error::Error;

/// How long a registry may take to accept a connection, and how long it may be silent during a transfer.
const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(120);

/// What is pushed, and how.
#[derive(Debug, Clone)]
pub struct Push {
    /// The image.
    pub layout: Layout,
    /// Its name in the registry.
    pub to: Reference,
    /// The account that pushes; `None` = anonymous.
    pub credentials: Option<Credentials>,
    /// Allow plain HTTP to another machine.
    pub plain_http: bool,
}

/// Pushes an image. The registry gets the name last, when everything else has arrived. `meter` counts up to [`Layout::bytes`].
///
/// # Errors
/// The registry does not answer, refuses the image, or stores something else.
pub async fn push(push: &Push, meter: &Meter) -> Result<oci::Pushed, Error> {
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .user_agent(concat!("mainstay/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Error::not_ready(format!("cannot speak to registries: {error}")))?;
    let transport = if push.plain_http { Transport::Http } else { Transport::ByAddress };
    let registry = Registry::new(client).transport(transport).meter(meter.clone());
    let registry = match &push.credentials {
        Some(credentials) => registry.credentials(credentials.clone()),
        None => registry,
    };
    Ok(registry.push(&push.layout, &push.to).await?)
}
