//! Slack's notation in messages of integrations: links `<address|text>` and `<!channel>`.

use serde_json::Value;

/// `text` with Slack's notation replaced by Markdown.
pub(super) fn to_markdown(text: &str) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        done.push_str(before);
        let Some((inner, behind)) = after.split_once('>').filter(|(inner, _)| !inner.contains(['<', '\n']))
        else {
            done.push('<');
            rest = after;
            continue;
        };
        match (inner, inner.split_once('|')) {
            ("!here", _) => done.push_str("@here"),
            ("!channel", _) => done.push_str("@channel"),
            ("!everyone" | "!all", _) => done.push_str("@all"),
            (_, Some((address, label))) if !address.is_empty() && !label.is_empty() => {
                done.extend(["[", label, "](", address, ")"]);
            }
            _ => done.extend(["<", inner, ">"]),
        }
        rest = behind;
    }
    done.push_str(rest);
    done
}

/// Attachments with Markdown in the place of Slack's notation, and texts as the values of their fields.
pub(super) fn attachments(mut list: Vec<Value>) -> Vec<Value> {
    list.retain(Value::is_object);
    for attachment in &mut list {
        for key in ["text", "pretext"] {
            if let Some(Value::String(text)) = attachment.get_mut(key) {
                *text = to_markdown(text);
            }
        }
        let fields = attachment.get_mut("fields").and_then(Value::as_array_mut);
        for value in fields.into_iter().flatten().filter_map(|field| field.get_mut("value")) {
            *value = match &*value {
                Value::String(text) => to_markdown(text),
                Value::Null => String::new(),
                other => other.to_string(),
            }
            .into();
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn links_and_announcements_are_translated() {
        for (given, expected) in [
            ("see <http://a/b|the page>!", "see [the page](http://a/b)!"),
            ("<!here> <!channel> <!everyone> <!all>", "@here @channel @all @all"),
            ("a < b and c > d", "a < b and c > d"),
            ("<http://a>", "<http://a>"),
            ("<|x> <a|>", "<|x> <a|>"),
            ("<<!here>", "<@here"),
            ("<open", "<open"),
            ("ä<ö|ü>ß", "ä[ü](ö)ß"),
        ] {
            assert_eq!(to_markdown(given), expected);
        }
    }

    #[test]
    fn values_of_fields_become_texts() {
        let list =
            vec![json!({"text": "<a|b>", "fields": [{"value": 3}, {"value": null}, {}, 7]}), json!("x")];
        assert_eq!(
            attachments(list),
            [json!({"text": "[b](a)", "fields": [{"value": "3"}, {"value": ""}, {}, 7]})]
        );
    }
}
