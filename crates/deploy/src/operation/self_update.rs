//! `self-update`: another version of Mainstay's own program, put in place while everything runs.

use std::path::{Path, PathBuf};

use plan::Plan;
use release::{Network, Patience};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use serde::Serialize;

use super::restart::deployed_test;
use super::runner::{Looking, Operation};
use super::verify::refuse_not_installed;
use crate::action::{Action, KeptProgram, NewProgram, ProgramAgent, ProgramFile, kept_program};
use crate::control::program::version_of;
use crate::control::protocol::Status;
use crate::error::{Error, Exit};
use crate::place::ground::ground;
use crate::place::package_manager::{DIRECTORIES, owner};
use crate::state::program_source::{ProgramKey, ProgramSource, key, named, published, refused};
use crate::state::wanted::wanted_file;
use crate::state::words::SELF_UPDATE;
use crate::world::World;

/// Puts another version of Mainstay's own program in place, and has the agent become it.
#[derive(Debug, Clone, Default)]
pub struct SelfUpdate {
    /// The version; `None` = the newest.
    pub to: Option<String>,
    /// The program: a file or an address; `None` = from the source that mainstay.toml names.
    pub from: Option<String>,
    /// Go back to the program before the last update.
    pub back: bool,
}

/// What an update decides from.
pub struct Seen {
    source: ProgramSource,
    key: Option<ProgramKey>,
    version: Option<String>,
    /// The program in place, and which build it is.
    file: ProgramFile,
    running: Option<Status>,
    test: Option<crate::action::AcceptanceTest>,
    /// Whether that is the program in place already.
    is_there: bool,
}

/// What an update came to.
#[derive(Debug, Clone, Serialize)]
pub struct SelfUpdated {
    /// The version before.
    pub from: String,
    /// The version in place.
    pub version: String,
    /// The file.
    pub program: PathBuf,
    /// The program before, which `--back` takes; `None` = there is none.
    pub kept: Option<PathBuf>,
    /// Whether anything had to be changed.
    pub changed: bool,
    /// Whether the deployment ran, and was tested.
    pub verified: bool,
}

impl Operation for SelfUpdate {
    const NAME: &'static str = SELF_UPDATE;
    type Seen = Seen;
    type Report = SelfUpdated;

    async fn look(&self, world: &World, _: Looking<'_>) -> Result<Seen, Error> {
        let layout = &world.layout;
        if layout.place().image_decides_release() {
            let what = "in a container Mainstay's own program is a part of the image";
            return Err(Error::new(Exit::Refused, what)
                .hint("replace the container by one of a newer image, with the same volume"));
        }
        ground(layout)?;
        refuse_not_installed(layout)?;
        let program = &world.mainstay;
        replaceable(program).await?;
        let wanted = wanted_file(layout)?;
        let (version, source) = match (self.back, &self.from) {
            (true, _) => (None, ProgramSource::Kept),
            (false, Some(from)) => (self.to.clone(), named(from)?),
            (false, None) => {
                let network = Network::new(&world.variables, Patience::default())
                    .map_err(|error| Error::not_ready(error.to_string()))?;
                let (version, source) = published(&wanted, self.to.as_deref(), &network).await?;
                (Some(version), source)
            }
        };
        let kept = kept_program(layout);
        if self.back && !kept.is_file() {
            let what = "no program of before is kept: nothing was updated here by `mainstay self-update`";
            return Err(
                Error::not_ready(what).hint("`mainstay self-update --from FILE` takes any newer program")
            );
        }
        let key = if self.back { None } else { Some(key(&wanted)?) };
        let public = key.as_ref().map(ProgramKey::read).transpose()?;
        if let (ProgramSource::File(path), Some(public)) = (&source, &public) {
            release::prove_beside(path, path, public).await.map_err(|error| refused(&error))?;
        }
        let build = host::build::id(program).map_err(|error| Error::path("read", program, &error))?;
        let other = match &source {
            ProgramSource::File(path) => {
                Some(host::build::id(path).map_err(|error| Error::path("read", path, &error))?)
            }
            ProgramSource::Kept => host::build::id(&kept).ok(),
            ProgramSource::Address(_) => None,
        };
        let is_there = match (&other, &version) {
            (Some(other), _) => *other == build,
            (None, version) => version.as_ref() == Some(&world.version),
        };
        let running = world.agent.status().await?;
        let test = running.as_ref().map(|running| deployed_test(world, running)).transpose()?.flatten();
        let file = ProgramFile { program: program.clone(), build };
        Ok(Seen { source, key, version, file, running, test, is_there })
    }

    fn plan(&self, world: &World, seen: &Seen) -> Result<Plan<Action>, Error> {
        let Seen { source, key, version, file, running, test, is_there } = seen;
        let title = format!("Update Mainstay {} from {source}", world.version);
        if *is_there {
            return Ok(Plan::new(Self::NAME, title, Vec::new()));
        }
        let new = NewProgram {
            source: source.clone(),
            key: key.clone(),
            over: world.version.clone(),
            wanted: version.clone(),
        };
        let mut steps = vec![new.step(), file.clone().step()];
        steps.extend(running.as_ref().map(|running| ProgramAgent::of(running, file.clone()).step()));
        steps.extend(test.clone().map(crate::action::AcceptanceTest::step));
        steps.push(KeptProgram {}.step());
        Ok(Plan::new(Self::NAME, title, steps))
    }

    async fn report(&self, world: &World, seen: Seen, changed: bool) -> Result<SelfUpdated, Error> {
        let program = seen.file.program;
        let version = version_of(&program).await.map_err(Error::not_ready)?;
        let kept = Some(kept_program(&world.layout)).filter(|kept| kept.is_file());
        let verified = changed && seen.test.is_some();
        Ok(SelfUpdated { from: world.version.clone(), version, program, kept, changed, verified })
    }

    fn remarks(&self, seen: &Seen) -> Vec<String> {
        let others = "other deployments that this program runs go on with the program of before until their next `mainstay up`";
        if seen.is_there { Vec::new() } else { vec![others.to_owned()] }
    }
}

/// Whether this program may be replaced by us.
async fn replaceable(program: &Path) -> Result<(), Error> {
    if !program.is_file() {
        let what = format!(
            "{} is not there any more: it was replaced or deleted while this command ran",
            program.display()
        );
        return Err(
            Error::not_ready(what).hint("run the command again with the program that is in its place")
        );
    }
    if let Some(found) = owner(program, &DIRECTORIES).await {
        let what = format!(
            "{} belongs to the package {}, and its package manager would find another file in its place",
            program.display(),
            found.package
        );
        return Err(Error::new(Exit::Refused, what).hint(format!(
            "upgrade the package: `{}`; then `mainstay up` has the agent become the new program",
            found.upgrade
        )));
    }
    let dir = program.parent().unwrap_or(program);
    if accessat(CWD, dir, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_err() {
        let what = format!("this user may not write {}, where the program is", dir.display());
        return Err(
            Error::not_ready(what).hint("run the command as the user who put the program there, or as root")
        );
    }
    Ok(())
}
