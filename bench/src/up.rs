//! Time from an empty directory to a verified deployment, and time for `--help`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use xtask::run::Failure;

use crate::deployment::{Deployment, resident_mb};
use crate::{Spread, row};

const RUNS: usize = 5;

pub(crate) fn run(mainstay: &Path) -> Result<(), Failure> {
    let (mut whole, mut again, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let deployment = Deployment::empty(mainstay)?;
        let began = Instant::now();
        deployment.up()?;
        whole.push(began.elapsed().as_secs_f64() * 1000.0);
        memory.push(deployment.pids()?.into_iter().map(resident_mb).sum::<Result<f64, _>>()?);
        let began = Instant::now();
        deployment.up()?;
        again.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    // For comparison, `true`: what it takes to start any process on this machine.
    let (mut help, mut nothing) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        help.push(wall(Command::new(mainstay).arg("--help"))?);
        nothing.push(wall(&mut Command::new("/bin/true"))?);
    }
    let (help, nothing) = (Spread::of(help), Spread::of(nothing));
    println!("\n{:<44} {:<34} aim", "median (least to most)", "");
    row("empty directory to verified, ms", &Spread::of(whole), "<= 3000");
    row("second up, ms", &Spread::of(again), "");
    row("agent + server resident, MB", &Spread::of(memory), "<= 80");
    row("mainstay --help, ms", &help, "<= 20");
    row("/bin/true, ms", &nothing, "");
    row("ratio --help : true", &format!("{:>10.1}", help.median / nothing.median), "");
    Ok(())
}

/// How long a command takes, in ms. It must succeed.
pub(crate) fn wall(command: &mut Command) -> Result<f64, Failure> {
    let began = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() {
        Ok(began.elapsed().as_secs_f64() * 1000.0)
    } else {
        Err(Failure(format!("{status}")))
    }
}
