//! The sections of a manifest that say how the app is deployed.

use crate::found::Found;
use crate::located::Located;
use crate::manifest::{AwsLambda, Function, Http, Manifest, OpenFaas, OpenFaasFunction, Plugin};
use crate::object::{Object, wrong_kind};

/// Reads every section.
pub(crate) fn current(object: &Object<'_>, manifest: &mut Manifest, found: &mut Found) {
    manifest.http = object.get("http").map(|value| http(value, found));
    manifest.aws_lambda = object.get("aws_lambda").map(|value| {
        let section = Object::of(value, &["functions"], found);
        section.warn_of_unknown(found);
        AwsLambda { functions: functions(&section, found, lambda_function) }
    });
    manifest.open_faas = object.get("open_faas").map(|value| {
        let section = Object::of(value, &["functions"], found);
        section.warn_of_unknown(found);
        OpenFaas { functions: functions(&section, found, open_faas_function) }
    });
    manifest.plugin = object.get("plugin").map(|value| {
        let section = Object::of(value, &["plugin_id"], found);
        section.warn_of_unknown(found);
        Plugin { plugin_id: section.required("plugin_id", "the plugin's id", found) }
    });
    for name in ["app_type", "root_url", "plugin_id", "lambda_functions", "name"] {
        if let Some((_, value)) = object.field(name) {
            let cause =
                "Mattermost reads it only in manifests without deployment sections, and not since plugin 1.2";
            found.warning(value, format!("`{name}` is ignored"), cause, "remove it");
        }
    }
    if let Some((_, value)) = object.field("kubeless") {
        found.warning(value, "`kubeless` is ignored", "Mattermost dropped Kubeless in 2022", "remove it");
    }
}

fn http(value: &Located<'_>, found: &mut Found) -> Http {
    let section = Object::of(value, &["root_url", "use_jwt"], found);
    section.warn_of_unknown(found);
    Http {
        root_url: section.required("root_url", "the address where the app answers", found),
        use_jwt: section.bool("use_jwt", found),
    }
}

/// The functions of a section: at least one.
fn functions<T>(section: &Object<'_>, found: &mut Found, read: fn(&Located<'_>, &mut Found) -> T) -> Vec<T> {
    let Some(value) = section.get("functions") else {
        if !section.is_object {
            return Vec::new();
        }
        let what = format!("`{}` is missing", section.path("functions"));
        found.error(&section.at, what, "it is required", "list at least one function");
        return Vec::new();
    };
    list(value, found, read)
}

pub(crate) fn list<T>(
    value: &Located<'_>,
    found: &mut Found,
    read: fn(&Located<'_>, &mut Found) -> T,
) -> Vec<T> {
    let Some(items) = value.items() else { return wrong_kind(value, "a list of functions", found) };
    if items.is_empty() {
        found.error(
            value,
            format!("`{}` is empty", value.path()),
            "it is required",
            "list at least one function",
        );
    }
    items.iter().map(|item| read(item, found)).collect()
}

pub(crate) fn lambda_function(value: &Located<'_>, found: &mut Found) -> Function {
    let object = Object::of(value, &["path", "name", "handler", "runtime"], found);
    object.warn_of_unknown(found);
    Function {
        path: object.required("path", "what the paths of its calls begin with, such as \"/\"", found),
        name: object.required("name", "its name, which its .zip in the bundle has too", found),
        handler: object.required("handler", "what the runtime calls; for provided.*, \"bootstrap\"", found),
        runtime: object.required("runtime", "AWS's name of it, such as \"provided.al2023\"", found),
    }
}

fn open_faas_function(value: &Located<'_>, found: &mut Found) -> OpenFaasFunction {
    let object = Object::of(value, &["path", "name"], found);
    object.warn_of_unknown(found);
    OpenFaasFunction {
        path: object.required("path", "what the paths of its calls begin with, such as \"/\"", found),
        name: object.required("name", "its name", found),
    }
}
