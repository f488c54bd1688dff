//! The built-in server: this binary, called as `mattermost`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use server::contract::{self, Invocation};
use server::{Config, Front};
use tokio_util::sync::CancellationToken;

use crate::printer::Printer;

/// Arguments that make no sense, as Mattermost's own command line ends.
const USAGE: u8 = 1;

#[expect(
    clippy::disallowed_methods,
    reason = "the place where the environment of the built-in server comes in"
)]
pub(crate) fn main() -> ExitCode {
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let commands = Box::leak(Box::new(deploy::Commands::at(deploy::Place::of(&env))));
    let printer = Printer { json: false, verbose: false, commands };
    let outcome = match contract::parse(&args, &env) {
        Ok(Invocation::Version) => {
            printer.raw(&contract::version_text());
            Ok(())
        }
        Ok(Invocation::Help) => {
            printer.raw(&contract::help_text());
            Ok(())
        }
        Ok(Invocation::Migrate { config }) => {
            Config::load(&config, &env).map_err(|error| error.to_string()).and_then(|config| migrate(&config))
        }
        Ok(Invocation::MigrateDry { config }) => Config::load(&config, &env)
            .map_err(|error| error.to_string())
            .and_then(|config| is_pending(&config))
            .map(|is_pending| {
                // Word for word what the official server says.
                printer.raw(if is_pending {
                    "There are migrations to apply.\n"
                } else {
                    "No migrations to apply.\n"
                });
            }),
        Ok(Invocation::Serve { config }) => {
            Config::load(&config, &env).map_err(|error| error.to_string()).and_then(serve)
        }
        Err(error) => {
            printer.say(&error.to_string());
            return ExitCode::from(USAGE);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            printer.say(&why);
            ExitCode::FAILURE
        }
    }
}

/// Reads a config.json as the server does when it starts. The agent overrules nothing of it but the address to listen at.
pub(crate) fn read_config(text: &str) -> Result<(), deploy::Unreadable> {
    use server::ConfigError;
    match Config::from_json(Path::new("config.json"), text, &BTreeMap::new()) {
        Ok(_) => Ok(()),
        Err(ConfigError::Value { key, value, allowed, .. }) => {
            Err(deploy::Unreadable { key: Some(key), problem: format!("is {value}; allowed: {allowed}") })
        }
        Err(error) => Err(deploy::Unreadable { key: None, problem: error.to_string() }),
    }
}

fn migrate(config: &Config) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(server::migrate(config)).map_err(|error| error.to_string())
}

fn is_pending(config: &Config) -> Result<bool, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(server::is_pending(config)).map_err(|error| error.to_string())
}

fn serve(config: Config) -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    tracing_subscriber::fmt().json().with_writer(std::io::stdout).with_max_level(tracing::Level::INFO).init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let front = Front::listen(&config).await.map_err(|error| error.to_string())?;
        let stop = CancellationToken::new();
        let mut terminated = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut interrupted = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
            stopped.cancel();
        });
        server::serve(config, front, stop).await.map_err(|error| error.to_string())
    })
}
