//! Webhooks, commands, and what they may do.

use super::{Area, LATER};
use crate::kind::Kind;
use crate::row::{Row, at, row};

pub(super) const AREA: Area = Area { title: "Integrations", rows: ROWS };

const ROWS: &[Row] = &[
    row("MATTERMOST_ENABLE_ADMIN_INTEGRATIONS", Kind::Bool, "Keep integrations to administrators")
        .places(&[at("ServiceSettings", "EnableOnlyAdminIntegrations").until(6, 0)])
        .change(
            4,
            9,
            "the permissions to manage webhooks, slash commands and OAuth applications decide (up to 6.0 a database made \
             new still read this once); change them under System Console > Permissions",
        )
        .always("true"),
    row("MATTERMOST_ENABLE_SLASH_COMMANDS", Kind::Bool, "Let slash commands of one's own be made")
        .places(&[at("ServiceSettings", "EnableCommands")])
        .then("false")
        .now("true"),
    row("MATTERMOST_ENABLE_INCOMING_WEBHOOKS", Kind::Bool, "Allow incoming webhooks")
        .places(&[at("ServiceSettings", "EnableIncomingWebhooks")])
        .then("false")
        .now("true"),
    row("MATTERMOST_ENABLE_OUTGOING_WEBHOOKS", Kind::Bool, "Allow outgoing webhooks")
        .places(&[at("ServiceSettings", "EnableOutgoingWebhooks")])
        .then("false")
        .now("true"),
    row("MATTERMOST_WEBHOOK_OVERRIDE_USERNAME", Kind::Bool, "Let integrations post under other names")
        .places(&[at("ServiceSettings", "EnablePostUsernameOverride")])
        .always("false"),
    row("MATTERMOST_WEBHOOK_OVERRIDE_ICON", Kind::Bool, "Let integrations post under other pictures")
        .places(&[at("ServiceSettings", "EnablePostIconOverride")])
        .always("false"),
    row(
        "MATTERMOST_ENABLE_INSECURE_CONNECTIONS",
        Kind::Bool,
        "Accept self-signed certificates of the hosts that the server calls",
    )
    .places(&[at("ServiceSettings", "EnableInsecureOutgoingConnections")])
    .always("false"),
    row("MATTERMOST_ENABLE_CUSTOM_EMOJI", Kind::Bool, "Let members add emoji")
        .places(&[at("ServiceSettings", "EnableCustomEmoji").since(3, 2)])
        .always("true")
        .source(LATER),
];
