//! Reads a manifest: every mistake at once, each with its path and line.
//!
//! Mattermost's plugin decodes with Go: an unknown key is ignored, a key may be written in other case, null is the same as nothing.
//! What it ignores is a warning here; what it refuses, or what can never work, is an error.

use std::path::Path;

use finding::{Exit, Finding};

use crate::Error;
use crate::found::Found;
use crate::generation::{self, Generation};
use crate::located::{Kind, Located};
use crate::manifest::Manifest;
use crate::object::Object;
use crate::{call, checks, rules, section};

/// How large a manifest may be, in bytes: that is all that Mattermost reads of one.
pub const MANIFEST_LIMIT: u64 = 1024 * 1024;

/// The fields of a manifest, and those of the formats before plugin 1.0.
const FIELDS: [&str; 29] = [
    "SchemaVersion",
    "app_id",
    "version",
    "homepage_url",
    "display_name",
    "description",
    "icon",
    "bindings",
    "on_install",
    "on_version_changed",
    "on_uninstall",
    "on_enable",
    "on_disable",
    "get_oauth2_connect_url",
    "on_oauth2_complete",
    "on_remote_webhook",
    "requested_permissions",
    "remote_webhook_auth_type",
    "requested_locations",
    "aws_lambda",
    "http",
    "open_faas",
    "plugin",
    "kubeless",
    "app_type",
    "root_url",
    "plugin_id",
    "lambda_functions",
    "name",
];

impl Manifest {
    /// Reads a manifest of any format, and checks all of it. `name` is the file's name in messages. What is found and does not make it
    /// unusable comes back beside it.
    ///
    /// # Errors
    /// It is no JSON object, or a rule is broken: with everything that was found.
    pub fn read(name: &Path, bytes: &[u8]) -> Result<(Self, Vec<Finding>), Error> {
        let read = read(name, bytes, &Given::default())?;
        Ok((read.manifest, read.warnings))
    }
}

/// A manifest, the format that it is written in, and the warnings.
#[derive(Debug)]
pub(crate) struct Read {
    pub manifest: Manifest,
    pub generation: Generation,
    pub warnings: Vec<Finding>,
}

/// What a person says about a manifest that says nothing of it.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The name that people see.
    pub display_name: Option<String>,
    /// An address about the app.
    pub homepage_url: Option<String>,
    /// Whether old formats may lack the name that people see.
    pub is_conversion: bool,
}

pub(crate) fn read(name: &Path, bytes: &[u8], given: &Given) -> Result<Read, Error> {
    let whole = whole(name, bytes)?;
    let mut found = Found::new(name);
    let object = Object::of(&whole, &FIELDS, &mut found);
    let (manifest, generation) = fields(&object, given, &mut found);
    checks::check(&manifest, &object, &mut found);
    let warnings = found.outcome(&name.display().to_string())?;
    Ok(Read { manifest, generation, warnings })
}

/// The outermost object.
fn whole<'a>(name: &Path, bytes: &'a [u8]) -> Result<Located<'a>, Error> {
    if bytes.len() as u64 > MANIFEST_LIMIT {
        let what = format!("{} is larger than {MANIFEST_LIMIT} bytes", name.display());
        return Err(Error::new(Exit::Settings, what).hint("Mattermost reads no more of a manifest"));
    }
    let whole = Located::parse(bytes).map_err(|not| {
        let what = format!("{}:{}: it is not JSON: {}", name.display(), not.line, not.why);
        Error::new(Exit::Settings, what).hint("a manifest is one JSON object in UTF-8 and nothing after it")
    })?;
    match whole.kind() {
        Kind::Object => Ok(whole),
        other => {
            let what = format!("{} is {}, not an object", name.display(), other.words());
            Err(Error::new(Exit::Settings, what).hint("write one with `mainstay apps init`"))
        }
    }
}

/// What the file says, as far as it can be read.
fn fields(object: &Object<'_>, given: &Given, found: &mut Found) -> (Manifest, Generation) {
    let generation = generation::of(object);
    let mut manifest = Manifest {
        schema_version: object.text("SchemaVersion", found),
        app_id: object.required("app_id", rules::APP_ID, found),
        version: object.text("version", found),
        homepage_url: given.homepage_url.clone().unwrap_or_else(|| {
            object.required("homepage_url", "an address such as \"https://example.org\"", found)
        }),
        display_name: display_name(object, given, generation, found),
        description: object.text("description", found),
        icon: object.text("icon", found),
        bindings: call::read(object, "bindings", found),
        on_install: call::read(object, "on_install", found),
        on_version_changed: call::read(object, "on_version_changed", found),
        on_uninstall: call::read(object, "on_uninstall", found),
        on_enable: call::read(object, "on_enable", found),
        on_disable: call::read(object, "on_disable", found),
        get_oauth2_connect_url: call::read(object, "get_oauth2_connect_url", found),
        on_oauth2_complete: call::read(object, "on_oauth2_complete", found),
        on_remote_webhook: call::read(object, "on_remote_webhook", found),
        requested_permissions: object.texts("requested_permissions", found),
        remote_webhook_auth_type: object.text("remote_webhook_auth_type", found),
        requested_locations: object.texts("requested_locations", found),
        ..Manifest::default()
    };
    match generation {
        Generation::Current => section::current(object, &mut manifest, found),
        Generation::First | Generation::Second => {
            generation::old(generation, object, &mut manifest, found);
        }
    }
    object.warn_of_unknown(found);
    (manifest, generation)
}

/// The name that people see, which old formats need not have.
fn display_name(object: &Object<'_>, given: &Given, generation: Generation, found: &mut Found) -> String {
    if let Some(name) = &given.display_name {
        return name.clone();
    }
    let may_lack = given.is_conversion && generation != Generation::Current;
    if may_lack && object.get("display_name").is_none() {
        let name = object.text("name", found);
        return if name.is_empty() { object.text("app_id", found) } else { name };
    }
    object.required("display_name", "the name that people see", found)
}
