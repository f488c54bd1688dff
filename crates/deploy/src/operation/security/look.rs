//! Which security fixes a deployment lacks, from what is known. Asks nobody.

use jiff::civil::Date;
use jiff::{Timestamp, Zoned};
use release::{Cache, Catalogue, Edition, ReleaseId};
use serde::Serialize;
use settings::Wanted;
use updates::{Exposure, Line, Policy, Support};
use version::Version;

use crate::error::Error;
use crate::operation::verify::refuse_not_installed;
use crate::place::layout::Layout;
use crate::state::updates::knowledge::{FailedReading, Knowledge, Of, Reading};
use crate::state::updates::record::{Record, UpdateAttempt};
use crate::state::wanted::wanted_file;
use crate::world::World;

/// What is known of the security fixes of a deployment.
#[derive(Debug, Clone, Serialize)]
pub struct Security {
    /// The installed release.
    pub release: String,
    /// Whether it is the built-in server, whose fixes come with Mainstay's releases.
    pub builtin: bool,
    /// The day that everything below is of.
    pub today: Date,
    /// What it lacks.
    #[serde(flatten)]
    pub exposure: Exposure,
    /// From where that is known.
    pub known: Known,
    /// What `[updates]` lets begin by itself.
    pub policy: Policy,
    /// The update that failed, and is not tried again until a person acts or a newer release is out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latched: Option<UpdateAttempt>,
    /// The last update that began by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<UpdateAttempt>,
    /// Why the last news did not reach somebody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_told: Vec<String>,
    /// Whether `status --check` fails for it.
    pub watched: bool,
}

/// From where it is known.
#[derive(Debug, Clone, Serialize)]
pub struct Known {
    /// The makers' advisories.
    pub advisories: KnownSource,
    /// Their releases.
    pub releases: KnownSource,
    /// The day of the catalogue of releases.
    pub catalogue: Date,
}

/// What is known of a source.
#[derive(Debug, Clone, Serialize)]
pub struct KnownSource {
    /// When it was read last; `None`: never.
    pub read: Option<Reading>,
    /// Why it could not be read since.
    pub failed: Option<FailedReading>,
}

impl KnownSource {
    fn of<T>(of: &Of<T>) -> Self {
        Self { read: of.read.clone(), failed: of.failed.clone() }
    }
}

impl Security {
    /// Whether `status --check` fails for it.
    pub fn is_bad(&self) -> bool {
        self.exposure.overdue().next().is_some() || self.latched.is_some() || self.exposure.unsupported
    }

    /// Whether both sources were read at least once.
    pub fn is_known(&self) -> bool {
        self.known.advisories.read.is_some() && self.known.releases.read.is_some()
    }

    /// When both sources were read at the latest.
    pub fn as_of(&self) -> Option<Timestamp> {
        let at = |source: &KnownSource| source.read.as_ref().map(|read| read.at);
        at(&self.known.advisories).zip(at(&self.known.releases)).map(|(one, other)| one.min(other))
    }

    /// One line for `status`; `None`: there is nothing to say.
    pub fn line(&self) -> Option<String> {
        if let Some(latched) = &self.latched {
            return Some(format!(
                "the update to {} of {:.0} failed: {}; `mainstay security resume` lets it be tried again",
                latched.to,
                latched.began,
                latched.why()
            ));
        }
        if self.builtin {
            let newer = self.exposure.newer.as_ref();
            return newer.map(|newer| {
                format!("this Mainstay has the newer built-in server {newer}: `mainstay upgrade`")
            });
        }
        let missing = self.exposure.certain().count();
        let support = match (self.exposure.unsupported, self.exposure.support_ends) {
            (true, Some(ends)) => format!("; this line of releases gets no fixes any more since {ends}"),
            _ => String::new(),
        };
        Some(match (missing, self.as_of()) {
            (0, None) => {
                format!(
                    "whether fixes are missing is not known: `mainstay security watch --once` asks{support}"
                )
            }
            (0, Some(at)) => format!("no missing fix is known, as of {at:.0}{support}"),
            (count, _) => {
                let worst = self.exposure.overdue().filter_map(|missing| missing.days_left).min();
                let overdue = worst.map(|left| {
                    let longest = finding::counted(left.unsigned_abs(), "day", "days");
                    format!(
                        ", {} of them over-due, the longest by {longest}",
                        self.exposure.overdue().count()
                    )
                });
                format!(
                    "{} missing{}; `mainstay security status`{support}",
                    finding::counted(count, "security fix is", "security fixes are"),
                    overdue.unwrap_or_default()
                )
            }
        })
    }
}

