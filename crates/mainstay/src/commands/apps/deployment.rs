//! What commands for apps ask of a deployment.

use apps::Error;
use deploy::{Site, World};

/// The deployment's site URL and its administrator.
pub(super) async fn site(world: &World) -> Result<Site, Error> {
    deploy::site(world).await.map_err(|error| {
        let error = super::from_deploy(error);
        let elsewhere = "name any Mattermost with `--url URL`";
        let hint = error
            .hint
            .as_ref()
            .map_or_else(|| elsewhere.to_owned(), |hint| format!("{hint}; or {elsewhere}"));
        error.hint(hint)
    })
}
