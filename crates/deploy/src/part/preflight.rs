//! What must hold of the machine before the first change: looked at, nothing touched.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use finding::hint;
use host::port;

use super::{Observed, take_over};
use crate::error::{Error, Exit};
use crate::place::ground::writable;
use crate::place::layout::Layout;
use crate::state::location::Location;
use crate::state::server_user::{check_usable, refuse_anothers};
use crate::state::settled::Settled;

/// Bytes that a deployment of the built-in server needs to begin with: two copies of a 60 MB binary, a database, logs.
const ROOM: u64 = 256 << 20;

/// The same for an official release: it unpacks to about 1 GB.
const ROOM_OF_OFFICIAL: u64 = 1536 << 20;
/// Bytes that a managed PostgreSQL needs besides: 40 MB of its own, 80 MB and more that it writes ahead.
const CLUSTER_ROOM: u64 = 256 << 20;

/// Whether `up` could work here.
///
/// # Errors
/// The first thing in its way, with the cause and the way out.
pub(crate) fn check(layout: &Layout, settled: &Settled, observed: &Observed) -> Result<(), Error> {
    let (desired, agent) = (&settled.desired, observed.agent.as_ref());
    let ground = host::disk::nearest(layout.root());
    writable(ground, layout)?;
    private(ground, layout)?;
    link(layout)?;
    if !layout.current().exists() {
        let official = settled.release.edition != ::release::Edition::Builtin;
        let cluster = if let Location::Managed(_) = &settled.location { CLUSTER_ROOM } else { 0 };
        room(ground, layout, cluster + if official { ROOM_OF_OFFICIAL } else { ROOM })?;
    }
    if let Some(bytes) = observed.database.to_keep {
        // The copy, and what the migration writes meanwhile.
        room(ground, layout, bytes + bytes / 2 + ROOM)?;
    }
    if let Some(name) = &desired.user {
        let named = |mut error: Error| {
            if settled.given.contains(&"user") && error.exit == Exit::Settings {
                error.exit = Exit::Usage;
            }
            error
        };
        check_usable(Some(name)).map_err(named)?;
        if desired.wanted.get("user").is_some() {
            refuse_anothers(name, layout, observed.identity.original.is_some())?;
        }
        reachable(name, layout, ground)?;
    }
    let open = agent.and_then(|status| status.edge()).map(|edge| edge.spec.listen);
    if open != Some(desired.listen) {
        let own = agent.map(|status| status.agent_pid);
        let is_own = |taken: &port::PortError| own.is_some() && taken.holder() == own;
        let free = port::check(desired.listen.into());
        let free = free.or_else(|taken| if is_own(&taken) { Ok(()) } else { Err(taken) });
        free.map_err(|taken| in_a_copy(taken.into(), layout, observed))?;
    }
    if let Some(taken) = &settled.taken {
        take_over::check_stopped(taken)?;
    }
    if !observed.database.exists || observed.directory.secrets {
        return Ok(());
    }
    match &settled.location {
        Location::File | Location::Managed(_) => {
            let missing = layout.secrets().display().to_string();
            Err(Error::not_ready(format!("{missing} is missing, and there is a database that it belongs to"))
                .hint("put it back from a backup; nothing has been changed"))
        }
        Location::Server(_) => take_over::check(layout, settled, observed),
    }
}

/// A copy wants the port of its original: how it gets one of its own.
fn in_a_copy(taken: Error, layout: &Layout, observed: &Observed) -> Error {
    let Some((original, true)) = &observed.identity.original else { return taken };
    let what = format!(
        "{}. {} is a copy of {}, which runs",
        taken.what,
        layout.root().display(),
        original.root().display()
    );
    Error { what, ..taken }.hint(
        "give the copy an address of its own with `mainstay up --listen ADDR:PORT` (and `--site-url URL`), or stop the original",
    )
}

/// Nobody else may rename or replace what is in the deployment's directory: root starts programs from there.
fn private(ground: &Path, layout: &Layout) -> Result<(), Error> {
    let root = layout.root();
    let look = |path: &Path| std::fs::metadata(path).map_err(|error| Error::path("look at", path, &error));
    let me = host::User::current()?;
    if ground == root {
        let meta = look(root)?;
        if meta.uid() != me.uid {
            let owner = meta.uid().to_string();
            let owner = host::User::named(&owner).map_or(owner, |user| user.name);
            return Err(Error::not_ready(format!(
                "{} belongs to {owner}, and this runs as {me}",
                root.display()
            ))
            .hint(hint!(
                "run this as {}, or make it yours: `chown {} {}`",
                owner,
                me.name,
                root.display()
            )));
        }
        if open_to(meta.mode(), layout.place().strangers_write()) {
            return Err(Error::not_ready(format!(
                "{} can be written by others than its owner (mode {:04o})",
                root.display(),
                meta.mode() & 0o7777
            ))
            .hint(hint!("close it: `chmod go-w {}`", root.display())));
        }
    }
    if !me.is_root() {
        return Ok(());
    }
    let real = std::fs::canonicalize(ground).map_err(|error| Error::path("look at", ground, &error))?;
    for above in real.ancestors().skip(usize::from(ground == root)) {
        if open_to(look(above)?.mode(), 0o002) {
            return Err(Error::not_ready(format!(
                "{} can be written by everybody, so anybody could replace {}",
                above.display(),
                root.display()
            ))
            .hint(hint!(
                "close it: `chmod o-w {}`, or {}",
                above.display(),
                layout.elsewhere("elsewhere")
            )));
        }
    }
    Ok(())
}

