//! What a deployment is to be, decided: command line, environment and `mainstay.toml` together, checked against the release; and what
//! its config.json becomes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use release::{Cache, ReleaseId};
use settings::{Origin, Reconciled, Resolved, Sources, Undeclared, Wanted};

use crate::error::{Error, Exit};
use crate::place::container::image_release;
use crate::place::layout::Layout;
use crate::place::machine::read_secret_file;
use crate::state::blank::is_there;
use crate::state::config_file::{ConfigFiles, server_of};
use crate::state::desired::{Desired, Machine};
use crate::state::location::{self, Location, Managed};
use crate::state::moving::Moving;
use crate::state::own_keys::{OWN, Own, own};
use crate::state::proof::prove_next;
use crate::state::restoring::Restoring;
use crate::state::returning::Returning;
use crate::state::server_user::check_usable;
use crate::state::signed;
use crate::state::taken::Taken;
use crate::state::wanted::read_wanted;
use crate::state::which_release::{
    Found, Source, own_build, present_release, wanted_or_present, wanted_release,
};
use crate::world::World;

/// What a deployment is to be, with everything decided.
pub(crate) struct Settled {
    pub desired: Desired,
    pub resolved: Resolved,
    /// The release.
    pub release: ReleaseId,
    /// What `mainstay.toml` says, if there is one.
    pub file: Option<Wanted>,
    /// Where the data is, or will be.
    pub location: Location,
    /// config.json as it is, and what is remembered of it.
    pub config: ConfigFiles,
    /// Where it is by now, as config.json says; `None` when there is none.
    pub before: Option<Location>,
    /// The keys of `mainstay.toml` that are to be written: those that the command line gives, and the site URL where it changes because the
    /// edge moves to another address.
    pub given: Vec<&'static str>,
    /// Which build of the release its program must be, as [`host::build::id`] says; `None` = whatever is unpacked.
    pub build: Option<String>,
    /// What is to be known of how the release was found out.
    pub remarks: Vec<String>,
    /// The Mattermost that is taken over, where its config.json is named and there is none yet.
    pub taken: Option<Taken>,
    /// Whether packages of the distribution may be installed.
    pub installs_packages: bool,
    /// The snapshot that the deployment is made of again.
    pub restoring: Option<Restoring>,
    /// The state that an upgrade kept, and that comes back.
    pub returning: Option<Returning>,
    /// The data that goes from another database into this one.
    pub moving: Option<Moving>,
}

