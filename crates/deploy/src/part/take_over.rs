//! A database that a Mattermost already fills, and that no deployment of Mainstay uses: whether this deployment may go on with it.
//!
//! Nothing of the old installation is needed for that: accounts are managed over the local channel. Its salts and keys are kept where the
//! variables or its config.json say them.

use dsn::Server;
use finding::hint;
use plan::Lock;
use release::{Capabilities, Path as Way, ReleaseId};
use version::Version;

use super::Observed;
use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::state::location::Location;
use crate::state::settled::Settled;
use crate::state::taken::{Files, Taken};
use crate::whereabouts::in_words;

/// The user name of an administrator that is made where the old installation has none who is active. `admin` may be somebody's.
pub(crate) const ADMINISTRATOR: &str = "mainstay-admin";

/// Whether this `up` takes a Mattermost over.
pub(crate) fn is_taken_over(settled: &Settled, observed: &Observed) -> bool {
    let is_filled = match &settled.location {
        Location::Server(_) => observed.database.exists,
        // It comes with the files.
        Location::File => settled.taken.as_ref().is_some_and(|taken| taken.database.is_some()),
        Location::Managed(_) => false,
    };
    is_filled && !observed.directory.secrets
}

/// Refuses a Mattermost that still runs: two servers on one database damage each other, and of a file that is written only half would be
/// copied.
///
/// # Errors
/// What runs it; its file is not where its other files are.
pub(crate) fn check_stopped(taken: &Taken) -> Result<(), Error> {
    let old = taken.path.parent().and_then(std::path::Path::parent).map(Layout::new);
    let agent = old.and_then(|old| Some((Lock::present_holder(&old.agent_lock()).ok().flatten()?, old)));
    let path = taken.path.display();
    if let Some((holder, old)) = agent {
        return Err(Error::new(
            Exit::Busy,
            format!(
                "the Mattermost of {path} is the deployment of Mainstay in {}, which runs: {}",
                old.root().display(),
                in_words(&holder)
            ),
        )
        .hint(hint!(
            "stop it: `mainstay --dir {} down`, then run this again; nothing has been changed",
            old.root().display()
        )));
    }
    let Some(database) = &taken.database else { return Ok(()) };
    if let Some(opener) = host::running::opener(database) {
        let what = format!(
            "the Mattermost of {path} is in use: {} has {} open",
            opener.in_words(),
            database.display()
        );
        return Err(Error::new(Exit::Busy, what)
            .hint(hint!("stop it: `kill {}`, then run this again; nothing has been changed", opener.pid)));
    }
    let is_among = |files: &Files| {
        database
            .strip_prefix(&files.from)
            .is_ok_and(|below| below == "mattermost.db".as_ref() as &std::path::Path)
    };
    if taken.files.as_ref().is_some_and(is_among) {
        return Ok(());
    }
    Err(Error::new(
        Exit::Refused,
        format!("{path}: the database {} is not `mattermost.db` among its files, with which it would be copied", database.display()),
    )
    .hint("move it there while the server is stopped, and name it in `SqlSettings.DataSource`; nothing has been changed"))
}

/// Whether it may.
///
/// # Errors
/// The database is another deployment's, or still in use; the release cannot do it, or cannot read the database.
pub(crate) fn check(layout: &Layout, settled: &Settled, observed: &Observed) -> Result<(), Error> {
    let Location::Server(server) = &settled.location else { return Ok(()) };
    let (seen, release) = (&observed.database, &settled.release);
    if let Some(deployment) = &seen.deployment {
        let missing = layout.secrets();
        return Err(Error::not_ready(format!(
            "{server} belongs to a deployment of Mainstay ({deployment}), and {} is not there",
            missing.display()
        ))
        .hint(format!(
            "put that deployment's secrets.toml there, or name another database. Where that deployment is gone for good, take its mark away, and \
             this one takes the Mattermost over: `delete from systems where name = '{}'` in that database; nothing has been changed",
            database::DEPLOYMENT
        )));
    }
    if !Capabilities::of(release).local_channel {
        return Err(Error::new(
            Exit::Refused,
            format!(
                "{server} holds a Mattermost already, and {release} has no local channel, over which Mainstay gets into it"
            ),
        )
        .hint("take it over with a release from 5.24 on, or name an empty database; nothing has been changed"));
    }
    if let Some(version) = &seen.unmigrated {
        reachable(server, version, release)?;
    }
    in_use(server, &seen.others)?;
    room(layout, settled)
}

/// Versions that must not be skipped. From 6.4 on every later release can read the database.
fn reachable(server: &Server, version: &Version, release: &ReleaseId) -> Result<(), Error> {
    let Way::Stops(stops) = release::path(version, &release.version) else { return Ok(()) };
    let line = |stop: &release::Stop| format!("{}.{}", stop.version.major, stop.version.minor);
    let why = stops.iter().map(|stop| format!("{} {}", line(stop), stop.why)).collect::<Vec<_>>().join("; ");
    let lines = stops.iter().map(line).collect::<Vec<_>>().join(", ");
    Err(Error::new(
        Exit::Refused,
        format!("{server} was last used by Mattermost {version}: on the way to {release} there are versions that must not be skipped: {why}"),
    )
    .hint(format!(
        "back up, then start the old installation with the newest releases of {lines} in turn, and take it over after that; nothing has been changed"
    )))
}

