//! Which release a deployment is to have: what the command line names, otherwise what is installed, otherwise what `mainstay.toml` says.
//!
//! A tarball is what the server in it says that it is. What the command line says besides must not contradict it, and `mainstay.toml`
//! follows it: what was installed is what is wanted from then on.

use std::collections::BTreeMap;
use std::path::Path;

use release::{Cache, Channel, Edition, Origin, ReleaseId};
use version::Version;

use super::desired::Desired;
use super::published::named;
use super::restoring::Restoring;
use super::returning::Returning;
use crate::error::{Error, Exit};
use crate::place::container::image_release;
use crate::place::layout::Layout;
use crate::place::machine::check_tarball;
use crate::world::World;

/// What an `up` installs from: a release, which may be run to learn which one it is, and a Mattermost that is taken over.
#[derive(Clone, Copy, Default)]
pub(crate) struct Source<'a> {
    /// Where from; `None` = what is installed, or the built-in server.
    pub origin: Option<&'a Origin>,
    /// A plan is only shown, so nothing foreign runs.
    pub only_shown: bool,
    /// The config.json of a Mattermost that is taken over.
    pub take_over: Option<&'a Path>,
    /// Whether packages of the distribution may be installed.
    pub installs_packages: bool,
    /// The snapshot that the deployment is made of again.
    pub restoring: Option<&'a Restoring>,
    /// The state that an upgrade kept, and that comes back.
    pub returning: Option<&'a Returning>,
    /// Whether it is an upgrade, whose flags have other names.
    pub upgrades: bool,
}

impl Source<'_> {
    /// The command, and its flag for the version.
    fn command(&self) -> (&'static str, &'static str) {
        if self.upgrades { ("upgrade", "--to") } else { ("up", "--version") }
    }
}

/// The wanted release, and how it was found out.
pub(super) struct Found {
    pub release: ReleaseId,
    /// Which build the server in a tarball is; `None` where nothing was asked.
    pub build: Option<String>,
    /// What is to be known of that.
    pub remarks: Vec<String>,
}

impl Found {
    pub(super) fn of(release: ReleaseId) -> Self {
        Self::from((release, Vec::new()))
    }
}

impl From<(ReleaseId, Vec<String>)> for Found {
    fn from((release, remarks): (ReleaseId, Vec<String>)) -> Self {
        Self { release, build: None, remarks }
    }
}

/// Which build the program of a release must be, where it is made of this program; `None` = whatever is unpacked. A release that came
/// from a file stays until another file is named, and one of another version of Mainstay until it is upgraded.
pub(super) fn own_build(world: &World, origin: Option<&Origin>, release: &ReleaseId) -> Option<String> {
    let root = world.layout.releases().join(release.to_string());
    let from_file = || release::Release::open(&root).is_ok_and(|release| release.identity().from_file);
    let is_own = match origin {
        None => *release == release::builtin() && !from_file(),
        Some(Origin::Builtin) => true,
        Some(Origin::File { .. } | Origin::Download { .. } | Origin::Published { .. }) => false,
    };
    let is_of_this_version = release.version.build.as_deref() == Some(&*world.version);
    // An image has both programs, and its release stays as it is.
    let may_differ = !world.layout.place().image_decides_release();
    (is_own && is_of_this_version && may_differ && !world.build.is_empty()).then(|| world.build.clone())
}

/// The release to describe where none is named: the installed one, the image's, or the built-in server.
pub fn present_release(layout: &Layout) -> ReleaseId {
    let image = || {
        let image = || image_release(layout, &settings::Wanted::default()).ok();
        layout.place().image_decides_release().then(image)?
    };
    release::current(&layout.current()).or_else(image).unwrap_or_else(release::builtin)
}

/// The release whose settings are checked: the installed one; where none is, the one that `mainstay.toml` wants, whether it can be had or
/// not.
///
/// # Errors
/// `mainstay.toml` wants another one than is installed.
pub(super) fn wanted_or_present(
    layout: &Layout,
    desired: &Desired,
    cache: &Cache,
) -> Result<ReleaseId, Error> {
    let present = present_release(layout);
    if layout.place().image_decides_release() || desired.wanted.get("edition").is_none() {
        return Ok(present);
    }
    if let Some(current) = release::current(&layout.current()) {
        return installed(desired, &BTreeMap::new(), current).map(|(release, _)| release);
    }
    if desired.edition != Edition::Builtin {
        return named(desired, cache);
    }
    let version = desired.version.as_deref().and_then(|version| version.parse().ok());
    let wanted =
        ReleaseId { version: version.unwrap_or_else(|| present.version.clone()), edition: desired.edition };
    Ok(if wanted.edition == present.edition { present } else { wanted })
}

