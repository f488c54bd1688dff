//! The unprivileged user that the server runs as.

use plan::Progress;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{World, blocking};
use crate::error::Error;

/// Makes a system user; in a plan only when it did not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemUser {
    /// Its name, and its group's.
    pub name: String,
}

impl SystemUser {
    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (name, home) = (self.name.clone(), world.layout.root().to_owned());
        blocking(move || Ok(host::account::create(&name, &home)?)).await.map(|_| Value::Null)
    }

    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        let name = self.name.clone();
        blocking(move || Ok(host::account::delete(&name)?)).await
    }
}
