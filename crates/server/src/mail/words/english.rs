//! The words in English.

use super::Words;

impl Words {
    pub(crate) const ENGLISH: Words = Words {
        language: "en",
        footer: "This mail was sent by {site}, {url}",
        help: "Questions? Write to {address}",
        hello: "Hello {name},",
        verify_subject: "[{site}] Confirm your email address",
        verify_text: "Confirm that {address} is your address. The link works once, within 24 hours.",
        verify_button: "Confirm the address",
        welcome_subject: "[{site}] Welcome",
        welcome_text: "You now have an account on {site}. Your user name is {name}.",
        open_button: "Open {site}",
        reset_subject: "[{site}] Choose a new password",
        reset_text: "Somebody asked for a new password for your account {name}. The link works once, within 24 hours. If it was not you, ignore this mail: your password stays as it is.",
        reset_button: "Choose a new password",
        password_subject: "[{site}] Your password was changed",
        password_text: "The password of your account {name} was changed. If it was not you, tell your administrator at once.",
        address_subject: "[{site}] Your email address was changed",
        address_text: "The address of your account {name} is now {address}. If it was not you, tell your administrator at once.",
        deactivated_subject: "[{site}] Your account was deactivated",
        deactivated_text: "Your account {name} was deactivated. If it was not you, or to have it back, write to your administrator.",
        invite_subject: "[{site}] {sender} invites you to the team {team}",
        invite_text: "{sender} invites you to the team {team} on {site}. The link works once, within 48 hours.",
        invite_button: "Join {team}",
        direct_subject: "[{site}] New direct message from {sender}",
        mention_subject: "[{site}] {sender} mentioned you in {place}",
        reply_subject: "[{site}] {sender} replied in a thread in {place}",
        generic_subject: "[{site}] New notification",
        several_subject: "[{site}] {count} new notifications",
        direct_line: "{sender} sent you a direct message",
        mention_line: "{sender} mentioned you in {place}",
        reply_line: "{sender} replied in a thread that you follow in {place}",
        files: "Files: {names}",
        read_button: "Read the message",
        why: "You get mails about messages while you are away. You can change that in the notification settings of your account.",
        test_subject: "[{site}] Test mail",
        test_text: "This is a test mail. {site} can send mails.",
    };
}
