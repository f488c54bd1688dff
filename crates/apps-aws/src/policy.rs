//! The invoke policy: which functions Mattermost may call. Its document is changed as JSON, so that whatever else stands in it stays.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// How many characters AWS allows in a managed policy; white space does not count.
pub(crate) const LIMIT: usize = 6144;
/// How many versions AWS keeps of a managed policy.
pub(crate) const VERSIONS: usize = 5;

const SID: &str = "AllowLambda";
const ACTION: &str = "lambda:InvokeFunction";

/// A changed document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Changed {
    pub(crate) document: Value,
    /// ARNs of functions that no longer exist, removed because there was no room.
    pub(crate) pruned: Vec<String>,
}

/// The document does not fit, also without functions that no longer exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong {
    pub(crate) characters: usize,
}

/// The policy as `apps aws init` makes it: Mattermost may read manifests and static files.
pub(crate) fn initial(partition: &str, bucket: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AllowS3",
                "Effect": "Allow",
                "Action": ["s3:GetObject"],
                "Resource": [
                    format!("arn:{partition}:s3:::{bucket}/manifests/*"),
                    format!("arn:{partition}:s3:::{bucket}/static/*"),
                ],
            },
            // Without it a missing file is 403, not 404.
            {
                "Sid": "AllowS3list",
                "Effect": "Allow",
                "Action": ["s3:ListBucket"],
                "Resource": [format!("arn:{partition}:s3:::{bucket}")],
            },
        ],
    })
}

/// The document with these functions allowed and those not; nothing where it says so already. `is_gone` knows which ARNs name
/// functions that no longer exist: they are removed where there is no room.
pub(crate) fn change(
    document: &Value,
    add: &BTreeSet<String>,
    remove: &BTreeSet<String>,
    is_gone: impl Fn(&str) -> bool,
) -> Result<Option<Changed>, TooLong> {
    let mut changed = document.clone();
    edit(&mut changed, |resources| {
        resources.retain(|arn| !remove.contains(arn));
        let missing: Vec<&String> =
            add.iter().filter(|arn| !resources.iter().any(|known| covers(known, arn))).collect();
        resources.extend(missing.into_iter().cloned());
    });
    if changed == *document {
        return Ok(None);
    }
    let mut pruned = Vec::new();
    if characters(&changed) > LIMIT {
        edit(&mut changed, |resources| {
            resources.retain(|arn| {
                let keep = add.contains(arn) || !is_gone(arn);
                if !keep {
                    pruned.push(arn.clone());
                }
                keep
            });
        });
    }
    match characters(&changed) {
        characters if characters > LIMIT => Err(TooLong { characters }),
        _ => Ok(Some(Changed { document: changed, pruned })),
    }
}

/// Which of these functions the document does not allow to call.
pub(crate) fn missing(document: &Value, wanted: &BTreeSet<String>) -> Vec<String> {
    let mut allowed = Vec::new();
    for statement in statements(document) {
        if is_ours(statement) {
            allowed.extend(strings(statement.get("Resource")));
        }
    }
    wanted.iter().filter(|arn| !allowed.iter().any(|known| covers(known, arn))).cloned().collect()
}

/// Characters as AWS counts them.
fn characters(document: &Value) -> usize {
    document.to_string().chars().filter(|c| !c.is_whitespace()).count()
}

/// Changes the resources of the statement for functions; it is made where there is none, and removed where it names nothing.
fn edit(document: &mut Value, change: impl FnOnce(&mut Vec<String>)) {
    let Some(object) = document.as_object_mut() else { return };
    let found = object.entry("Statement").or_insert_with(|| json!([]));
    // A single statement may stand there without a list.
    let mut list = match found.take() {
        Value::Array(list) => list,
        single => vec![single],
    };
    let index = list.iter().position(|statement| statement["Sid"] == SID && is_ours(statement));
    let index = index.or_else(|| list.iter().position(is_ours));
    let before = index.and_then(|index| list.get(index)).map(|statement| strings(statement.get("Resource")));
    let mut resources = before.clone().unwrap_or_default();
    change(&mut resources);
    match index {
        Some(index) if resources.is_empty() => {
            list.remove(index);
        }
        Some(index) if before.as_ref() != Some(&resources) => list[index]["Resource"] = json!(resources),
        None if !resources.is_empty() => {
            list.push(json!({ "Sid": SID, "Effect": "Allow", "Action": [ACTION], "Resource": resources }));
        }
        _ => {}
    }
    *found = Value::Array(list);
}

