//! What the site is called and where it is found.

use super::{Area, LATER, OURS};
use crate::kind::Kind;
use crate::row::{Row, at, row};

pub(super) const AREA: Area = Area { title: "Site", rows: ROWS };

const ROWS: &[Row] = &[
    row("MATTERMOST_NAME", Kind::Name(30), "The site's name, on its pages and as the sender of its mails")
        .places(&[at("TeamSettings", "SiteName")])
        .always("Mattermost"),
    row(
        "MATTERMOST_HOST",
        Kind::Host,
        "The host name people type; with MATTERMOST_HTTPS it makes the site URL",
    )
    .always("localhost"),
    row(
        "MATTERMOST_HTTPS",
        Kind::Bool,
        "Whether people reach the site over HTTPS, as behind a load balancer with TLS",
    )
    .always("false"),
    row("MATTERMOST_PORT", Kind::Port, "The port people type, where it is not the scheme's own")
        .now("80 or 443")
        .source(OURS),
    row(
        "MATTERMOST_SITE_URL",
        Kind::SiteUrl,
        "The address people type, whole; it goes before MATTERMOST_HOST",
    )
    .places(&[at("ServiceSettings", "SiteURL").since(3, 3)])
    .key("site_url")
    .now("made of MATTERMOST_HOST, MATTERMOST_HTTPS and MATTERMOST_PORT")
    .source(LATER),
    row(
        "MATTERMOST_TRUSTED_PROXIES",
        Kind::Networks,
        "Load balancers in front of the edge; it believes the client addresses that they send",
    )
    .key("trusted_proxies")
    .now("for a site URL of https: loopback and the private networks; otherwise none")
    .source(OURS),
    row(
        "MATTERMOST_TRUSTED_PROXY_USERS",
        Kind::Text,
        "Users of this machine whose programs may be such a load balancer: names separated by commas, or `everybody`",
    )
    .key("trusted_proxy_users")
    .now("root, the accounts of services (user ids below 1000) and the user that runs Mainstay")
    .source(OURS),
    row(
        "MATTERMOST_SHARED_ADDRESSES",
        Kind::Networks,
        "Addresses that many people share, such as an office's router: the edge's limit for one address does not hold for them",
    )
    .key("shared_addresses")
    .now("none")
    .source(OURS),
    row(
        "MATTERMOST_CORS_DOMAINS",
        Kind::Origins,
        "Origins, separated by spaces, whose pages may call the API; `*` = any",
    )
    .places(&[at("ServiceSettings", "AllowCorsFrom")])
    .change(
        8,
        0,
        "the websocket is open to the site URL and to these origins alone, scheme and port included",
    )
    .now("none"),
    row("MATTERMOST_GOOGLE_KEY", Kind::Text, "Google API key, for the titles of embedded YouTube videos")
        .places(&[at("ServiceSettings", "GoogleDeveloperKey")])
        .now("none"),
    row("MATTERMOST_SEGMENT_KEY", Kind::Text, "Segment API key, for usage metrics")
        .places(&[at("ServiceSettings", "SegmentDeveloperKey").until(3, 7)])
        .change(3, 7, "the server sends no metrics to an account of yours; leave it out")
        .now("none"),
    row(
        "MATTERMOST_ENABLE_ALERTS",
        Kind::Bool,
        "Ask for security fixes daily, and mail administrators about them",
    )
    .places(&[at("ServiceSettings", "EnableSecurityFixAlert")])
    .always("true"),
    row("MATTERMOST_SUPPORT_EMAIL", Kind::Email, "The address shown for feedback and support")
        .places(&[at("SupportSettings", "SupportEmail")])
        .then("support@example.com")
        .now("none"),
    row("MATTERMOST_SHOW_EMAIL", Kind::Bool, "Show members' mail addresses to each other")
        .places(&[at("PrivacySettings", "ShowEmailAddress")])
        .always("true"),
    row("MATTERMOST_SHOW_NAME", Kind::Bool, "Show members' full names to each other")
        .places(&[at("PrivacySettings", "ShowFullName")])
        .always("true"),
    row("MATTERMOST_SERVER_LOCALE", Kind::Text, "The language of mails and system messages")
        .places(&[at("LocalizationSettings", "DefaultServerLocale").since(3, 1)])
        .always("en")
        .source(LATER),
    row("MATTERMOST_CLIENT_LOCALE", Kind::Text, "The language of the client for people who chose none")
        .places(&[at("LocalizationSettings", "DefaultClientLocale").since(3, 1)])
        .always("en")
        .source(LATER),
    row(
        "MATTERMOST_LOCALES",
        Kind::Text,
        "Languages to choose from, separated by commas; empty = all of the server's",
    )
    .places(&[at("LocalizationSettings", "AvailableLocales").since(3, 1)])
    .then("en,es,fr,ja,pt-BR")
    .now("all")
    .source(LATER),
    row(
        "MATTERMOST_WEBSERVER_MODE",
        Kind::Word(&["gzip", "uncompressed", "disabled"]),
        "How static files are served",
    )
    .places(&[at("ServiceSettings", "WebserverMode")])
    .always("gzip")
    .source(LATER),
    row("DEBUG", Kind::Bool, "Let the container's entrypoint say what it does").always("false"),
    row(
        "MATTERMOST_MIGRATION_DEFAULT_TEAM",
        Kind::Text,
        "The team that names accounts when a 2.x database becomes 3.0",
    )
    .change(3, 4, "no release from 3.4 on takes a 2.x database over; pass through 3.1.0 first")
    .now("none")
    .source(LATER),
];