/// The wanted release: the one in the tarball, otherwise the installed one, otherwise the built-in one; and how it was found
/// out, where that is to be known.
///
/// # Errors
/// The command line contradicts itself; the release is not there; another one is installed.
pub(super) fn wanted_release(
    desired: &Desired,
    flags: &BTreeMap<&'static str, String>,
    source: Source<'_>,
    current: Option<ReleaseId>,
    cache: &Cache,
) -> Result<Found, Error> {
    if let Some(Origin::File { path }) = source.origin {
        check_tarball(path)?;
    }
    if let Some(returning) = source.returning {
        return Ok(Found::of(returning.state.release.clone()));
    }
    match (source.origin, current) {
        (None, Some(current)) => installed(desired, flags, current).map(Found::from),
        (None, None) if let Some(release) = brought(desired, source.restoring) => Ok(Found::of(release)),
        (None, None) if desired.edition != Edition::Builtin => Ok(Found::of(named(desired, cache)?)),
        (None, None) => builtin(desired).map(Found::of),
        (Some(Origin::Builtin), _) => Ok(Found::of(release::builtin())),
        (Some(Origin::File { path }), _) => {
            let found = match source.only_shown {
                true => claimed(desired, path, source.command())?.into(),
                false => identified(desired, path, source.command())?,
            };
            agrees(flags, &found.release, path, source.command())?;
            Ok(found)
        }
        (Some(Origin::Download { release, .. }), _) => Ok(Found::of(release.clone())),
        (Some(Origin::Published { wish, .. }), _) => Ok(Found::of(wish.release.clone())),
    }
}

/// The release that a snapshot has with it, where nobody wants another one.
fn brought(desired: &Desired, restoring: Option<&Restoring>) -> Option<ReleaseId> {
    let restoring = restoring.filter(|restoring| restoring.release_tree)?;
    let release = &restoring.release;
    let is_meant = desired.version.as_ref().is_none_or(|version| *version == release.version.to_string());
    (desired.edition.build() == release.edition.build() && is_meant).then(|| release.clone())
}

/// The release that the server in a file says that it is.
fn identified(desired: &Desired, path: &Path, (_, flag): (&str, &str)) -> Result<Found, Error> {
    let confining = host::Shim::confining();
    let found = release::identify(path, &confining, told(desired).as_ref()).map_err(|error| match error {
        error @ release::ReleaseError::CannotSay { .. } => {
            Error::new(Exit::Usage, format!("{}: {error}", path.display())).hint(format!(
                "say which release it is, with `--edition` and `{flag}`, as in `--edition team {flag} 5.16.0`"
            ))
        }
        error => error.into(),
    })?;
    let remark = |reached: &String| {
        format!("the server in {} was run to ask for its version, and could reach {reached}", path.display())
    };
    let remarks = found.reached.iter().map(remark).collect();
    Ok(Found { release: found.release, build: Some(found.build), remarks })
}

/// What command line and `mainstay.toml` say the release is, where they say both edition and version.
fn told(desired: &Desired) -> Option<ReleaseId> {
    desired.wanted.get("edition")?;
    Some(ReleaseId { version: desired.version.as_ref()?.parse().ok()?, edition: desired.edition })
}

/// The release that a file says it holds, with nothing of it run; otherwise the one that edition and version name.
fn claimed(
    desired: &Desired,
    path: &Path,
    (command, flag): (&str, &str),
) -> Result<(ReleaseId, Vec<String>), Error> {
    let claimed = release::claimed(path)?;
    let found = claimed.or_else(|| told(desired)).ok_or_else(|| {
        Error::new(
            Exit::Usage,
            format!("{} does not say which release it holds, and `--plan` runs nothing from it", path.display()),
        )
        .hint(format!(
            "add `--edition` and `{flag}`, or give the file the name that it was published with, as in \
             mattermost-team-11.7.15-linux-amd64.tar.gz; without `--plan`, `{command}` asks the server in it, confined"
        ))
    })?;
    let remark = format!(
        "{} is taken for {found} without running it; `{command}` asks the server in it, as a user without rights, without network",
        path.display()
    );
    Ok((found, vec![remark]))
}