/// Whether one of the write bits is set. In a sticky directory, as `/tmp`, nobody can replace what is another's.
fn open_to(mode: u32, write: u32) -> bool {
    mode & write != 0 && mode & 0o1000 == 0
}

fn room(ground: &Path, layout: &Layout, needed: u64) -> Result<(), Error> {
    let free = host::disk::free(ground)?;
    let otherwise = match layout.journal().exists() {
        true => "let `mainstay release prune` delete the releases that are not needed".to_owned(),
        false => layout.elsewhere("on another disk"),
    };
    if free.bytes < needed {
        return Err(Error::not_ready(format!(
            "the disk of {} is full: {} MB are free, {} MB are needed to begin with",
            ground.display(),
            free.bytes >> 20,
            needed >> 20
        ))
        .hint(format!("free some space there, or {otherwise}")));
    }
    if free.inodes.is_some_and(|inodes| inodes < 1000) {
        return Err(Error::not_ready(format!(
            "the file system of {} has hardly a file left to give",
            ground.display()
        ))
        .hint(format!("remove files there, or {otherwise}")));
    }
    let mount = host::disk::mount(ground)?;
    // An image brings its programs with it.
    if mount.noexec && layout.place().runs_from_directory() {
        return Err(Error::not_ready(format!(
            "{} is mounted noexec: no program can run from there",
            ground.display()
        ))
        .hint(layout.elsewhere("on another file system")));
    }
    match mount.network {
        Some(kind) => Err(Error::not_ready(format!(
            "{} is a {kind} file system, whose locks a database cannot trust",
            ground.display()
        ))
        .hint(layout.elsewhere("on a local disk"))),
        None => Ok(()),
    }
}

/// The server's user must be able to enter every directory above the deployment.
fn reachable(name: &str, layout: &Layout, ground: &Path) -> Result<(), Error> {
    // A user that is created later may enter what everybody may enter, and nothing else.
    let stranger =
        || host::User { name: name.to_owned(), uid: u32::MAX - 1, gid: u32::MAX - 1, home: "/".into() };
    let user = match host::User::named(name) {
        Ok(user) => user,
        // It is made by a step.
        Err(host::user::UserError::Unknown(_)) => stranger(),
        Err(error) => return Err(error.into()),
    };
    let below = if ground == layout.root() { layout.current() } else { ground.join("x") };
    let way = below.parent().filter(|way| way.exists()).unwrap_or(ground);
    Ok(user.can_enter(way)?)
}

/// Where Mainstay keeps a directory, there is one or nothing.
///
/// # Errors
/// Something else is there, and how to get it out of the way.
pub(crate) fn check_directories(layout: &Layout) -> Result<(), Error> {
    let mut paths = layout.dirs().map(|name| layout.root().join(name)).chain([layout.run()]);
    let Some(path) = paths.find(|path| path.symlink_metadata().is_ok() && !path.is_dir()) else {
        return Ok(());
    };
    let is = if path.is_symlink() { "a link that leads nowhere" } else { "no directory" };
    Err(Error::not_ready(format!("{} is {is}; Mainstay keeps a directory there", path.display())).hint(
        hint!("move it away: `mv {} {}.old`; nothing has been changed", path.display(), path.display()),
    ))
}

/// `current` is a link that Mainstay made, or is not there yet.
fn link(layout: &Layout) -> Result<(), Error> {
    let current = layout.current();
    let Ok(meta) = current.symlink_metadata() else { return Ok(()) };
    let problem = match std::fs::read_link(&current) {
        _ if meta.is_dir() => "is a directory".to_owned(),
        Err(_) => "is a file".to_owned(),
        Ok(target) if layout.root().join(&target).parent() != Some(&*layout.releases()) => {
            format!("leads to {}, which is not in {}", target.display(), layout.releases().display())
        }
        Ok(target) if ::release::current(&current).is_none() => {
            format!("leads to {}, which is no name of a release", target.display())
        }
        Ok(_) => return Ok(()),
    };
    Err(Error::not_ready(format!(
        "{} {problem}; Mainstay keeps the link to the active release there",
        current.display()
    ))
    .hint(hint!(
        "move it away: `mv {} {}.old`; `mainstay up` makes the link anew",
        current.display(),
        current.display()
    )))
}
