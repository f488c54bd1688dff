//! What commands for apps ask of a deployment.

use apps::Error;
use deploy::{Site, World};

/// The deployment's site URL and its administrator.
pub(super) async fn site(world: &World) -> Result<Site, Error> {
    deploy::site(world).await.map_err(|error| {
        let error = super::from_deploy(error);
        match error.hint {
            Some(_) => error,
            None => error.hint("name any Mattermost with `--url`"),
        }
    })
}