/// Refuses a command line that names a tarball and says something else of it.
fn agrees(
    flags: &BTreeMap<&'static str, String>,
    found: &ReleaseId,
    path: &Path,
    (_, version_flag): (&str, &str),
) -> Result<(), Error> {
    let differs = |key: &&str| match (*key, flags.get(key)) {
        (_, None) => false,
        ("edition", Some(text)) => {
            text.parse::<Edition>().is_ok_and(|edition| !edition.is_one_tarball_with(found.edition))
        }
        (_, Some(text)) => !is_of_channel(found, text),
    };
    let Some(key) = ["edition", "version"].into_iter().find(|key| differs(key)) else { return Ok(()) };
    let said = &flags[key];
    let flag = if key == "version" { version_flag.to_owned() } else { format!("--{key}") };
    Err(Error::new(
        Exit::Usage,
        format!("`{flag} {said}` contradicts `--release {}`, which holds {found}", path.display()),
    )
    .hint(format!("leave out `{flag}`, or name the tarball of {said}; nothing has been changed")))
}

/// Whether a release is of that version, of which the build may be left out.
fn is_version(id: &ReleaseId, wanted: &Version) -> bool {
    wanted.numbers() == id.version.numbers() && (wanted.build.is_none() || wanted.build == id.version.build)
}

/// Whether a release is of that version or line. To which release another channel leads is decided when it is installed, and stays.
fn is_of_channel(id: &ReleaseId, text: &str) -> bool {
    match text.parse() {
        Ok(Channel::Exactly(version)) => is_version(id, &version),
        Ok(Channel::Line(series)) => id.version.series() == series,
        Ok(Channel::Extended | Channel::Latest) | Err(_) => true,
    }
}

/// Whether a release is what file and command line say.
fn suits(desired: &Desired, id: &ReleaseId) -> bool {
    let version = desired.version.as_deref();
    desired.edition.is_one_tarball_with(id.edition) && version.is_none_or(|text| is_of_channel(id, text))
}

/// The installed release, which nothing but the command line contradicts.
fn installed(
    desired: &Desired,
    flags: &BTreeMap<&'static str, String>,
    current: ReleaseId,
) -> Result<(ReleaseId, Vec<String>), Error> {
    if suits(desired, &current) {
        return Ok((current, Vec::new()));
    }
    // Earlier versions wrote `builtin` whatever they installed, and it is what a file means that does not say it.
    let is_default = !flags.contains_key("edition") && desired.edition == Edition::Builtin;
    if is_default && desired.version.is_none() {
        let remark = || {
            format!(
                "`edition` in mainstay.toml is `builtin`, and {current} is installed: that is what counts, and `up` writes it there"
            )
        };
        let remarks = desired.wanted.get("edition").map(|_| remark()).into_iter().collect();
        return Ok((current, remarks));
    }
    let said = ["edition", "version"].iter().filter_map(|key| {
        let value = desired.wanted.get(key)?;
        Some(if flags.contains_key(key) {
            format!("`--{key} {value}`")
        } else {
            format!("`{key} = \"{value}\"` in mainstay.toml")
        })
    });
    let said = said.collect::<Vec<_>>().join(" and ");
    Err(Error::new(Exit::Refused, format!("{current} is installed here, and another release is asked for: {said}")).hint(
        "`up` never changes the release: `mainstay upgrade` does; leave that out to go on with what is installed",
    ))
}

/// The built-in release, if it is the one that is wanted.
fn builtin(desired: &Desired) -> Result<ReleaseId, Error> {
    let ours = release::builtin();
    if suits(desired, &ours) {
        return Ok(ours);
    }
    let version = desired.version.as_deref().unwrap_or_default();
    let what = format!("the built-in server is version {}, not {version}", ours.version);
    Err(Error::new(Exit::Refused, what).hint("leave `version` out"))
}

#[cfg(test)]
mod tests {
    use settings::Wanted;

    use super::*;
    use crate::state::desired::Machine;

    type Flags = BTreeMap<&'static str, String>;

