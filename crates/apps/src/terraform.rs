//! What Terraform needs to know to deploy a bundle: the names of functions and objects.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::go::as_go_escapes;
use crate::{Bundle, names};

#[derive(Serialize)]
struct Data<'b> {
    static_files: BTreeMap<&'b str, StaticFile>,
    lambda_functions: BTreeMap<&'b str, LambdaFunction<'b>>,
    manifest_key: String,
}

#[derive(Serialize)]
struct StaticFile {
    key: String,
}

#[derive(Serialize)]
struct LambdaFunction<'b> {
    name: String,
    handler: &'b str,
    runtime: &'b str,
}

/// The data of a bundle, byte for byte as Mattermost's tool writes it: JSON with tabs, and a line's end.
pub fn terraform_data(bundle: &Bundle) -> String {
    let manifest = &bundle.manifest;
    let (id, version) = (manifest.app_id.as_str(), manifest.version.as_str());
    let static_files = bundle
        .assets
        .iter()
        .map(|asset| (asset.name.as_str(), StaticFile { key: names::static_key(id, version, &asset.name) }))
        .collect();
    let lambda_functions = bundle
        .functions
        .iter()
        .map(|package| &package.function)
        .map(|function| {
            let name = names::lambda(id, version, &function.name);
            let (handler, runtime) = (function.handler.as_str(), function.runtime.as_str());
            (function.name.as_str(), LambdaFunction { name, handler, runtime })
        })
        .collect();
    let data = Data { static_files, lambda_functions, manifest_key: names::manifest_key(id, version) };
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    // Maps of texts, written to memory: neither can fail.
    let _ = data.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter));
    let mut text = as_go_escapes(&String::from_utf8_lossy(&text));
    text.push('\n');
    text
}
