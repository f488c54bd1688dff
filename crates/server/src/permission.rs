//! The names of the permissions, and the roles of a new database.

macro_rules! permissions {
    ($($constant:ident $name:literal;)*) => {
        $(pub(crate) const $constant: &str = $name;)*
        /// Every permission that a route checks, or that clients look for in a role.
        pub(crate) const ALL: &[&str] = &[$($name),*];
    };
}

permissions! {
    ADD_REACTION "add_reaction";
    ADD_USER_TO_TEAM "add_user_to_team";
    BYPASS_INCOMING_WEBHOOK_CHANNEL_LOCK "bypass_incoming_webhook_channel_lock";
    CREATE_DIRECT_CHANNEL "create_direct_channel";
    CREATE_GROUP_CHANNEL "create_group_channel";
    CREATE_POST "create_post";
    CREATE_PRIVATE_CHANNEL "create_private_channel";
    CREATE_PUBLIC_CHANNEL "create_public_channel";
    CREATE_TEAM "create_team";
    CREATE_USER_ACCESS_TOKEN "create_user_access_token";
    DELETE_OTHERS_POSTS "delete_others_posts";
    DELETE_POST "delete_post";
    DELETE_PRIVATE_CHANNEL "delete_private_channel";
    DELETE_PUBLIC_CHANNEL "delete_public_channel";
    EDIT_OTHER_USERS "edit_other_users";
    EDIT_OTHERS_POSTS "edit_others_posts";
    EDIT_POST "edit_post";
    GET_PUBLIC_LINK "get_public_link";
    INVITE_USER "invite_user";
    JOIN_PRIVATE_TEAMS "join_private_teams";
    JOIN_PUBLIC_CHANNELS "join_public_channels";
    JOIN_PUBLIC_TEAMS "join_public_teams";
    LIST_PRIVATE_TEAMS "list_private_teams";
    LIST_PUBLIC_TEAMS "list_public_teams";
    LIST_TEAM_CHANNELS "list_team_channels";
    MANAGE_CHANNEL_ROLES "manage_channel_roles";
    MANAGE_OTHERS_INCOMING_WEBHOOKS "manage_others_incoming_webhooks";
    MANAGE_OTHERS_OUTGOING_WEBHOOKS "manage_others_outgoing_webhooks";
    MANAGE_OTHERS_SLASH_COMMANDS "manage_others_slash_commands";
    MANAGE_OWN_INCOMING_WEBHOOKS "manage_own_incoming_webhooks";
    MANAGE_OWN_OUTGOING_WEBHOOKS "manage_own_outgoing_webhooks";
    MANAGE_OWN_SLASH_COMMANDS "manage_own_slash_commands";
    MANAGE_PRIVATE_CHANNEL_MEMBERS "manage_private_channel_members";
    MANAGE_PRIVATE_CHANNEL_PROPERTIES "manage_private_channel_properties";
    MANAGE_PUBLIC_CHANNEL_MEMBERS "manage_public_channel_members";
    MANAGE_PUBLIC_CHANNEL_PROPERTIES "manage_public_channel_properties";
    MANAGE_ROLES "manage_roles";
    MANAGE_SYSTEM "manage_system";
    MANAGE_TEAM "manage_team";
    MANAGE_TEAM_ROLES "manage_team_roles";
    CONVERT_PRIVATE_CHANNEL_TO_PUBLIC "convert_private_channel_to_public";
    CONVERT_PUBLIC_CHANNEL_TO_PRIVATE "convert_public_channel_to_private";
    READ_CHANNEL "read_channel";
    READ_CHANNEL_CONTENT "read_channel_content";
    READ_PUBLIC_CHANNEL "read_public_channel";
    READ_USER_ACCESS_TOKEN "read_user_access_token";
    REMOVE_OTHERS_REACTIONS "remove_others_reactions";
    REMOVE_REACTION "remove_reaction";
    REMOVE_USER_FROM_TEAM "remove_user_from_team";
    REVOKE_USER_ACCESS_TOKEN "revoke_user_access_token";
    UPLOAD_FILE "upload_file";
    USE_CHANNEL_MENTIONS "use_channel_mentions";
    VIEW_MEMBERS "view_members";
    VIEW_TEAM "view_team";
}

/// A role of a new database.
pub(crate) struct DefaultRole {
    pub(crate) name: &'static str,
    pub(crate) display_name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) permissions: &'static [&'static str],
}

