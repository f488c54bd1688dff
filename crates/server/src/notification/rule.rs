//! Who is told of a post by mail, as in Mattermost 11.6.

use crate::config::Config;
use crate::model::{StringMap, User};

/// Why a post concerns somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Direct,
    Mention,
    /// A reply in a thread that they follow.
    Reply,
}

/// Somebody whom a post concerns.
pub(super) struct Recipient<'a> {
    pub(super) user: &'a User,
    /// Their settings for the channel; `None` = they are not in it.
    pub(super) in_channel: Option<&'a StringMap>,
    pub(super) status: &'a str,
    pub(super) why: Why,
    pub(super) is_reply: bool,
}

/// Whether they are told by mail: they want it, and are away.
pub(super) fn is_told(config: &Config, recipient: &Recipient<'_>) -> bool {
    let Recipient { user, in_channel, status, why, is_reply } = recipient;
    let Some(in_channel) = in_channel else { return false };
    let setting =
        |map: &StringMap, name: &str, default: &str| map.get(name).map_or(default, String::as_str).to_owned();
    let threads_are_collapsed = config.service.collapsed_threads != "disabled";
    if user.delete_at != 0 || (config.email.require_email_verification && !user.email_verified) {
        return false;
    }
    if matches!(*status, "online" | "dnd" | "ooo") {
        return false;
    }
    let mut wants = setting(&user.notify_props, "email", "true") != "false";
    // In a thread, the thread's settings count and not the channel's.
    let of_channel = setting(in_channel, "email", "default");
    if of_channel != "default" && !(*is_reply && threads_are_collapsed) {
        wants = of_channel != "false";
    }
    if *why == Why::Reply {
        wants &= threads_are_collapsed && setting(&user.notify_props, "email_threads", "all") == "all";
    }
    let is_muted = setting(in_channel, "mark_unread", "all") == "mention";
    wants && !is_muted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Column;

    fn map(entries: &[(&str, &str)]) -> StringMap {
        entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Settings of the account and of the channel, status, why, and whether they are told.
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)], &'a str, Why, bool);

    #[test]
    fn those_who_want_it_and_are_away_are_told() {
        let cases: &[Case<'_>] = &[
            (&[], &[], "offline", Why::Mention, true),
            (&[], &[], "away", Why::Direct, true),
            (&[], &[], "online", Why::Direct, false),
            (&[], &[], "dnd", Why::Direct, false),
            (&[("email", "false")], &[], "offline", Why::Direct, false),
            (&[("email", "false")], &[("email", "true")], "offline", Why::Mention, true),
            (&[], &[("email", "false")], "offline", Why::Mention, false),
            (&[], &[("email", "false")], "offline", Why::Reply, true),
            (&[], &[("mark_unread", "mention")], "offline", Why::Mention, false),
            (&[], &[], "offline", Why::Reply, true),
            (&[("email_threads", "mention")], &[], "offline", Why::Reply, false),
            (&[("email_threads", "mention")], &[], "offline", Why::Mention, true),
            (&[("email", "false")], &[], "offline", Why::Reply, false),
        ];
        for (own, in_channel, status, why, expected) in cases {
            let user = User { notify_props: Column(map(own)), ..User::default() };
            let in_channel = map(in_channel);
            let recipient = Recipient {
                user: &user,
                in_channel: Some(&in_channel),
                status,
                why: *why,
                is_reply: *why == Why::Reply,
            };
            let told = is_told(&Config::default(), &recipient);
            assert_eq!(told, *expected, "{own:?} {in_channel:?} {status} {why:?}");
        }
    }

    #[test]
    fn strangers_deactivated_and_unverified_accounts_are_not_told() {
        fn recipient<'a>(user: &'a User, in_channel: &'a StringMap) -> Recipient<'a> {
            Recipient {
                user,
                in_channel: Some(in_channel),
                status: "offline",
                why: Why::Direct,
                is_reply: false,
            }
        }
        let in_channel = StringMap::new();
        let (mut config, user) = (Config::default(), User::default());
        assert!(is_told(&config, &recipient(&user, &in_channel)));
        assert!(!is_told(&config, &Recipient { in_channel: None, ..recipient(&user, &in_channel) }));
        assert!(!is_told(&config, &recipient(&User { delete_at: 1, ..User::default() }, &in_channel)));
        config.email.require_email_verification = true;
        assert!(!is_told(&config, &recipient(&user, &in_channel)));
        assert!(is_told(&config, &recipient(&User { email_verified: true, ..User::default() }, &in_channel)));
    }

    #[test]
    fn without_collapsed_threads_a_reply_concerns_only_those_it_mentions() {
        let in_channel = map(&[("email", "false")]);
        let user = User::default();
        let mut config = Config::default();
        config.service.collapsed_threads = "disabled".to_owned();
        for why in [Why::Reply, Why::Mention] {
            let recipient = Recipient {
                user: &user,
                in_channel: Some(&in_channel),
                status: "offline",
                why,
                is_reply: true,
            };
            assert!(!is_told(&config, &recipient), "{why:?}");
        }
    }
}