/// Decides everything. `flags` are keys of `mainstay.toml` that are given on the command line.
///
/// # Errors
/// One of them has a mistake, or two contradict each other.
pub(crate) fn settle(
    world: &World,
    flags: &BTreeMap<&'static str, String>,
    source: Source<'_>,
) -> Result<Settled, Error> {
    let layout = &world.layout;
    let placed = source.restoring.and_then(|restoring| restoring.wanted.as_ref());
    let file = match placed {
        Some(placed) => Some(placed.wanted.clone()),
        None => read_wanted(layout)?.map(|(wanted, _)| wanted),
    };
    let machine = Machine::here(layout, host::User::current()?.is_root());
    let mut said = file.clone().unwrap_or_default();
    let new_url = site_url_of_new_address(&said, flags, &machine)?;
    let moved = new_url.is_some();
    let taken = source.take_over.map(|path| Taken::read(path, &layout.data())).transpose()?;
    let is_late = taken.is_some() && is_there(&layout.config());
    let taken = taken.filter(|_| !is_late);
    let is_open = |file: &Wanted| file.get("site_url").is_none() && !flags.contains_key("site_url");
    let old_url = taken.as_ref().and_then(Taken::site_url).filter(|_| is_open(&said)).map(str::to_owned);
    if let Some(url) = new_url.or(old_url) {
        said = said.with_in_file("site_url", &url).map_err(|problem| Error::new(Exit::Settings, problem))?;
    }
    if let (Some(restoring), None) = (source.restoring, said.get("version"))
        && restoring.release.edition != release::Edition::Builtin
    {
        // Of the release line that the snapshot's server is of, the very release, and not the newest.
        let version = restoring.release.version.to_string();
        said =
            said.with_in_file("version", &version).map_err(|problem| Error::new(Exit::Settings, problem))?;
    }
    let desired = Desired::decide(&said, flags, &machine)?;
    world.check_cache()?;
    let unproven = match source.origin {
        Some(release::Origin::File { path }) => {
            signed::check(path, &desired.wanted, &Cache::at(&world.cache))?
        }
        _ => None,
    };
    let Found { release, build, mut remarks } = match (layout.place().image_decides_release(), source.origin)
    {
        (false, _) => wanted_release(
            &desired,
            flags,
            source,
            release::current(&layout.current()),
            &Cache::at(&world.cache),
        )?,
        (true, None) => Found::of(image_release(layout, &desired.wanted)?),
        (true, Some(_)) => {
            return Err(Error::new(Exit::Refused, "in a container the image decides the release")
                .hint("replace the container by one of another image"));
        }
    };
    let build = build.or_else(|| own_build(world, source.origin, &release));
    remarks.extend(unproven);
    if is_late {
        remarks.push("`--take-over` has nothing left to do: this deployment has its config.json".to_owned());
    }
    let given = flags.keys().copied().chain(moved.then_some("site_url")).collect();
    let checked = checked(world, desired, release, (file, taken), source)?;
    Ok(Settled { given, build, remarks, ..checked })
}

/// Every mistake that the settings alone show: `up` and `settings check` find the same.
fn checked(
    world: &World,
    desired: Desired,
    release: ReleaseId,
    (file, taken): (Option<Wanted>, Option<Taken>),
    Source { installs_packages, restoring, returning, .. }: Source<'_>,
) -> Result<Settled, Error> {
    let layout = &world.layout;
    let resolved = resolve(world, &desired, &release)?;
    let mut config = ConfigFiles::read(layout, &release)?;
    config.config = config.config.or_else(|| taken.as_ref().map(|taken| taken.config.clone()));
    if let Some(Restoring { config: Some(theirs), memory, .. }) = restoring {
        (config.config, config.memory) = (Some(theirs.clone()), memory.clone());
    }
    if let Some(Returning { config: Some(theirs), memory, .. }) = returning {
        (config.config, config.memory) = (Some(theirs.clone()), memory.clone());
    }
    let managed = Managed::of(world, &desired.wanted, &release, installs_packages);
    let location = location::location(&resolved, config.config.as_ref(), &release, &managed)?;
    let before = config.config.as_ref().and_then(|config| location::deployed(config, layout));
    check_one_site_url(&resolved)?;
    check_config(&resolved, &config, layout)?;
    let desired = with_site_url(desired, &resolved, &config)?;
    let (given, build, remarks) = (Vec::new(), None, Vec::new());
    Ok(Settled {
        desired,
        resolved,
        release,
        file,
        location,
        config,
        before,
        given,
        build,
        remarks,
        taken,
        installs_packages,
        restoring: restoring.cloned(),
        returning: returning.cloned(),
        moving: None,
    })
}

/// What the System Console or somebody's editor wrote into config.json must not lock people out either.
fn check_config(resolved: &Resolved, config: &ConfigFiles, layout: &Layout) -> Result<(), Error> {
    if config.config.is_none() {
        return Ok(());
    }
    let next = settings::reconcile(resolved, &[], config.present(), Undeclared::GoesBack);
    let refused = next.refused(resolved.server());
    if refused.is_empty() {
        return Ok(());
    }
    let file = layout.config();
    let lines =
        refused.iter().map(|(what, why, instead)| format!("{}: {what}: {why}; {instead}", file.display()));
    Err(Error::new(Exit::Settings, lines.collect::<Vec<_>>().join("\n")).hint("nothing has been changed"))
}

