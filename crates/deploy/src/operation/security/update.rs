//! The update that begins by itself: whether it may, and how it ended. The upgrade between both is the command's own.

use finding::Hint;
use jiff::{SignedDuration, Timestamp, Zoned};
use release::Edition;
use serde::Serialize;
use updates::{Decision, Policy, Target, decide, target};
use version::Version;

use super::look::{Seen, newer_builtin};
use super::watch::{read_sources, tell_news};
use crate::error::{Error, Exit};
use crate::state::updates::record::{FailedUpdate, Record, UpdateAttempt};
use crate::world::World;

/// What is known is read again before an update when it is older.
const FRESH: SignedDuration = SignedDuration::from_hours(6);

/// What to do now.
#[derive(Debug, Clone, Serialize)]
pub struct Due {
    /// The installed release.
    pub release: String,
    /// What `[updates]` lets begin by itself.
    pub policy: Policy,
    /// What it leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Whether that is to be done now.
    #[serde(flatten)]
    pub decision: Decision,
    /// What `mainstay upgrade` is to be asked for; `None`: the built-in server of this program.
    #[serde(skip)]
    pub to: Option<Version>,
    /// The sources that could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

impl Due {
    /// What it came to, in words.
    pub fn in_words(&self) -> String {
        let fixes = self.target.as_ref().map_or(0, |target| target.fixes);
        let has = match fixes {
            0 => String::new(),
            fixes => format!(
                ", with {}",
                finding::counted(fixes, "missing security fix", "missing security fixes")
            ),
        };
        match &self.decision {
            Decision::Nothing if self.policy == Policy::None => {
                "nothing is installed by itself: `policy` in `[updates]` of mainstay.toml is `none`"
                    .to_owned()
            }
            Decision::Nothing => {
                format!("{} is installed; the policy `{}` leads to nothing newer", self.release, self.policy)
            }
            Decision::Latched { to } => format!(
                "{to} is out{has}, and failed before: `mainstay security resume` lets it be tried again, `mainstay security status` says why it failed"
            ),
            Decision::Frozen { to, until } => format!("{to} is out{has}; `freeze` holds it until {until}"),
            Decision::Closed { to } => format!("{to} is out{has}; no `window` of `[updates]` is open now"),
            Decision::Update { to } => format!("{} is updated to {to}{has}", self.release),
        }
    }
}

/// What is to be done now, by the machine's clock. Sources that were not read for hours are read first, unless `only_shown`.
///
/// # Errors
/// There is no deployment; a file cannot be read; in a container the image decides.
pub async fn update_due(world: &World, only_shown: bool) -> Result<Due, Error> {
    let layout = &world.layout;
    let mut seen = Seen::read(world)?;
    let rules = seen.wanted.update_rules();
    if rules.policy != Policy::None && layout.place().image_decides_release() {
        return Err(Error::new(Exit::Refused, "in a container the image decides the release")
            .hint("replace the container by one of a newer image; `mainstay security watch` tells when one is needed"));
    }
    let is_builtin = seen.installed.edition == Edition::Builtin;
    let now = Timestamp::now();
    // A clock that was set back makes what is known look as if it came from the future.
    let is_fresh = |at: Timestamp| now.duration_since(at).abs() < FRESH;
    let mut problems = Vec::new();
    if rules.policy != Policy::None
        && !is_builtin
        && !only_shown
        && !seen.knowledge.read_at().is_some_and(is_fresh)
    {
        problems = read_sources(world).await?;
        seen = Seen::read(world)?;
    }
    let clock = Zoned::now();
    let today = clock.date();
    let found = if is_builtin {
        // Its releases are Mainstay's own: whoever has put a newer one there wants it.
        let newer = newer_builtin(&seen.installed.version).filter(|_| rules.policy != Policy::None);
        newer.map(|version| Target { version, out: today, fixes: 0 })
    } else {
        let catalogue = (&*seen.lines(), seen.catalogue.date);
        let exposure = seen.exposure(today);
        target(&rules, &seen.installed.version, &seen.knowledge.releases.rows, catalogue, &exposure, today)
    };
    let latched = seen.record.latched(Some(&seen.installed.version)).map(|last| &last.to);
    let decision = decide(&rules, found.as_ref(), latched, clock.datetime());
    let to = found.as_ref().filter(|_| !is_builtin).map(|target| target.version.clone());
    Ok(Due {
        release: seen.installed.to_string(),
        policy: rules.policy,
        target: found,
        decision,
        to,
        problems,
    })
}

/// Writes down that the update begins: one that is killed has failed.
///
/// # Errors
/// The disk.
pub fn update_begins(world: &World, due: &Due) -> Result<(), Error> {
    let Some(target) = &due.target else { return Ok(()) };
    let mut record = Record::read(&world.layout)?;
    record.last = Some(UpdateAttempt {
        from: due.release.clone(),
        to: target.version.clone(),
        began: Timestamp::now(),
        ended: None,
        failure: None,
        resumed: None,
    });
    record.keep(&world.layout)
}

/// Writes down how it ended, and tells it.
///
/// # Errors
/// The disk.
pub async fn update_ended(world: &World, failure: Option<&Error>) -> Result<(), Error> {
    let mut record = Record::read(&world.layout)?;
    if let Some(last) = &mut record.last {
        last.ended = Some(Timestamp::now());
        last.failure = failure.map(FailedUpdate::from);
    }
    record.keep(&world.layout)?;
    // An upgrade that another operation keeps from beginning is no news: there is a next hour.
    if failure.is_none_or(|failure| failure.exit != Exit::Busy) {
        tell_news(world).await?;
    }
    Ok(())
}

/// Lets the release that failed be tried again; the update that failed, if one did.
///
/// # Errors
/// There is no deployment; the disk.
pub fn resume_updates(world: &World) -> Result<Option<UpdateAttempt>, Error> {
    let mut seen = Seen::read(world)?;
    let Some(latched) = seen.record.latched(Some(&seen.installed.version)).cloned() else { return Ok(None) };
    if let Some(last) = &mut seen.record.last {
        last.resumed = Some(Timestamp::now());
    }
    seen.record.keep(&world.layout)?;
    Ok(Some(latched))
}

/// What to do where an update by itself failed.
pub fn after_failed_update(error: Error) -> Error {
    let own = error.hint.as_ref().map(Hint::to_string);
    let is_begun =
        !matches!(error.exit, Exit::Usage | Exit::Settings | Exit::NotReady | Exit::Refused | Exit::Busy);
    if !is_begun {
        return error;
    }
    let next =
        "that release is not tried again until `mainstay security resume`, or until a newer one is out";
    let hint = own.map_or_else(|| next.to_owned(), |own| format!("{own}; {next}"));
    error.hint(hint)
}