    fn flags(pairs: &[(&'static str, &str)]) -> Flags {
        pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect()
    }

    fn desired(file: &[(&str, &str)], flags: &Flags) -> Desired {
        let file = file
            .iter()
            .fold(Wanted::default(), |file, (key, value)| file.with_in_file(key, value).expect("a value"));
        let machine = Machine::here(&Layout::new("/srv/chat"), false);
        Desired::decide(&file, flags, &machine).expect("valid")
    }

    #[test]
    fn what_is_installed_is_wanted_from_then_on() {
        let of = |file: &[(&str, &str)], said: &[(&'static str, &str)], current: &str| {
            let said = flags(said);
            let current = current.parse().expect("a release");
            let (source, cache) = (Source::default(), Cache::at("/nowhere"));
            let found = wanted_release(&desired(file, &said), &said, source, Some(current), &cache);
            found.map(|found| (found.release.to_string(), found.remarks.len()))
        };
        for (file, said, current, remarks) in [
            (&[][..], &[][..], "11.6.0-team", 0),
            (&[("edition", "team")], &[], "11.6.0-team", 0),
            (&[("edition", "entry")], &[], "11.6.0-enterprise", 0),
            (&[("edition", "builtin")], &[], "11.6.0-team", 1),
            (&[("edition", "builtin")], &[("edition", "team")], "11.6.0-team", 0),
            (&[("edition", "team"), ("version", "11.6.0")], &[], "11.6.0-team", 0),
            (&[("edition", "team"), ("version", "11.6")], &[], "11.6.0-team", 0),
            (&[("edition", "team"), ("version", "esr")], &[("version", "latest")], "11.6.0-team", 0),
        ] {
            assert_eq!(of(file, said, current).expect("it is wanted"), (current.to_owned(), remarks));
        }
        for (file, said, current, says) in [
            (
                &[("edition", "team")][..],
                &[][..],
                "11.6.0+0.1.0-builtin",
                "`edition = \"team\"` in mainstay.toml",
            ),
            (&[("edition", "team")], &[("edition", "builtin")], "11.6.0-team", "`--edition builtin`"),
            (&[("edition", "team")], &[("version", "11.7.0")], "11.6.0-team", "`--version 11.7.0`"),
            (&[("edition", "team")], &[("version", "11.7")], "11.6.0-team", "`--version 11.7`"),
        ] {
            let refused = of(file, said, current).expect_err("refused");
            assert_eq!(refused.exit, Exit::Refused);
            assert!(refused.what.contains(says) && refused.what.contains(current), "{refused}");
        }
    }

    #[test]
    fn an_edition_that_is_not_installed_is_the_release_that_its_channel_leads_to() {
        let named = |said: &[(&'static str, &str)]| {
            let said = flags(said);
            let cache = Cache::at("/nowhere");
            let found = wanted_release(&desired(&[], &said), &said, Source::default(), None, &cache);
            found.map(|found| found.release.to_string())
        };
        for (said, release) in [
            (&[("edition", "entry"), ("version", "11.7.15")][..], "11.7.15-enterprise"),
            (&[("edition", "team"), ("version", "5.37")], "5.37.10-team"),
            (&[("edition", "team"), ("version", "99.1.2")], "99.1.2-team"),
        ] {
            assert_eq!(named(said).expect("a release"), release);
        }
        assert!(named(&[("edition", "team")]).expect("a release").ends_with("-team"));
        for (said, says) in [
            (&[("edition", "team"), ("version", "99.1")][..], "no such release line"),
            (&[("edition", "entry"), ("version", "10.11")], "no Entry edition before 11.0"),
        ] {
            let refused = named(said).expect_err("refused");
            assert_eq!(refused.exit, Exit::Usage);
            assert!(refused.what.contains(says), "{refused}");
        }
    }

    #[test]
    fn a_command_line_that_contradicts_its_tarball_is_a_mistake_in_usage() {
        let found: ReleaseId = "11.6.0-team".parse().expect("a release");
        let agree = |said: &[(&'static str, &str)], found: &ReleaseId| {
            agrees(&flags(said), found, Path::new("r.tar.gz"), ("up", "--version"))
        };
        for said in [&[][..], &[("edition", "team")], &[("version", "11.6.0"), ("edition", "team")]] {
            agree(said, &found).expect("it agrees");
        }
        let enterprise = "11.6.0-enterprise".parse().expect("a release");
        agree(&[("edition", "entry")], &enterprise).expect("one tarball for both");
        for said in [("edition", "enterprise"), ("edition", "builtin"), ("version", "11.7.0")] {
            let error = agree(&[said], &found).expect_err("it contradicts");
            assert_eq!(error.exit, Exit::Usage);
            assert!(error.what.contains(said.1) && error.what.contains("11.6.0-team"), "{error}");
        }
    }
}
