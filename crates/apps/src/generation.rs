//! The formats that manifests had before plugin 1.0, read as what they mean today.

use crate::found::Found;
use crate::located::{Kind, Located};
use crate::manifest::{AwsLambda, Function, Http, Manifest, Plugin};
use crate::object::Object;
use crate::section;

/// Which format a manifest is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Generation {
    /// Plugin 0.1: `lambda_functions`, of which only the first was called.
    First,
    /// Plugin 0.2 to 0.7: `app_type`, a list `aws_lambda`, `root_url` and `plugin_id` at the top.
    Second,
    /// Plugin 1.0 and later: a section for each way to deploy it.
    Current,
}

impl Generation {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::First => "the format of the Apps plugin 0.1",
            Self::Second => "the format of the Apps plugin 0.2 to 0.7",
            Self::Current => "the current format",
        }
    }
}

/// What to do with a manifest of an old format.
pub(crate) const CONVERT: &str = "convert the manifest with `mainstay apps convert FILE`";

/// The format of a manifest: the current one as soon as there is a section.
pub(crate) fn of(object: &Object<'_>) -> Generation {
    let has = |name: &str| object.get(name).is_some();
    let is_list = object.get("aws_lambda").is_some_and(|value| value.kind() == Kind::List);
    match () {
        () if is_list => Generation::Second,
        () if ["aws_lambda", "http", "open_faas", "plugin"].into_iter().any(has) => Generation::Current,
        () if has("lambda_functions") => Generation::First,
        () if ["app_type", "root_url", "plugin_id"].into_iter().any(has) => Generation::Second,
        () => Generation::Current,
    }
}

/// Reads the deployment of an old format.
pub(crate) fn old(generation: Generation, object: &Object<'_>, manifest: &mut Manifest, found: &mut Found) {
    if generation == Generation::First {
        if let Some(value) = object.get("lambda_functions") {
            let mut functions = section::list(value, found, first_function);
            functions.truncate(1);
            manifest.aws_lambda = Some(AwsLambda { functions });
        }
        warn(object, "lambda_functions", generation, found);
        return;
    }
    let kind = object.text("app_type", found);
    let root_url = object.text("root_url", found);
    let plugin_id = object.text("plugin_id", found);
    if let Some(value) = object.get("aws_lambda").cloned() {
        let functions = section::list(&value, found, section::lambda_function);
        manifest.aws_lambda = Some(AwsLambda { functions });
        warn(object, "aws_lambda", generation, found);
    }
    match kind.as_str() {
        "http" => {
            let root_url = object.required("root_url", "the address where the app answers", found);
            manifest.http = Some(Http { root_url, use_jwt: false });
        }
        "plugin" => {
            let plugin_id = object.required("plugin_id", "the plugin's id", found);
            manifest.plugin = Some(Plugin { plugin_id });
        }
        "aws_lambda" if manifest.aws_lambda.is_none() => {
            let fix = "list at least one function in `aws_lambda`";
            found.error(&object.at, "`aws_lambda` is missing", "`app_type` is aws_lambda", fix);
        }
        "aws_lambda" => {}
        "" if manifest.aws_lambda.is_none() && !root_url.is_empty() => {
            manifest.http = Some(Http { root_url, use_jwt: false });
        }
        "" if manifest.aws_lambda.is_none() && !plugin_id.is_empty() => {
            manifest.plugin = Some(Plugin { plugin_id });
        }
        "" => {}
        other => {
            let at = object.get("app_type").unwrap_or(&object.at);
            let what = format!("`app_type` is {}", crate::found::shown(other));
            found.error(at, what, "there is no such type", "write http, aws_lambda or plugin");
        }
    }
    for name in ["app_type", "root_url", "plugin_id"] {
        if name == "app_type" || manifest.aws_lambda.is_none() {
            warn(object, name, generation, found);
        }
    }
}

/// A function of the first format: it has no path, and answers every call.
fn first_function(value: &Located<'_>, found: &mut Found) -> Function {
    let object = Object::of(value, &["name", "handler", "runtime", "path"], found);
    object.warn_of_unknown(found);
    Function {
        path: "/".to_owned(),
        name: object.required("name", "its name, which its .zip in the bundle has too", found),
        handler: object.required("handler", "what the runtime calls", found),
        runtime: object.required("runtime", "AWS's name of it", found),
    }
}

fn warn(object: &Object<'_>, name: &str, generation: Generation, found: &mut Found) {
    if let Some(value) = object.get(name) {
        let what = format!("`{name}` belongs to {}", generation.words());
        let cause = "Mattermost does not read it since plugin 1.2";
        found.warning(value, what, cause, CONVERT);
    }
}
