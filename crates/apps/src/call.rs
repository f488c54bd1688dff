//! The calls of a manifest.

use finding::{nearest, one_line};

use crate::found::{Found, shown};
use crate::located::{Kind, Located};
use crate::manifest::Call;
use crate::object::{Object, wrong_kind};

/// What can be added to a call.
const EXPANDED: [&str; 13] = [
    "app",
    "acting_user",
    "acting_user_access_token",
    "locale",
    "channel",
    "channel_member",
    "team",
    "team_member",
    "post",
    "root_post",
    "user",
    "oauth2_app",
    "oauth2_user",
];

/// How much of it.
const LEVELS: [&str; 3] = ["id", "summary", "all"];

/// A call: a path, or an object.
pub(crate) fn read(object: &Object<'_>, name: &str, found: &mut Found) -> Option<Call> {
    let value = object.get(name)?;
    let call = match value.kind() {
        Kind::Text => Call { path: value.text().unwrap_or_default(), ..Call::default() },
        Kind::Object => whole(value, found),
        _ => return wrong_kind(value, "a path such as \"/path\", or an object", found),
    };
    if !call.path.is_empty() && !call.path.starts_with('/') {
        let what = format!("the path of `{name}` is {}", shown(&call.path));
        found.error(
            value,
            what,
            "it does not begin with `/`",
            format!("write {}", shown(&format!("/{}", call.path))),
        );
    }
    Some(call)
}

fn whole(value: &Located<'_>, found: &mut Found) -> Call {
    // Files of the first versions also say a type, which nobody reads.
    let object = Object::of(value, &["path", "expand", "state", "type"], found);
    let mut call = Call { path: object.text("path", found), ..Call::default() };
    if let Some(expand) = object.get("expand") {
        levels(expand, found);
        match expand.value() {
            Some(serde_json::Value::Object(levels)) => call.expand = levels,
            _ => wrong_kind(expand, "an object of levels", found),
        }
    }
    if let Some(state) = object.get("state") {
        call.state = state.value();
        if call.state.is_none() {
            found.error(
                state,
                format!("`{}` is not readable", state.path()),
                "it is nested too deep",
                "nest it less than 100 levels",
            );
        }
    }
    object.warn_of_unknown(found);
    call
}

/// Mattermost refuses the call, and not the manifest, for a level that it does not know.
fn levels(expand: &Located<'_>, found: &mut Found) {
    for (name, level) in expand.fields().unwrap_or_default() {
        let path = one_line(level.path(), 80);
        if !EXPANDED.contains(&name.as_str()) {
            let fix = match nearest(&name, EXPANDED) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("choose from {}", EXPANDED.join(", ")),
            };
            found.warning(&level, format!("`{path}` is unknown"), "Mattermost ignores it", fix);
        }
        let text = level.text().unwrap_or_default();
        let bare = text.strip_prefix('+').unwrap_or(&text);
        if !bare.is_empty() && !LEVELS.contains(&bare) {
            let fix = "write id, summary or all, with + in front if the call is useless without it";
            found.warning(
                &level,
                format!("`{path}` is {}", shown(&text)),
                "Mattermost refuses such a call",
                fix,
            );
        }
    }
}
