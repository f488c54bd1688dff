//! Every bound on what clients may send, and on the memory that serving them takes, in one table.
//!
//! A bound that Mattermost has too has Mattermost's value. [`BOUNDS`] is the table as data: the reference page is written from
//! it.

/// A bound, for the reference page.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// What it bounds.
    pub what: &'static str,
    /// The most that is allowed.
    pub most: u64,
    /// What is counted.
    pub unit: &'static str,
    /// What happens beyond it.
    pub beyond: &'static str,
}

macro_rules! bounds {
    ($($(#[$meta:meta])* $name:ident: $type:ty = $value:expr, $unit:literal, $what:literal, $beyond:literal;)*) => {
        $(#[doc = $what] #[doc = ""] #[doc = $unit] $(#[$meta])* pub(crate) const $name: $type = $value;)*

        /// The table of bounds.
        pub const BOUNDS: &[Bound] =
            &[$(Bound { what: $what, most: $name as u64, unit: $unit, beyond: $beyond }),*];
    };
}

bounds! {
    POST_MESSAGE: usize = 16_383, "characters", "A post's message", "400";
    POST_PROPS: usize = 800_000, "characters of JSON", "A post's props", "400";
    POST_FILES: usize = 10, "files", "Files of a post, of a draft, or in one upload", "400";
    POST_TYPE: usize = 26, "characters", "The type of a post or a draft", "400";
    DRAFT_PROPS: usize = 8_000, "characters of JSON", "A draft's props", "400";
    DRAFT_PRIORITY: usize = 1_000, "characters of JSON", "A draft's priority", "400";
    PREFERENCES_AT_ONCE: usize = 100, "preferences", "Preferences in one request", "400";
    PREFERENCE_NAME: usize = 32, "characters", "A preference's category or name", "400";
    PREFERENCE_VALUE: usize = 20_000, "characters", "A preference's value", "400";
    PREFERENCES_OF_USER: i64 = 20_000, "preferences", "Preferences of an account", "400";
    EMOJI_NAME: usize = 64, "characters", "An emoji's name in a reaction", "400";
    PAGES_KEPT: usize = 64, "pages", "Pages with the newest posts of channels that are kept for their next readers", "those that nobody reads are forgotten";
    PAGE_BYTES: usize = 128 << 10, "bytes", "Such a page", "it is made anew for each reader";
    IDS_AT_ONCE: usize = 1_000, "ids or names", "A list of ids or names in one request", "400";
    CATEGORIES: usize = 200, "categories", "Categories of a sidebar", "400";
    ROLES_AT_ONCE: usize = 100, "names", "Names of roles in one request", "400";
    USER_PROPS: usize = 8_000, "characters of JSON", "An account's props", "400";
    USER_NOTIFY_PROPS: usize = 8_000, "characters of JSON", "An account's notify_props", "400";
    MEMBER_NOTIFY_PROPS: usize = 8_000, "characters of JSON", "The notify_props of a member of a channel", "400";
    SEARCH_TERM: usize = 512, "characters", "What is searched for", "400";
    CHANNEL_DISPLAY_NAME: usize = 64, "characters", "A channel's display name", "400";
    CHANNEL_HEADER: usize = 1_024, "characters", "A channel's header", "400";
    CHANNEL_PURPOSE: usize = 250, "characters", "A channel's purpose", "400";
    TEAM_DISPLAY_NAME: usize = 64, "characters", "A team's display name or company name", "400";
    TEAM_DESCRIPTION: usize = 255, "characters", "A team's description", "400";
    TEAM_DOMAINS: usize = 500, "characters", "A team's allowed domains", "400";
    MEMBER_ROLES: usize = 256, "characters", "The explicit roles of a member or an account", "400";
    FILE_NAME: usize = 256, "characters", "A file's name", "it is shortened, and keeps its extension";
    FORM_FIELD: usize = 1_024, "bytes", "A field of an upload that is not a file", "400";
    MAILS_WAITING: usize = 1_000, "mails", "Mails that wait for the mail server; notifications are counted apart from mails about accounts", "further ones are dropped, and the log says so";
    MAILS_BYTES: usize = 16 << 20, "bytes", "Notifications that wait for the mail server, together", "further ones are dropped, and the log says so";
    GATHERED_BYTES: usize = 16 << 20, "bytes", "Notifications that are gathered for later mails, together", "those of the person concerned are sent at once";
    QUOTED: usize = 2_000, "characters", "A message in a mail", "it is cut, and the link leads to all of it";
    NOTICES_WAITING: usize = 1_000, "posts", "Posts of which nobody has been told by mail yet", "further ones are told to nobody by mail, and the log says so";
    LINKS_TO_ADDRESS: usize = 5, "mails in an hour", "Links to verify an address or to choose a password, sent to an address", "none is sent; the answer is the same";
    LINKS_OF_ORIGIN: usize = 30, "mails in an hour", "The same links, asked for by a client's address", "none is sent; the answer is the same";
    INVITATIONS_OF_USER: usize = 20, "mails in an hour", "Invitations by mail of an account", "413";
    HOOK_DISPLAY_NAME: usize = 64, "characters", "The display name of a webhook or a slash command", "400";
    HOOK_DESCRIPTION: usize = 500, "characters", "The description of a webhook", "400";
    HOOK_USERNAME: usize = 64, "characters", "The name under which a webhook or a slash command posts", "400";
    HOOK_ICON: usize = 1_024, "characters", "The address of the picture of a webhook or a slash command", "400";
    HOOK_LIST: usize = 1_024, "characters of JSON", "The trigger words, or the addresses, of an outgoing webhook", "400";
    CALLS_AT_ONCE: usize = 32, "requests", "Requests to the addresses of integrations at the same time", "further ones wait, outgoing webhooks and slash commands apart";
    OCCASIONS_WAITING: usize = 1_000, "posts", "Posts of which no outgoing webhook has been told yet", "further ones are told to none, and the log says so";
    ANSWER_BYTES: usize = 1 << 20, "bytes", "The answer of an integration", "it counts as failed";
    COMMAND_TRIGGER: usize = 128, "characters", "The word of a slash command, or its description", "400";
    COMMAND_TEXT: usize = 1_024, "characters", "The address of a slash command, or what is shown where it is typed", "400";
    COMMAND_LINE: usize = 16_383, "characters", "A slash command with what is typed after it", "400";
    EXTRA_ANSWERS: usize = 20, "messages", "Further messages in the answer of a slash command", "it counts as failed";
    DELAYED_ANSWERS: i64 = 5, "messages", "Later answers of a slash command, within 30 minutes", "400";
    DISCARDED: usize = 32 << 20, "bytes", "What is still received of a body that was refused, so that the client reads the answer", "the connection is closed";
    IMAGE_BYTES: u64 = 40 << 20, "bytes", "An image file of which previews are made", "it gets no preview";
    IMAGE_PIXELS: u64 = 33_177_600, "pixels", "An image of which previews are made", "it gets no preview";
    IMAGE_SIDE: u32 = 32_768, "pixels", "The longer side of an image of which previews are made", "it gets no preview";
    IMAGE_DECODED_BYTES: u64 = IMAGE_PIXELS * 4, "bytes", "A decoded image of which previews are made", "it gets no preview";
    IMAGE_MEMORY: u64 = 448 << 20, "bytes", "Memory of the decoders of large images together", "previews are made after the upload was answered";
    SMALL_IMAGE: u64 = 16 << 20, "bytes", "Memory of a decoder that counts as small", "it shares the memory for large images";
    SMALL_IMAGES_MEMORY: u64 = 48 << 20, "bytes", "Memory of the decoders of small images together", "uploads of small images wait, for milliseconds";
    WAITING_IMAGES: usize = 1_000, "images", "Images that wait for their previews", "it gets no preview";
    SOCKETS_OF_USER: usize = 250, "websockets", "Open websockets of an account", "the oldest is closed";
    SOCKET_REQUEST: usize = 8_192, "bytes", "A request over the websocket", "the websocket is closed";
    QUEUED_EVENTS: usize = 256, "events", "Events that wait for a slow websocket", "the websocket is closed";
    QUEUED_BYTES: usize = 4 << 20, "bytes", "Events that wait for a slow websocket", "the websocket is closed";
    SENT_EVENTS: usize = 128, "events", "Sent events that a websocket can get again when it reconnects", "the oldest are forgotten";
    SENT_BYTES: usize = 512 << 10, "bytes", "Sent events that a websocket can get again when it reconnects", "the oldest are forgotten";
    ALL_EVENTS_BYTES: usize = 64 << 20, "bytes", "Events of all websockets together", "the slowest websockets are closed";
    FRAGMENT: usize = 16 << 10, "bytes", "A frame of a large event over the websocket, which is what each websocket copies", "the event is sent in several frames";
    SEND_BUFFER: usize = 256 << 10, "bytes", "What the system buffers for a slow reader", "the reader is waited for";
}