/// Checks the settings as `up` would: for the deployment's own release, or for another one (`--for`), whose database need not be
/// there yet.
///
/// # Errors
/// What `up` would be refused for.
pub fn check_settings(world: &World, other: Option<&ReleaseId>) -> Result<Resolved, Error> {
    let file = read_wanted(&world.layout)?.map(|(wanted, _)| wanted);
    // Reading the settings takes no right to become the server's user.
    let machine = Machine { root: true, ..Machine::here(&world.layout, true) };
    let desired = Desired::decide(&file.clone().unwrap_or_default(), &BTreeMap::new(), &machine)?;
    match other {
        None => {
            // A user that nobody names is there, or is made.
            check_usable(file.as_ref().and_then(|wanted| wanted.get("user")))?;
            let release = wanted_or_present(&world.layout, &desired, &Cache::at(&world.cache))?;
            let settled = checked(world, desired, release, (file, None), Source::default())?;
            prove_next(world, &settled.release, Some(&settled.config), &settled.resolved)?;
            Ok(settled.resolved)
        }
        Some(release) => {
            let resolved = resolve(world, &desired, release)?;
            if ["DriverName", "DataSource"].iter().any(|key| location::is_said(&resolved, key)) {
                let managed = Managed::of(world, &desired.wanted, release, false);
                location::location(&resolved, None, release, &managed)?;
            }
            check_one_site_url(&resolved)?;
            desired.given(&resolved)?;
            prove_next(world, release, None, &resolved)?;
            Ok(resolved)
        }
    }
}

/// The command line is written to `mainstay.toml`, which the environment outranks at the next `up`: the two must agree.
fn check_one_site_url(resolved: &Resolved) -> Result<(), Error> {
    let Some(setting) = resolved.setting("ServiceSettings", "SiteURL") else { return Ok(()) };
    let text = |layer: &settings::Layer| layer.value.as_str().map(str::to_owned);
    let of_flag = setting.layers().iter().find(|layer| layer.origin == Origin::Flag).and_then(text);
    let of_environment = setting.layers().iter().find(|layer| layer.origin.is_environment()).and_then(text);
    match (of_flag, of_environment) {
        (Some(flag), Some(environment)) if flag != environment => Err(Error::new(
            Exit::Usage,
            format!("`--site-url` says {flag}, and the environment says {environment}"),
        )
        .hint("give the site URL in one place")),
        _ => Ok(()),
    }
}

/// The same with the site URL that counts: the environment's, or the System Console's (in config.json) where no one else gives one.
fn with_site_url(desired: Desired, resolved: &Resolved, config: &ConfigFiles) -> Result<Desired, Error> {
    let mut desired = desired.given(resolved)?;
    if !desired.tells_site_url && config.config.is_some() {
        let next = settings::reconcile(resolved, &[], config.present(), Undeclared::GoesBack);
        let url = next.config["ServiceSettings"]["SiteURL"].as_str().and_then(|url| url.parse().ok());
        desired.site_url = url.unwrap_or(desired.site_url);
    }
    Ok(desired)
}

/// The new site URL, where the edge moves to another address and the site URL in the file follows from the old one.
fn site_url_of_new_address(
    file: &Wanted,
    flags: &BTreeMap<&'static str, String>,
    machine: &Machine,
) -> Result<Option<String>, Error> {
    let derived = |listen: Option<&str>| {
        let listen = listen.map(|listen| ("listen", listen.to_owned())).into_iter().collect();
        Desired::decide(&Wanted::default(), &listen, machine)
            .map(|desired| desired.site_url_text().to_owned())
    };
    let (Some(listen), Some(url)) = (flags.get("listen"), file.get("site_url")) else { return Ok(None) };
    if flags.contains_key("site_url") || url != derived(file.get("listen"))? {
        return Ok(None);
    }
    derived(Some(listen)).map(Some)
}

