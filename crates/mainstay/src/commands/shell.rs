//! `mainstay shell`

use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;

use deploy::{Error, World};

use crate::exit::Exit;

/// Becomes the shell: its exit code is ours.
pub(super) fn run(world: &World) -> Result<Exit, Error> {
    let layout = &world.layout;
    if !layout.current().exists() {
        return Err(Error::not_ready(format!("there is no deployment in {}", layout.root().display()))
            .hint("install one with `mainstay up`, or name its directory with `--dir`"));
    }
    let shell =
        std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into());
    let mut path = layout.current().join("bin").into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let error: std::io::Error = match exec(
        std::process::Command::new(&shell)
            .current_dir(layout.root())
            .env("PATH", path)
            .env("MAINSTAY_DIR", layout.root())
            .env("MM_CONFIG", layout.config()),
    ) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    Err(Error::path("run", std::path::PathBuf::from(shell), &error))
}

fn exec(command: &mut std::process::Command) -> std::io::Result<Infallible> {
    Err(command.exec())
}
