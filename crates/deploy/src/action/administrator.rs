//! The first administrator, made before anybody else can connect.

use std::net::SocketAddr;
use std::time::Duration;

use plan::Progress;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::World;
use super::file::secrets;
use crate::agent::health::client;
use crate::error::{Error, Kind, reason};

/// Creates the first account, which the server makes its system administrator.
///
/// On loopback and before the edge opens: a server on the network gives the role to whoever comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Administrator {
    /// Where the server listens.
    pub listen: SocketAddr,
    /// Its mail address.
    pub email: String,
}

impl Administrator {
    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let secrets = secrets(world)?;
        let account = json!({
            "email": self.email,
            "username": secrets.admin_name,
            "password": secrets.admin_password.expose_secret(),
        });
        let (status, answer) = self.post("users", &account).await?;
        if status == 201 {
            return Ok(Value::Null);
        }
        // A run that was killed after the account was made finds it there, with our password.
        let login =
            json!({"login_id": secrets.admin_name, "password": secrets.admin_password.expose_secret()});
        let (login_status, _) = self.post("users/login", &login).await?;
        if login_status == 200 {
            return Ok(Value::Null);
        }
        let message = answer["message"].as_str().unwrap_or("the server did not say why").to_owned();
        Err(Error::new(Kind::NotReady, format!("the administrator could not be created: {message}"))
            .detail(format!("status {status}: {}", answer["id"])))
    }

    async fn post(&self, route: &str, body: &Value) -> Result<(u16, Value), Error> {
        let url = format!("http://{}/api/v4/{route}", self.listen);
        let answer = client(Duration::from_secs(30))?.post(url).json(body).send().await;
        let answer = answer.map_err(|error| away(&error))?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await.unwrap_or_default()))
    }

    #[allow(clippy::unused_async, reason = "every action has the same shape")]
    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        // The account goes with the fresh database that it was made in.
        Ok(())
    }
}

fn away(error: &reqwest::Error) -> Error {
    let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    let why = cause.map_or_else(|| error.to_string(), reason);
    Error::not_ready(format!("the server stopped answering: {why}"))
}
