//! Benchmarks. Each measures two sides in one run and prints their ratio, because machines are noisy.
//!
//! `bench NAME PROGRAM`: `cargo xtask bench NAME` builds the program and calls this.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool talks to its developer")]

mod apps;
mod apps_aws;
mod apps_local;
mod backup;
mod deployment;
mod edge;
mod image;
mod release;
mod server;
mod settings;
mod up;
mod upgrade;

use std::path::Path;
use std::process::ExitCode;

use xtask::run::Failure;

fn main() -> ExitCode {
    #[expect(
        clippy::disallowed_methods,
        reason = "a function learns from its environment where its calls are"
    )]
    if let Ok(api) = std::env::var(apps_local::API) {
        return match apps_local::function(&api) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["up", mainstay] => up::run(Path::new(mainstay)),
        ["upgrade", mainstay] => upgrade::run(Path::new(mainstay)),
        ["server", mainstay] => server::run(Path::new(mainstay)),
        ["apps", mainstay] => apps::run(Path::new(mainstay))
            .and_then(|()| apps_local::run(Path::new(mainstay)))
            .and_then(|()| apps_aws::run(Path::new(mainstay))),
        ["settings", mainstay] => settings::run(Path::new(mainstay)),
        ["image", mainstay] => image::run(Path::new(mainstay)),
        ["release", mainstay] => release::run(Path::new(mainstay)),
        ["release-worker", mainstay, dir, site, key] => {
            release::work(Path::new(mainstay), Path::new(dir), site, key)
        }
        ["backup", mainstay] => backup::run(Path::new(mainstay)),
        ["edge", relay] => edge::run(Path::new(relay)),
        _ => Err(Failure(
            "usage: cargo xtask bench up|upgrade|server|settings|image|edge|apps|release|backup".to_owned(),
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(what)) => {
            eprintln!("{what}");
            ExitCode::FAILURE
        }
    }
}

/// Smallest, median and largest of some measurements.
pub(crate) struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    /// Needs at least one measurement.
    pub(crate) fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        Self { least: at(0), median: at(figures.len() / 2), most: at(figures.len().saturating_sub(1)) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { least, median, most } = self;
        write!(f, "{median:>10.1} ({least:.1} to {most:.1})")
    }
}

/// One line of a table: what was measured, the figure, and its target.
pub(crate) fn row(what: &str, figure: &impl std::fmt::Display, aim: &str) {
    println!("{what:<44} {figure:<34} {aim}");
}
