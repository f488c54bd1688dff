//! `mainstay shell`: as the server's user, because what is on the path there is the server's, and root trusts nothing of it.

use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use deploy::{Error, Place, World};

use crate::cli;
use finding::Exit;

/// Becomes the shell: its exit code is ours.
#[expect(clippy::disallowed_methods, reason = "the shell is the one that the person who asks uses")]
pub(super) fn run(world: &World, args: &cli::Shell) -> Result<Exit, Error> {
    let layout = &world.layout;
    deploy::refuse_not_installed(layout)?;
    if args.what == Some(cli::Inside::Database) {
        return database(world, args);
    }
    if !args.arguments.is_empty() {
        return Err(Error::new(
            Exit::Usage,
            "only `mainstay shell database` takes arguments, which psql gets",
        ));
    }
    let shell =
        std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into());
    let mut path = layout.current().join("bin").into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new(&shell);
    command
        .current_dir(layout.root())
        .env("PATH", path)
        .env("MAINSTAY_DIR", layout.root())
        .env("MM_CONFIG", layout.config());
    if let Some(user) = server_user(world)? {
        // Root's further groups are dropped with the user id.
        command.uid(user.uid).gid(user.gid);
        command.env("HOME", &user.home).env("USER", &user.name).env("LOGNAME", &user.name);
    }
    let error: std::io::Error = match exec(&mut command) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    if error.kind() == std::io::ErrorKind::NotFound && layout.place() == Place::Container {
        return Err(Error::not_ready(format!("this image has no shell ({} does not exist)", shell.display())).hint(
            "run one command at a time: `docker exec CONTAINER mainstay status`, `logs`, `settings list`, `verify`, or `mattermost version`; \
             copy files with `docker cp CONTAINER:/opt/mattermost/data/...`; or make an image with a shell: \
             `mainstay image build --format context`, with another FROM in its Dockerfile",
        ));
    }
    Err(Error::path("run", std::path::PathBuf::from(shell), &error))
}

/// Becomes psql. The password is in its environment, which nobody else can read, and in no argument.
fn database(world: &World, args: &cli::Shell) -> Result<Exit, Error> {
    let client = deploy::database_shell(world)?;
    let mut command = Command::new(&client.program);
    command.args(&client.args).args(&args.arguments).current_dir("/");
    if let Some(password) = &client.password {
        command.env("PGPASSWORD", secrecy::ExposeSecret::expose_secret(password));
    }
    match exec(&mut command) {
        Ok(never) => match never {},
        Err(error) => Err(Error::path("run", client.program, &error)),
    }
}

/// Who the server runs as, where that is another than we are.
fn server_user(world: &World) -> Result<Option<host::User>, Error> {
    if !host::User::current()?.is_root() {
        return Ok(None);
    }
    let wanted = deploy::wanted_file(&world.layout)?;
    let name = wanted.get("user").map_or_else(|| deploy::default_user(&world.layout), str::to_owned);
    let user = host::User::named(&name)?;
    Ok((!user.is_root()).then_some(user))
}

fn exec(command: &mut Command) -> std::io::Result<Infallible> {
    Err(command.exec())
}
