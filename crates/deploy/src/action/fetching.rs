//! A release, fetched into the cache and proven.

use std::path::PathBuf;

use plan::{Progress, Step, Undo, Unit};
use release::{Cache, Edition, FetchError, Network, Patience, Wish};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, step};
use crate::error::Error;
use crate::world::World;

/// Brings a release into the cache, where all deployments of this machine find it; one that is there is proven again.
///
/// There is nothing to undo: what has come stays for the next time, and a release that is not proven gets no name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetching {
    /// Which, from where, and what proves it.
    pub wish: Wish,
    /// The edition as somebody asked for it: Entry and Enterprise are one tarball.
    pub edition: Edition,
    /// The cache's directory.
    pub cache: PathBuf,
}

impl Fetching {
    pub(crate) fn step(self) -> Step<Action> {
        let (release, hosts) = (&self.wish.release, self.wish.hosts());
        let title = format!("Fetch {release} from {hosts}, unless it is in the cache, and prove it");
        step("fetch", title, Undo::Nothing, 60_000, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let network = Network::new(&world.variables, Patience::default())
            .map_err(|error| Error::not_ready(error.to_string()))?;
        let watch = |done: u64, total: Option<u64>| progress.at(done, total, Unit::Bytes);
        let fetched = release::fetch(&self.wish, &Cache::at(&self.cache), &network, &watch).await;
        let fetched = fetched.map_err(|error| told(&error, &self.wish, self.edition, network.proxy()))?;
        let warnings = fetched.proof.warnings();
        Ok(serde_json::json!({ "proof": fetched.proof, "warnings": warnings, "from": fetched.from }))
    }

    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}

/// Why a release does not come, and every way to bring it.
pub fn told(error: &FetchError, wish: &Wish, edition: Edition, proxy: Option<&str>) -> Error {
    if !error.is_away() {
        let what = Error::not_ready(error.to_string());
        return match error.hint() {
            Some(hint) => what.hint(hint),
            None => what,
        };
    }
    let (version, file) = (&wish.release.version, wish.file());
    let way = match proxy {
        Some(variable) => format!("check the proxy that `{variable}` names"),
        None => "name a proxy in `HTTPS_PROXY`".to_owned(),
    };
    Error::not_ready(format!(
        "Mattermost {version} ({edition}) is not on this machine, and {} cannot be reached: {error}",
        wish.hosts()
    ))
    .hint(format!(
        "give this machine a way there: {way}, or a mirror in mainstay.toml ([release] mirror = \"https://...\"). Or bring the release: \
         where there is a network, run `mainstay release fetch {version} --edition {edition} --to DIR`; carry DIR to this machine; then \
         run `mainstay up --edition {edition} --release DIR/{file}`"
    ))
}