fn statements(document: &Value) -> Vec<&Value> {
    match document.get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(single) => vec![single],
        None => Vec::new(),
    }
}

/// Whether a statement allows to call functions, and nothing else.
fn is_ours(statement: &Value) -> bool {
    statement["Effect"] == "Allow"
        && statement.get("Resource").is_some()
        && strings(statement.get("Action")) == [ACTION]
}

/// A string, or a list of strings.
fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Whether a resource with `*` and `?` in it matches an ARN.
fn covers(pattern: &str, arn: &str) -> bool {
    let (pattern, arn) = (pattern.as_bytes(), arn.as_bytes());
    let (mut p, mut a, mut star) = (0, 0, None);
    while a < arn.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, a));
                p += 1;
            }
            Some(&c) if c == b'?' || c == arn[a] => {
                p += 1;
                a += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    a = from + 1;
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn(name: &str) -> String {
        format!("arn:aws:lambda:eu-central-1:123456789012:function:{name}")
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| arn(name)).collect()
    }

    fn never(_: &str) -> bool {
        false
    }

    #[test]
    fn a_function_is_added_as_mattermosts_tool_adds_it() {
        let changed = change(&initial("aws", "b"), &set(&["f"]), &set(&[]), never).unwrap().unwrap();
        assert_eq!(
            changed.document["Statement"][2],
            json!({ "Sid": "AllowLambda", "Effect": "Allow", "Action": ["lambda:InvokeFunction"], "Resource": [arn("f")] })
        );
        assert_eq!(change(&changed.document, &set(&["f"]), &set(&[]), never), Ok(None));
        let removed = change(&changed.document, &set(&[]), &set(&["f"]), never).unwrap().unwrap();
        assert_eq!(removed.document, initial("aws", "b"));
    }

    #[test]
    fn whatever_else_stands_in_it_stays() {
        let document = json!({
            "Version": "2012-10-17",
            "Id": "x",
            "Statement": [
                { "Effect": "Deny", "NotAction": "s3:*", "Resource": "*", "Condition": { "Bool": { "a": "b" } } },
                { "Sid": "AllowLambda", "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn("old"),
                  "Condition": { "StringEquals": { "aws:PrincipalTag/a": "b" } } },
            ],
        });
        let changed = change(&document, &set(&["new"]), &set(&[]), never).unwrap().unwrap().document;
        let mut expected = document.clone();
        expected["Statement"][1]["Resource"] = json!([arn("old"), arn("new")]);
        assert_eq!(changed, expected);
        let single = json!({ "Statement": { "Effect": "Allow", "Action": "s3:*", "Resource": "*" } });
        let changed = change(&single, &set(&["f"]), &set(&[]), never).unwrap().unwrap().document;
        assert_eq!(changed["Statement"][0], single["Statement"]);
        assert_eq!(changed["Statement"][1]["Resource"], json!([arn("f")]));
    }

    #[test]
    fn a_pattern_that_matches_is_enough() {
        let document = json!({ "Statement": [{ "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn("app_*") }] });
        assert_eq!(change(&document, &set(&["app_1_f"]), &set(&[]), never), Ok(None));
        assert_eq!(missing(&document, &set(&["app_1_f", "other"])), [arn("other")]);
    }

    #[test]
    fn functions_that_are_gone_make_room() {
        let names: Vec<String> = (0..82).map(|i| format!("app_1-0-0_function-{i:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (old, new) = names.split_at(70);
        let full = change(&initial("aws", "b"), &set(old), &set(&[]), never).unwrap().unwrap().document;
        assert!(characters(&full) <= LIMIT);
        let error = change(&full, &set(new), &set(&[]), never).unwrap_err();
        assert!(error.characters > LIMIT);
        let changed = change(&full, &set(new), &set(&[]), |arn| arn.ends_with('7')).unwrap().unwrap();
        assert_eq!(changed.pruned.len(), 7, "{:?}", changed.pruned);
        assert_eq!(missing(&changed.document, &set(new)), Vec::<String>::new());
        let fits = change(&initial("aws", "b"), &set(&["f"]), &set(&[]), |_| true).unwrap().unwrap();
        assert!(fits.pruned.is_empty(), "nothing is removed where there is room");
    }
}