/// What a look at security needs of a deployment.
pub(super) struct Seen {
    pub installed: ReleaseId,
    pub wanted: Wanted,
    pub knowledge: Knowledge,
    pub record: Record,
    pub catalogue: Catalogue,
}

impl Seen {
    /// Reads it.
    ///
    /// # Errors
    /// There is no deployment; one of its files cannot be read.
    pub(super) fn read(world: &World) -> Result<Self, Error> {
        let layout = &world.layout;
        refuse_not_installed(layout)?;
        let installed = release::current(&layout.current())
            .ok_or_else(|| Error::not_ready("the link to the active release leads to none"))?;
        Ok(Self {
            installed,
            wanted: wanted_file(layout)?,
            knowledge: Knowledge::read(layout)?,
            record: Record::read(layout)?,
            catalogue: Catalogue::known(&Cache::at(&world.cache)),
        })
    }

    /// The lines of the catalogue.
    pub(super) fn lines(&self) -> Vec<Line> {
        let line = |line: &release::Line| Line {
            series: line.series,
            released: line.released,
            extended: line.extended,
            newest: line.newest.clone(),
        };
        self.catalogue.lines.iter().map(line).collect()
    }

    /// What the installed release lacks.
    pub(super) fn exposure(&self, today: Date) -> Exposure {
        let installed = &self.installed.version;
        if self.installed.edition == Edition::Builtin {
            let nothing = Exposure::of(installed, &[], &[], &Support::default(), today);
            return Exposure { newer: newer_builtin(installed), ..nothing };
        }
        let line = self.catalogue.line(installed.series());
        let support = match line {
            Some(line) => Support { ends: line.ends, newest: Some(line.newest.clone()) },
            None => Support::default(),
        };
        let Knowledge { advisories, releases, .. } = &self.knowledge;
        Exposure::of(installed, &advisories.rows, &releases.rows, &support, today)
    }

    /// All of it, for people.
    pub(super) fn security(&self, layout: &Layout, today: Date) -> Security {
        // While an operation runs, its update has not failed.
        let is_busy = plan::Lock::present_holder(&layout.lock()).is_ok_and(|holder| holder.is_some());
        let latched = self.record.latched(Some(&self.installed.version));
        let latched = latched.filter(|last| last.ended.is_some() || !is_busy).cloned();
        Security {
            release: self.installed.to_string(),
            builtin: self.installed.edition == Edition::Builtin,
            today,
            exposure: self.exposure(today),
            known: Known {
                advisories: KnownSource::of(&self.knowledge.advisories),
                releases: KnownSource::of(&self.knowledge.releases),
                catalogue: self.catalogue.date,
            },
            policy: self.wanted.update_rules().policy,
            latched,
            last: self.record.last.clone(),
            not_told: self.record.not_told.clone(),
            watched: self.wanted.get("updates.watch") == Some("true"),
        }
    }
}

/// The built-in server of this program, where it is newer than what is installed.
pub(super) fn newer_builtin(installed: &Version) -> Option<Version> {
    let ours = release::builtin().version;
    (ours > *installed).then_some(ours)
}

/// What is known of the security fixes of a deployment. Asks nobody, and changes nothing.
///
/// # Errors
/// There is no deployment; one of its files cannot be read.
pub fn security(world: &World) -> Result<Security, Error> {
    Ok(Seen::read(world)?.security(&world.layout, today()))
}

/// The machine's day.
pub(super) fn today() -> Date {
    Zoned::now().date()
}
