//! What Mattermost demands of a whole manifest, beyond the form of each value.

use finding::nearest;

use crate::found::{Found, shown};
use crate::manifest::Manifest;
use crate::object::Object;
use crate::rules;

/// What an app may ask for, and what it must then ask for too.
const PERMISSIONS: [(&str, Option<&str>); 5] = [
    ("act_as_bot", None),
    ("act_as_user", None),
    ("remote_oauth2", Some("act_as_user")),
    ("remote_webhooks", Some("act_as_bot")),
    ("user_joined_channel_notification", Some("act_as_bot")),
];

/// Where in the clients an app may add something.
const LOCATIONS: [&str; 4] = ["/post_menu", "/channel_header", "/command", "/in_post"];

/// Checks everything.
pub(crate) fn check(manifest: &Manifest, object: &Object<'_>, found: &mut Found) {
    identity(manifest, object, found);
    webhooks(manifest, object, found);
    icon(manifest, object, found);
    permissions(manifest, object, found);
    locations(manifest, object, found);
    deployment(manifest, object, found);
}

fn identity(manifest: &Manifest, object: &Object<'_>, found: &mut Found) {
    let at = |name| object.get(name).unwrap_or(&object.at);
    let Manifest { app_id: id, version, homepage_url: homepage, .. } = manifest;
    if let (false, Err(why)) = (id.is_empty(), rules::app_id(id)) {
        let what = format!("`app_id` is {}", shown(id));
        found.error(at("app_id"), what, why, format!("choose {}", rules::APP_ID));
    }
    if id == "apps" {
        let cause = "Mattermost's own app has this id";
        found.error(at("app_id"), "`app_id` is `apps`", cause, "choose another");
    }
    if let Err(why) = rules::version(version) {
        let what = format!("`version` is {}", shown(version));
        found.error(at("version"), what, why, format!("choose {}", rules::VERSION));
    } else if version.contains('_') {
        let cause = "in lists of deployed apps, Mattermost takes what stands before its last `_` for a part of the id";
        found.warning(at("version"), format!("`version` is {}", shown(version)), cause, "use `-` or `.`");
    }
    if let (false, Err(why)) = (homepage.is_empty(), rules::http_url(homepage)) {
        let what = format!("`homepage_url` is {}", shown(homepage));
        found.error(at("homepage_url"), what, why, "write an address such as \"https://example.org\"");
    }
}

fn webhooks(manifest: &Manifest, object: &Object<'_>, found: &mut Found) {
    let kind = manifest.remote_webhook_auth_type.as_str();
    if !matches!(kind, "" | "secret" | "none") {
        let at = object.get("remote_webhook_auth_type").unwrap_or(&object.at);
        let what = format!("`remote_webhook_auth_type` is {}", shown(kind));
        found.warning(at, what, "Mattermost refuses every webhook with it", "write secret or none");
    }
}

fn icon(manifest: &Manifest, object: &Object<'_>, found: &mut Found) {
    let (icon, at) = (&manifest.icon, object.get("icon").unwrap_or(&object.at));
    let what = format!("`icon` is {}", shown(icon));
    match rules::static_path(icon) {
        _ if icon.is_empty() => {}
        Err(why) => {
            found.error(at, what, why, "write the path of a file below static/, such as \"icon.png\"");
        }
        Ok(_) if icon.contains("://") => {
            let cause = "Mattermost looks for it below static/ and does not find it";
            found.warning(at, what, cause, "put the file into static/ and write its path there");
        }
        Ok(_) if icon.starts_with('/') && manifest.aws_lambda.is_some() => {
            let cause = "on AWS Mattermost asks for a key with two slashes and does not find it";
            let fix = format!("write {}", shown(icon.trim_start_matches('/')));
            found.warning(at, what, cause, fix);
        }
        Ok(_) => {}
    }
}

fn permissions(manifest: &Manifest, object: &Object<'_>, found: &mut Found) {
    let list =
        object.get("requested_permissions").and_then(crate::located::Located::items).unwrap_or_default();
    let asked = &manifest.requested_permissions;
    for (permission, at) in asked.iter().zip(&list) {
        match PERMISSIONS.iter().find(|(name, _)| name == permission) {
            Some((_, Some(needed))) if !asked.iter().any(|other| other == needed) => {
                let what = format!("{} is requested without `{needed}`", shown(permission));
                found.error(at, what, "it needs that one", format!("request `{needed}` too"));
            }
            Some(_) => {}
            None => {
                let names = PERMISSIONS.map(|(name, _)| name);
                let fix = match nearest(permission, names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("choose from {}", names.join(", ")),
                };
                let what = format!("{} is no permission", shown(permission));
                found.warning(at, what, "Mattermost grants nothing for it", fix);
            }
        }
    }
}

fn locations(manifest: &Manifest, object: &Object<'_>, found: &mut Found) {
    let list = object.get("requested_locations").and_then(crate::located::Located::items).unwrap_or_default();
    for (location, at) in manifest.requested_locations.iter().zip(&list) {
        let first = location.split_inclusive('/').take(2).collect::<String>();
        let first = first.trim_end_matches('/');
        if !LOCATIONS.contains(&first) {
            let fix = match nearest(location, LOCATIONS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("choose from {}", LOCATIONS.join(", ")),
            };
            let what = format!("{} is no location", shown(location));
            found.warning(at, what, "no client shows anything there", fix);
        }
    }
}

fn deployment(manifest: &Manifest, object: &Object<'_>, found: &mut Found) {
    if let Some(http) = &manifest.http
        && let url = &http.root_url
        && !url.is_empty()
    {
        let section = object.get("http").and_then(crate::located::Located::fields).unwrap_or_default();
        let at = section.iter().find(|(name, _)| name.eq_ignore_ascii_case("root_url"));
        let at = at.map(|(_, value)| value).or_else(|| object.get("root_url")).unwrap_or(&object.at);
        let path = if at.path().is_empty() { "root_url" } else { at.path() };
        let what = format!("`{path}` is {}", shown(url));
        let fix = "write an address such as \"https://example.org/app\"";
        match rules::http_url(url) {
            Err(why) => found.error(at, what, why, fix),
            Ok(()) if url.contains(['?', '#']) => {
                let cause = "with a query or fragment, the path of a call would become a part of it";
                found.error(at, what, cause, fix);
            }
            Ok(()) => {}
        }
    }
    let has_section =
        ["aws_lambda", "http", "open_faas", "plugin"].iter().any(|name| object.get(name).is_some());
    if manifest.deploy_types().is_empty() && !has_section {
        let cause = match () {
            () if object.get("kubeless").is_some() => "Mattermost dropped Kubeless in 2022",
            () => "nothing says how the app is deployed",
        };
        let fix = "add `\"http\": {\"root_url\": \"https://example.org/app\"}`, or a section aws_lambda, open_faas or plugin";
        found.error(&object.at, "there is no deployment section", cause, fix);
    }
}
