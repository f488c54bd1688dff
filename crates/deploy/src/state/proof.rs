//! Whether a server can be started and verified with its config.json: found out before the one that runs is stopped.

use release::{Edition, ReleaseId};
use serde_json::Value;
use settings::{Present, Resolved, Undeclared};

use super::config_file::{ConfigFiles, server_of, text};
use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};
use crate::world::World;

/// Checks that the server of `release` can be started with `config`, which is or becomes the deployment's config.json. `resolved` knows
/// where a value that is declared comes from.
///
/// # Errors
/// Every key with whose value it cannot, with the file and the line that says so.
pub(crate) fn prove(
    world: &World,
    release: &ReleaseId,
    config: &Value,
    resolved: Option<&Resolved>,
) -> Result<(), Error> {
    let layout = &world.layout;
    let wrong = settings::unusable(config, server_of(release));
    let mut problems: Vec<String> = wrong
        .iter()
        .map(|wrong| {
            let place = place(layout, &wrong.section, &wrong.key, resolved);
            format!("{place}: `{}` {}; {}", wrong.path(), wrong.problem, wrong.allowed)
        })
        .collect();
    // By the code that the server itself reads it with; what it says of a shape is said already.
    if problems.is_empty()
        && release.edition == Edition::Builtin
        && let Some(read) = world.builtin
        && let Err(unreadable) = read(&String::from_utf8_lossy(&text(config)?))
    {
        let key = unreadable.key.unwrap_or_default();
        let (section, name) = key.split_once('.').unwrap_or((&key, ""));
        let place = place(layout, section, name, resolved);
        problems.push(match key.is_empty() {
            true => format!("{}: {}", layout.config().display(), unreadable.problem),
            false => format!("{place}: `{key}` {}", unreadable.problem),
        });
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(Exit::Settings, problems.join("\n"))
        .hint(
        "correct the value there, remove the key for its default, or declare it in mainstay.toml, which outranks the System Console; \
         nothing has been changed",
    ))
}

/// The same for what the settings alone make of config.json; without `config`, of one that is not there yet.
///
/// # Errors
/// As [`prove`].
pub(crate) fn prove_next(
    world: &World,
    release: &ReleaseId,
    config: Option<&ConfigFiles>,
    resolved: &Resolved,
) -> Result<(), Error> {
    let shipped = Value::Object(serde_json::Map::new());
    let nothing = Present { config: None, shipped: &shipped, memory: None };
    let present = config.map_or(nothing, ConfigFiles::present);
    let next = settings::reconcile(resolved, &[], present, Undeclared::GoesBack);
    prove(world, release, &next.config, Some(resolved))
}

/// Which line says a value: of `mainstay.toml` or the environment where it is declared, otherwise of config.json.
pub(crate) fn place(layout: &Layout, section: &str, key: &str, resolved: Option<&Resolved>) -> String {
    let setting = resolved.and_then(|resolved| resolved.setting(section, key));
    let declared = setting.filter(|setting| setting.is_declared()).and_then(settings::Setting::origin);
    if let Some(origin) = declared {
        return origin.to_string();
    }
    let path = layout.config();
    let content = host::disk::read_guarded(&path, FILE_LIMIT);
    let text = content.map(|content| String::from_utf8_lossy(&content.bytes).into_owned());
    match text.ok().and_then(|text| line_of(&text, section, key)) {
        Some(line) => format!("{}:{line}", path.display()),
        None => path.display().to_string(),
    }
}

/// The line of a key in a JSON text, from 1: its section's first line, then the last name of the key after that.
fn line_of(text: &str, section: &str, key: &str) -> Option<usize> {
    let names = std::iter::once(section).chain(key.split('.').filter(|name| !name.is_empty()));
    let text = text.to_lowercase();
    let mut at = 0;
    for name in names {
        let quoted = format!("\"{}\"", name.to_lowercase());
        loop {
            at += text.get(at..)?.find(&quoted)? + quoted.len();
            // A value may have the same text.
            if text[at..].trim_start().starts_with(':') {
                break;
            }
        }
    }
    Some(text[..at].matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_at_its_line() {
        let text = "{\n \"TeamSettings\": {\n  \"SiteName\": \"EnableSVGs\"\n },\n \"ServiceSettings\": {\n  \"SiteURL\": \"\",\n  \"enablesvgs\"\n : 5\n }\n}";
        assert_eq!(line_of(text, "TeamSettings", "SiteName"), Some(3));
        assert_eq!(line_of(text, "ServiceSettings", "EnableSVGs"), Some(7));
        assert_eq!(line_of(text, "ServiceSettings", ""), Some(5));
        assert_eq!(line_of(text, "ServiceSettings", "Missing"), None);
    }
}