/// What administrators may do with webhooks and slash commands.
const INTEGRATIONS: &[&str] = &[
    MANAGE_OWN_INCOMING_WEBHOOKS,
    MANAGE_OTHERS_INCOMING_WEBHOOKS,
    MANAGE_OWN_OUTGOING_WEBHOOKS,
    MANAGE_OTHERS_OUTGOING_WEBHOOKS,
    MANAGE_OWN_SLASH_COMMANDS,
    MANAGE_OTHERS_SLASH_COMMANDS,
    BYPASS_INCOMING_WEBHOOK_CHANNEL_LOCK,
];

/// Permissions that came after the first version.
pub(crate) struct Added {
    /// The row of `systems` that says that a database has them.
    pub(crate) row: &'static str,
    /// Who has them.
    pub(crate) roles: &'static [&'static str],
    pub(crate) permissions: &'static [&'static str],
}

/// In the order in which they came.
pub(crate) const ADDED: &[Added] = &[
    Added {
        row: "MainstayIntegrationPermissions",
        roles: &["system_admin", "team_admin"],
        permissions: INTEGRATIONS,
    },
    Added {
        row: "MainstayTokenPermissions",
        roles: &["system_admin", "system_user_access_token"],
        permissions: TOKENS,
    },
];

/// What one may do with one's own access tokens.
const TOKENS: &[&str] = &[CREATE_USER_ACCESS_TOKEN, READ_USER_ACCESS_TOKEN, REVOKE_USER_ACCESS_TOKEN];

/// The roles of a new database, before [`ADDED`].
pub(crate) const DEFAULT_ROLES: &[DefaultRole] = &[
    DefaultRole {
        name: "system_user",
        display_name: "Everyone",
        description: "What every account may do.",
        permissions: &[
            LIST_PUBLIC_TEAMS,
            JOIN_PUBLIC_TEAMS,
            CREATE_DIRECT_CHANNEL,
            CREATE_GROUP_CHANNEL,
            VIEW_MEMBERS,
            CREATE_TEAM,
        ],
    },
    DefaultRole {
        name: "system_admin",
        display_name: "System administrator",
        description: "May do everything.",
        permissions: ALL,
    },
    DefaultRole {
        name: "system_user_access_token",
        display_name: "Access tokens",
        description: "May make access tokens for the own account.",
        permissions: TOKENS,
    },
    DefaultRole {
        name: "team_user",
        display_name: "Team member",
        description: "What every member of a team may do in it.",
        permissions: &[
            LIST_TEAM_CHANNELS,
            JOIN_PUBLIC_CHANNELS,
            READ_PUBLIC_CHANNEL,
            VIEW_TEAM,
            CREATE_PUBLIC_CHANNEL,
            CREATE_PRIVATE_CHANNEL,
            INVITE_USER,
            ADD_USER_TO_TEAM,
        ],
    },
    DefaultRole {
        name: "team_admin",
        display_name: "Team administrator",
        description: "May manage a team and what is in it.",
        permissions: &[
            REMOVE_USER_FROM_TEAM,
            MANAGE_TEAM,
            MANAGE_TEAM_ROLES,
            MANAGE_CHANNEL_ROLES,
            CONVERT_PUBLIC_CHANNEL_TO_PRIVATE,
            CONVERT_PRIVATE_CHANNEL_TO_PUBLIC,
            DELETE_POST,
            DELETE_OTHERS_POSTS,
        ],
    },
    DefaultRole {
        name: "channel_user",
        display_name: "Channel member",
        description: "What every member of a channel may do in it.",
        permissions: &[
            READ_CHANNEL,
            READ_CHANNEL_CONTENT,
            ADD_REACTION,
            REMOVE_REACTION,
            MANAGE_PUBLIC_CHANNEL_MEMBERS,
            MANAGE_PRIVATE_CHANNEL_MEMBERS,
            UPLOAD_FILE,
            GET_PUBLIC_LINK,
            CREATE_POST,
            USE_CHANNEL_MENTIONS,
            MANAGE_PUBLIC_CHANNEL_PROPERTIES,
            MANAGE_PRIVATE_CHANNEL_PROPERTIES,
            DELETE_PUBLIC_CHANNEL,
            DELETE_PRIVATE_CHANNEL,
            DELETE_POST,
            EDIT_POST,
        ],
    },
    DefaultRole {
        name: "channel_admin",
        display_name: "Channel administrator",
        description: "May manage a channel.",
        permissions: &[MANAGE_CHANNEL_ROLES],
    },
];
