//! Where a deployment is for those who use it, and who may administer it.

use std::collections::BTreeMap;

use secrecy::SecretString;
use url::Url;

use super::verify::refuse_not_installed;
use crate::error::Error;
use crate::part::identity::refuse_gone_settings;
use crate::state::settled::settle;
use crate::state::which_release::Source;
use crate::world::World;

/// A deployment from outside.
#[derive(Debug, Clone)]
pub struct Site {
    /// What people type.
    pub url: Url,
    /// The user name of the administrator that the installation created.
    pub administrator: String,
    /// That administrator's first password; it may have been changed since.
    pub password: SecretString,
}

/// The deployment's site.
///
/// # Errors
/// There is no deployment, or its settings are wrong.
pub async fn site(world: &World) -> Result<Site, Error> {
    refuse_not_installed(&world.layout)?;
    refuse_gone_settings(&world.layout).await?;
    let settled = settle(world, &BTreeMap::new(), Source::default())?;
    let secrets = world.secrets()?;
    let (administrator, password) = (secrets.admin_name, secrets.admin_password);
    Ok(Site { url: settled.desired.site_url.clone(), administrator, password })
}
