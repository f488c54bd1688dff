//! What a release may change without anybody having lost anything.

/// Tables that the server itself fills and empties, by their names in lower case, and what is in them. They are not compared.
pub(super) const NOT_COMPARED: [(&str, &str); 23] = [
    ("audits", "what people did, which a job thins out"),
    ("clusterdiscovery", "the nodes of a cluster"),
    ("db_lock", "the lock of a migration"),
    ("db_migrations", "the migrations that have run"),
    ("desktoptokens", "sign-ins of the desktop app that are under way"),
    ("drafts", "drafts; the server removes empty ones, and those of deleted posts, at its start"),
    ("jobs", "jobs of the server"),
    ("linkmetadata", "what links lead to: fetched again"),
    ("mainstayloginattempts", "wrong passwords, which are forgotten after a day"),
    ("mainstaysearchedposts", "the index of the search, which is made from the posts"),
    ("notifyadmin", "requests for an upgrade, which end with it"),
    ("persistentnotifications", "notifications that are repeated until somebody answers"),
    ("pluginkeyvaluestore", "what plugins keep, also for a time only"),
    ("postreminders", "reminders, which end when they were given"),
    ("productnoticeviewstate", "notices that were seen"),
    ("recentsearches", "the last searches"),
    ("roles", "the roles of the release, which writes them at its start"),
    ("scheduledposts", "posts that are sent at their time"),
    ("sessions", "sign-ins, which end"),
    ("status", "who is online"),
    ("systems", "what the server remembers of its own work"),
    ("tokens", "invitations and passwords that were forgotten, which end"),
    ("uploadsessions", "uploads that are under way"),
];

/// What a migration removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    /// A table.
    Table(&'static str),
    /// A column of a table.
    Column(&'static str, &'static str),
    /// Rows of a table.
    Rows(&'static str),
}

/// Migrations of the official server that remove something on purpose: their names in `db_migrations` (the numbers differ between release
/// lines) or `systems`, what goes, and why nobody misses it. Read in `server/channels/db/migrations/postgres`, 000001 to 000159 (11.6).
pub(super) const ON_PURPOSE: [(&str, Removed, &str); 16] = [
    ("upgrade_posts_v6.0", Removed::Column("posts", "parentid"), "`rootid` has it"),
    ("remove_posts_parentid", Removed::Column("posts", "parentid"), "`rootid` has it"),
    ("upgrade_users_v6.3", Removed::Column("users", "acceptedtermsofserviceid"), "unused since 5.x"),
    ("upgrade_users_v6.5", Removed::Column("users", "acceptedservicetermsid"), "unused since 5.x"),
    ("remaining_migrations", Removed::Column("users", "themeprops"), "moved to `preferences`"),
    ("remaining_migrations", Removed::Table("jobstatuses"), "unused since 4.x"),
    ("remaining_migrations", Removed::Table("passwordrecovery"), "unused since 4.x"),
    ("threads_threaddeleteat", Removed::Column("threads", "deleteat"), "`threaddeleteat` has it"),
    ("threads_threadteamid", Removed::Column("threads", "teamid"), "`threadteamid` has it"),
    ("remove_tokens", Removed::Rows("oauthaccessdata"), "grants that were withdrawn"),
    ("threadmemberships_cleanup", Removed::Rows("threadmemberships"), "threads in channels that were left"),
    (
        "remove_orphaned_oauth_preferences",
        Removed::Rows("preferences"),
        "preferences of apps that have no grant",
    ),
    (
        "sharedchannelremotes_drop_nextsyncat_description",
        Removed::Column("sharedchannelremotes", "nextsyncat"),
        "unused",
    ),
    (
        "sharedchannelremotes_drop_nextsyncat_description",
        Removed::Column("sharedchannelremotes", "description"),
        "unused",
    ),
    ("remove_true_up_review_history", Removed::Table("trueupreviewhistory"), "the feature is gone"),
    // In code: `server/channels/jobs/delete_dms_preferences_migration`.
    (
        "delete_dms_preferences_migration",
        Removed::Rows("preferences"),
        "limits of direct messages in the sidebar that are invalid",
    ),
];