/// The keys of the running server that everybody knows, each with what that means and what to do. What cannot be read is told
/// elsewhere.
pub(crate) fn published_keys(world: &World) -> Vec<String> {
    let Ok(config) = crate::state::config_file::read(&world.layout.config()) else { return Vec::new() };
    let server = server_of(&present_release(&world.layout));
    let published = settings::published(server, &config, None);
    published
        .iter()
        .map(|found| format!("`{}`: {}. {}", found.salt.name, found.danger(), found.fix(None)))
        .collect()
}

/// What is declared for a server of that release, and where each value comes from.
///
/// # Errors
/// Every mistake in `mainstay.toml` and in the environment at once; a rule of the release that forbids one.
pub fn settings_of(world: &World, wanted: &Wanted, release: &ReleaseId) -> Result<Resolved, Error> {
    resolve_with(world, wanted, None, release)
}

/// The same for a deployment: its server gets the default site URL where none is given.
pub(crate) fn resolve(world: &World, desired: &Desired, release: &ReleaseId) -> Result<Resolved, Error> {
    let site_url = desired.tells_site_url.then(|| desired.site_url_text());
    resolve_with(world, &desired.wanted, site_url, release)
}

fn resolve_with(
    world: &World,
    wanted: &Wanted,
    site_url: Option<&str>,
    release: &ReleaseId,
) -> Result<Resolved, Error> {
    let secrets = if is_there(&world.layout.secrets()) { Some(world.secrets()?) } else { None };
    let sources = Sources {
        defaults: world.defaults(),
        secrets: secrets.as_ref(),
        wanted: Some(wanted),
        environment: &world.variables,
        flags: &wanted.flags(),
        site_url,
        read_file: &read_secret_file,
    };
    let mut resolved = settings::resolve(server_of(release), &sources).map_err(|findings| {
        let kind = if findings.policy_only() { Exit::Refused } else { Exit::Settings };
        Error::new(kind, findings.to_string()).hint("nothing has been changed")
    })?;
    for Own { section, key, why, .. } in &OWN {
        resolved.overrule(section, key, why);
    }
    Ok(resolved)
}

/// What the deployment's config.json must become.
///
/// # Errors
/// The database that is declared cannot be used.
pub(crate) fn reconcile(
    resolved: &Resolved,
    release: &ReleaseId,
    layout: &Layout,
    listen: SocketAddr,
    (config, managed): (&ConfigFiles, &Managed),
    undeclared: Undeclared,
) -> Result<Reconciled, Error> {
    let deployed = config.config.as_ref();
    let location = location::location(resolved, deployed, release, managed)?;
    let own = own(resolved, deployed, &location, layout, (release, listen));
    Ok(settings::reconcile(resolved, &own, config.present(), undeclared))
}

/// The settings of the deployment and what its config.json becomes at the next `up`; `None` = there is no config.json yet.
///
/// # Errors
/// A setting is wrong; a file cannot be read.
pub fn deployed_settings(world: &World) -> Result<Option<(Resolved, Reconciled)>, Error> {
    let layout = &world.layout;
    let release = present_release(layout);
    let config = ConfigFiles::read(layout, &release)?;
    let Some(deployed) = &config.config else { return Ok(None) };
    // Reading the settings takes no right to become the server's user.
    let machine = Machine { root: true, ..Machine::here(layout, true) };
    let wanted = read_wanted(layout)?.map(|(wanted, _)| wanted).unwrap_or_default();
    let resolved = resolve(world, &Desired::decide(&wanted, &BTreeMap::new(), &machine)?, &release)?;
    let managed = Managed::of(world, &wanted, &release, false);
    // A running server keeps its address; a stopped one may get another, which is no change to report.
    let listen = deployed["ServiceSettings"]["ListenAddress"].as_str().and_then(|text| text.parse().ok());
    let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let reconciled =
        reconcile(&resolved, &release, layout, listen, (&config, &managed), Undeclared::GoesBack)?;
    Ok(Some((resolved, reconciled)))
}
