//! Which outgoing webhooks are told of a post.

use crate::id::Id;
use crate::model::OutgoingHook;

/// `trigger_when`: the first word of the message is a trigger word.
pub(super) const EXACT: i64 = 0;

/// `trigger_when`: the first word of the message begins with a trigger word.
pub(super) const BEGINS: i64 = 1;

/// The trigger word for which `hook` is told of a message in `channel`: empty if it is told of every message there; `None` if it is
/// not told.
pub(super) fn word<'a>(hook: &'a OutgoingHook, channel: Id, message: &str) -> Option<&'a str> {
    if !hook.channel_id.is_none() && hook.channel_id != channel {
        return None;
    }
    if hook.trigger_words.is_empty() {
        return (!hook.channel_id.is_none()).then_some("");
    }
    let first = message.split_whitespace().next()?;
    let suits = |word: &&String| match hook.trigger_when {
        BEGINS => first.starts_with(word.as_str()),
        _ => first == word.as_str(),
    };
    hook.trigger_words.iter().find(suits).map(String::as_str)
}

/// Whether one message would be told to one address by both webhooks.
pub(super) fn intersect(one: &OutgoingHook, other: &OutgoingHook) -> bool {
    let share = |a: &[String], b: &[String]| a.iter().any(|item| b.contains(item));
    let words = one.trigger_words.is_empty() && other.trigger_words.is_empty()
        || share(&one.trigger_words, &other.trigger_words);
    one.channel_id == other.channel_id && words && share(&one.callback_urls, &other.callback_urls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Column;

    fn hook(channel: Id, words: &[&str], when: i64) -> OutgoingHook {
        OutgoingHook {
            channel_id: channel,
            trigger_words: Column(words.iter().map(|word| (*word).to_owned()).collect()),
            trigger_when: when,
            callback_urls: Column(vec!["http://a".to_owned()]),
            ..OutgoingHook::default()
        }
    }

    #[test]
    fn the_first_word_and_the_channel_decide() {
        let (here, there) = (Id::random(), Id::random());
        for (hook, message, expected) in [
            (hook(here, &[], EXACT), "anything", Some("")),
            (hook(there, &[], EXACT), "anything", None),
            (hook(Id::NONE, &[], EXACT), "anything", None),
            (hook(Id::NONE, &["deploy"], EXACT), "deploy now", Some("deploy")),
            (hook(Id::NONE, &["deploy"], EXACT), " \n deploy", Some("deploy")),
            (hook(Id::NONE, &["deploy"], EXACT), "deploys", None),
            (hook(Id::NONE, &["deploy"], EXACT), "please deploy", None),
            (hook(Id::NONE, &["x", "dep"], BEGINS), "deploys it", Some("dep")),
            (hook(here, &["deploy"], EXACT), "hello", None),
            (hook(here, &["deploy"], EXACT), "", None),
        ] {
            assert_eq!(word(&hook, here, message), expected, "{message:?} {hook:?}");
        }
    }

    #[test]
    fn two_hooks_that_would_tell_one_address_twice_intersect() {
        let here = Id::random();
        assert!(intersect(&hook(here, &[], EXACT), &hook(here, &[], EXACT)));
        assert!(intersect(&hook(here, &["a", "b"], EXACT), &hook(here, &["b"], EXACT)));
        assert!(!intersect(&hook(here, &["a"], EXACT), &hook(here, &["b"], EXACT)));
        assert!(!intersect(&hook(here, &["a"], EXACT), &hook(Id::NONE, &["a"], EXACT)));
    }
}