/// Two servers on one database damage each other's caches and jobs.
fn in_use(server: &Server, others: &[(String, i64)]) -> Result<(), Error> {
    if others.is_empty() {
        return Ok(());
    }
    let count: i64 = others.iter().map(|(_, count)| count).sum();
    let from = others.iter().map(|(address, _)| address.as_str()).collect::<Vec<_>>().join(", ");
    let connections = if count == 1 { "connection" } else { "connections" };
    Err(Error::new(Exit::Busy, format!(
        "{server} holds a Mattermost that is still in use: user \"{}\" has {count} other {connections} to it, from {from}",
        server.user.escape_debug()
    ))
    .hint("stop the old server (`systemctl stop mattermost`, or `docker stop NAME`), then run this again; nothing has been changed"))
}

/// Whether its files find room.
fn room(layout: &Layout, settled: &Settled) -> Result<(), Error> {
    let Some(Files { from, .. }) = settled.taken.as_ref().and_then(|taken| taken.files.as_ref()) else {
        return Ok(());
    };
    let needed = host::directory::size(from)?;
    let free = host::disk::free(host::disk::nearest(layout.root()))?.bytes;
    if free > needed {
        return Ok(());
    }
    let mib = |bytes: u64| bytes >> 20;
    Err(Error::not_ready(format!(
        "the files in {} need {} MiB, and {} MiB are free for {}",
        from.display(),
        mib(needed),
        mib(free),
        layout.data().display()
    ))
    .hint("make room, or choose a directory on a larger disk with `--dir`; nothing has been changed"))
}

/// What somebody who takes a Mattermost over must know.
pub(crate) fn remarks(layout: &Layout, settled: &Settled, observed: &Observed) -> Vec<String> {
    if !is_taken_over(settled, observed) {
        return Vec::new();
    }
    let database = match (&settled.location, settled.taken.as_ref().and_then(|taken| taken.database.as_ref()))
    {
        (Location::Server(server), _) => server.to_string(),
        (_, Some(file)) => file.display().to_string(),
        _ => return Vec::new(),
    };
    let mut remarks = vec![format!(
        "{database} holds a Mattermost, with which this deployment goes on: accounts, teams and messages stay as they are"
    )];
    let old = settled.taken.as_ref().map_or(&serde_json::Value::Null, |taken| &taken.config);
    let places = match &settled.taken {
        Some(taken) => format!("neither the variables nor {}", taken.path.display()),
        None => "no variable".to_owned(),
    };
    remarks.extend(
        settings::lost_salts(&settled.resolved, old)
            .iter()
            .map(|salt| format!("{places} says {}, so a new one is made: {}", salt.row, salt.breaks)),
    );
    if settled.taken.is_none() && layout.place().keeps_decisions() {
        remarks.push(format!(
            "what people uploaded and what the System Console set are not in the database: `up --take-over CONFIG` brings both at the first \
             `up`, from the old config.json; files can also be copied from the old data directory to {} by hand",
            layout.data().display()
        ));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::up::tests::{nothing, settled};

    fn on_postgres(release: &str) -> Settled {
        let mut server = Server::new(dsn::Engine::Postgres, dsn::Host::Name("db".to_owned()));
        (server.name, server.user, server.password) = ("chat".into(), "mm".into(), "hunter2".into());
        let release = release.parse().expect("a release");
        Settled { location: Location::Server(Box::new(server)), release, ..settled(false, None) }
    }

    fn checked(release: &str, change: impl FnOnce(&mut Observed)) -> Result<(), Error> {
        let mut observed = nothing();
        observed.database.exists = true;
        change(&mut observed);
        let settled = on_postgres(release);
        assert!(is_taken_over(&settled, &observed));
        check(&Layout::new("/srv/chat"), &settled, &observed)
    }

    #[test]
    fn a_database_that_a_mattermost_fills_is_taken_over_unless_something_is_against_it() {
        checked("11.6.0-team", |_| {}).expect("taken over");
        let refused = |release, change: fn(&mut Observed)| checked(release, change).expect_err("refused");
        let used = refused("11.6.0-team", |seen| seen.database.others = vec![("10.0.0.5".to_owned(), 3)]);
        assert!(
            used.exit == Exit::Busy && used.what.contains("3 other connections to it, from 10.0.0.5"),
            "{used}"
        );
        let ours = refused("11.6.0-team", |seen| seen.database.deployment = Some("abc".to_owned()));
        assert!(ours.what.contains("a deployment of Mainstay (abc)"), "{ours}");
        let old = refused("5.20.0-team", |_| {});
        assert!(old.exit == Exit::Refused && old.what.contains("no local channel"), "{old}");
        let far = refused("11.6.0-team", |seen| seen.database.unmigrated = "5.20.0".parse().ok());
        assert!(far.exit == Exit::Refused && far.what.contains("must not be skipped"), "{far}");
        checked("5.37.0-team", |seen| seen.database.unmigrated = "5.37.0".parse().ok()).expect("taken over");
    }

    #[test]
    fn what_is_lost_is_said() {
        let mut observed = nothing();
        observed.database.exists = true;
        let told = remarks(&Layout::new("/srv/chat"), &on_postgres("11.6.0-team"), &observed).join("\n");
        for says in
            ["goes on: accounts", "MATTERMOST_LINK_SALT", "public link", "/srv/chat/data", "--take-over"]
        {
            assert!(told.contains(says) && !told.contains("hunter2"), "{told}");
        }
        assert!(!told.contains("SECRET_KEY"), "nothing breaks without it: {told}");
        observed.directory.secrets = true;
        assert!(remarks(&Layout::new("/srv/chat"), &on_postgres("11.6.0-team"), &observed).is_empty());
    }
}
