//! Reads the makers' advisories and releases, and tells what is new. Nothing of the installation is sent: the requests are the same for everybody.

use std::path::Path;
use std::time::Duration;

use finding::one_line;
use jiff::Timestamp;
use release::{Edition, Network, Patience};
use serde::Serialize;
use updates::advisories;

use super::look::{Security, Seen, today};
use super::news::news;
use super::tell::tell;
use crate::error::{Error, reason};
use crate::state::updates::knowledge::{Dated, Of};
use crate::state::updates::record::Record;
use crate::world::World;

/// Where the makers publish both.
const ADVISORIES: &str = "https://securityupdates.mattermost.com/security_updates.json";
const RELEASES: &str = "https://api.github.com/repos/mattermost/mattermost/releases?per_page=100";

/// The most bytes of a source.
const MOST: u64 = 16 << 20;
/// How long a source may take.
const WITHIN: Duration = Duration::from_secs(60);

/// What a look at the sources came to.
#[derive(Debug, Clone, Serialize)]
pub struct Watched {
    /// What is known now.
    #[serde(flatten)]
    pub security: Security,
    /// The sources that could not be read, each with why.
    pub problems: Vec<String>,
    /// How many ways of telling had news to tell.
    pub told: usize,
}

/// Reads both sources, keeps what they say, and tells what is new.
///
/// # Errors
/// There is no deployment; the disk.
pub async fn watch(world: &World) -> Result<Watched, Error> {
    let problems = read_sources(world).await?;
    let told = tell_news(world).await?;
    Ok(Watched { security: super::look::security(world)?, problems, told })
}

/// Reads both sources and keeps what they say; what could not be read, in words.
pub(super) async fn read_sources(world: &World) -> Result<Vec<String>, Error> {
    let Seen { installed, wanted, mut knowledge, .. } = Seen::read(world)?;
    // Nothing in them is about the built-in server.
    if installed.edition == Edition::Builtin {
        return Ok(Vec::new());
    }
    let source = |key: &str, usual: &str| wanted.get(key).unwrap_or(usual).to_owned();
    let (advisories, releases) =
        (source("updates.advisories", ADVISORIES), source("updates.releases", RELEASES));
    let network = network(world);
    let one = text(network.as_ref(), &advisories).await;
    let other = text(network.as_ref(), &releases).await;
    let problems = [
        take(&mut knowledge.advisories, "the list of advisories", advisories, one, advisories::read),
        take(&mut knowledge.releases, "the list of releases", releases, other, updates::releases::read),
    ];
    knowledge.keep(&world.layout)?;
    Ok(problems.into_iter().flatten().collect())
}

/// Keeps what a source says; why not, in words.
fn take<T: Dated>(
    of: &mut Of<T>,
    what: &str,
    source: String,
    text: Result<Vec<u8>, String>,
    read: impl Fn(&[u8]) -> Result<advisories::Read<T>, String>,
) -> Option<String> {
    let now = Timestamp::now();
    let read = text.and_then(|text| read(&text).map_err(|why| format!("{what} from {source} {why}")));
    match read {
        Ok(rows) => of.take(source, rows, now).err(),
        Err(why) => {
            let why = one_line(&why, 500);
            of.fail(why.clone(), now);
            Some(why)
        }
    }
}

fn network(world: &World) -> Result<Network, String> {
    let patience = Patience { tries: 2, silence: Duration::from_secs(15), ..Patience::default() };
    Network::new(&world.variables, patience).map_err(|error| error.to_string())
}

/// The text of a source: an address or a file.
async fn text(network: Result<&Network, &String>, source: &str) -> Result<Vec<u8>, String> {
    if !source.contains("://") {
        let path = Path::new(source);
        return host::disk::read_named(path, MOST)
            .map_err(|error| format!("cannot read {}: {}", path.display(), reason(&error)));
    }
    let network = network.map_err(Clone::clone)?;
    let url = source.parse().map_err(|error| format!("{source} is no address: {error}"))?;
    release::read_public(network, &url, MOST, WITHIN).await.map_err(|error| error.to_string())
}

/// Tells what was not told yet; how many ways there were. What does not reach somebody is kept for `security status`.
pub(super) async fn tell_news(world: &World) -> Result<usize, Error> {
    let seen = Seen::read(world)?;
    let layout = &world.layout;
    let security = seen.security(layout, today());
    let Some(news) = news(&security, &seen.record.told, layout.place().image_decides_release()) else {
        return Ok(0);
    };
    let outcome = tell(world, &seen.wanted, &security.release, &news).await;
    if outcome.ways == 0 {
        return Ok(0);
    }
    let mut record = Record::read(layout)?;
    // As long as nobody was reached it is told again.
    if outcome.failures.len() < outcome.ways {
        record.tell(news.keys, Timestamp::now());
    }
    record.not_told.clone_from(&outcome.failures);
    record.keep(layout)?;
    for failure in outcome.failures {
        tracing::warn!(failure, "somebody was not told");
    }
    Ok(outcome.ways)
}
