//! All checks, in the order of the test.

use crate::log::Kind;

macro_rules! kinds {
    ($($ident:ident: $name:literal, $title:literal, $clause:expr;)*) => {
        $(pub(crate) const $ident: &Kind = &Kind { name: $name, title: $title, clause: $clause };)*
    };
}

kinds! {
    REACHABLE: "reachable", "Mattermost answers at the URL", None;
    HEALTHY: "healthy", "The server, its database and its file store are healthy", None;
    CLIENT_CONFIG: "client-config", "Clients can read their settings", None;
    WEBSOCKET_UPGRADE: "websocket-upgrade", "A page of the site can open a websocket", Some("Installation 2.4");
    FOREIGN_ORIGIN: "foreign-origin", "A page of another site cannot open a websocket", None;
    SITE_URL: "site-url", "SiteURL is the URL under test", Some("Installation 2.4");
    ADMINISTRATOR: "administrator", "The administrator's access works", None;
    FIRST_ACCOUNT: "first-account", "A first user creates an account and logs in", Some("Installation 2.1");
    SECOND_ACCOUNT: "second-account", "A second user creates an account and logs in", Some("Installation 2.2");
    STRANGER: "stranger", "A stranger signs up and logs in", None;
    FIRST_WEBSOCKET: "first-websocket", "The first user's websocket says hello and answers a ping", Some("Installation 2.4");
    SECOND_WEBSOCKET: "second-websocket", "The second user's websocket says hello and answers a ping", Some("Installation 2.4");
    FIRST_TEAM: "first-team", "The first user creates a team", Some("Installation 2.1");
    FIRST_POST: "first-post", "The first user posts in Town Square", Some("Installation 2.1");
    SECOND_JOINS: "second-joins", "The second user joins that team and sees the post", Some("Installation 2.2");
    SECOND_REPLIES: "second-replies", "The second user replies to the post", Some("Installation 2.2");
    FIRST_SEES_REPLY: "first-sees-reply", "The reply reaches the first user without a reload", Some("Installation 2.4");
    IMAGE_REPLY: "image-reply", "The first user replies with an image attached", Some("Installation 2.3");
    IMAGE_IDENTICAL: "image-identical", "The second user downloads the image, byte for byte", Some("Installation 2.3");
    IMAGE_PREVIEWS: "image-previews", "The image has a thumbnail and a preview", Some("Installation 2.3");
    SECOND_SEES_IMAGE: "second-sees-image", "The image reply reaches the second user without a reload", Some("Installation 2.4");
    THREAD: "thread", "The thread contains the post and both replies", Some("Installation 2.2");
    IDLE: "idle", "Websockets stay open while nothing is sent", Some("Installation 2.4");
    METHODS: "methods", "Changes and deletions get through (PUT, DELETE)", None;
    NO_ERRORS: "no-errors", "No answer contained an error", Some("Installation 2.4");
    BROWSER: "browser", "Chromium starts", None;
    BROWSER_FIRST_ACCOUNT: "browser-first-account", "The first user signs up or logs in, in the browser", Some("Installation 2.1");
    BROWSER_FIRST_TEAM: "browser-first-team", "The first user creates a team in the browser", Some("Installation 2.1");
    BROWSER_FIRST_POST: "browser-first-post", "The first user posts in Town Square in the browser", Some("Installation 2.1");
    BROWSER_SECOND_JOINS: "browser-second-joins", "The second user follows the invitation and sees the post", Some("Installation 2.2");
    BROWSER_SECOND_REPLIES: "browser-second-replies", "The second user replies in the thread", Some("Installation 2.2");
    BROWSER_FIRST_SEES_REPLY: "browser-first-sees-reply", "The reply appears on the first user's page without a reload", Some("Installation 2.4");
    BROWSER_IMAGE_REPLY: "browser-image-reply", "The first user replies with an image attached", Some("Installation 2.3");
    BROWSER_SECOND_SEES_IMAGE: "browser-second-sees-image", "The image appears on the second user's page without a reload", Some("Installation 2.4");
    BROWSER_NO_ERRORS: "browser-no-errors", "No red bar, no script error, no blocked content", Some("Installation 2.4");
    CLEAN_UP: "clean-up", "What the test has made is gone, and its accounts are switched off", None;
}

/// The test over REST and websocket.
pub(crate) const REST: &[&Kind] = &[
    REACHABLE,
    HEALTHY,
    CLIENT_CONFIG,
    WEBSOCKET_UPGRADE,
    FOREIGN_ORIGIN,
    SITE_URL,
    ADMINISTRATOR,
    FIRST_ACCOUNT,
    SECOND_ACCOUNT,
    STRANGER,
    FIRST_WEBSOCKET,
    SECOND_WEBSOCKET,
    FIRST_TEAM,
    FIRST_POST,
    SECOND_JOINS,
    SECOND_REPLIES,
    FIRST_SEES_REPLY,
    IMAGE_REPLY,
    IMAGE_IDENTICAL,
    IMAGE_PREVIEWS,
    SECOND_SEES_IMAGE,
    THREAD,
    IDLE,
    METHODS,
    NO_ERRORS,
];

/// The test in a browser.
pub(crate) const BROWSER_TEST: &[&Kind] = &[
    BROWSER,
    BROWSER_FIRST_ACCOUNT,
    BROWSER_FIRST_TEAM,
    BROWSER_FIRST_POST,
    BROWSER_SECOND_JOINS,
    BROWSER_SECOND_REPLIES,
    BROWSER_FIRST_SEES_REPLY,
    BROWSER_IMAGE_REPLY,
    BROWSER_SECOND_SEES_IMAGE,
    BROWSER_NO_ERRORS,
];
