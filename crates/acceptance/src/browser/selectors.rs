//! The elements of the page: one table for all web clients.
//!
//! The ids are the official web client's. `7+` stands for 7.0 to 12 and for the built-in client, which has the same ids; `5-6` for
//! 5.37 to 6.7. A selector for both finds the one that exists.

/// Sign-up and login, `7+` and `5-6`.
pub(super) const EMAIL: &str = "#input_email, #email";
pub(super) const USERNAME: &str = "#input_name, #name";
pub(super) const PASSWORD: &str = "#input_password-input, #password, #loginPassword";
pub(super) const LOGIN_ID: &str = "#input_loginId, #loginId";
pub(super) const SUBMIT: &str = "#saveSetting, #createAccountButton, #loginButton";
/// The consent that some 11.x versions ask for; absent elsewhere.
pub(super) const TERMS: &str = "#signup-body-card-form-check-terms-and-privacy";

/// Creating a team, in two steps: all versions.
pub(super) const TEAM_NAME: &str = "#teamNameInput";
pub(super) const TEAM_NAME_NEXT: &str = "#teamNameNextButton";
pub(super) const TEAM_URL: &str = "#teamURLInput";
pub(super) const TEAM_URL_FINISH: &str = "#teamURLFinishButton";

/// The channel: all versions.
pub(super) const CHANNEL_TITLE: &str = "#channelHeaderTitle";
pub(super) const POST_BOX: &str = "#post_textbox";
/// The ids of a post's text begin with this, in the channel and in the thread pane.
pub(super) const POST_TEXT: &str = "postMessageText_";
pub(super) const THREAD_POST_TEXT: &str = "rhsPostMessageText_";

/// The thread pane: all versions.
pub(super) const THREAD: &str = "#rhsContainer";
pub(super) const REPLY_BOX: &str = "#reply_textbox";
pub(super) const THREAD_FILE_INPUT: &str = "#rhsContainer input[type=file]";

/// The red bar: all versions. Since 11 the official client does not show it for a lost websocket.
pub(super) const RED_BAR: &str = ".announcement-bar-critical";

/// A post in the channel.
pub(super) fn post(id: &str) -> String {
    format!("#post_{id}")
}

/// The button that opens a post's thread; shown while the pointer is over the post.
pub(super) fn comment(id: &str) -> String {
    format!("#CENTER_commentIcon_{id}")
}
