//! The sections and keys that the server reads, with Mattermost's defaults and the minimum of each number.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::reading::{Document, Key, read};
use super::refusal::ConfigError;

macro_rules! section {
    ($name:ident $section:literal { $($field:ident $key:literal: $type:ty = $default:expr $(, at least $minimum:literal)?;)* }) => {
        #[derive(Debug, Clone)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type,)*
        }

        impl Default for $name {
            fn default() -> $name {
                $name { $($field: $default.into(),)* }
            }
        }

        impl $name {
            /// Section, key and field of each.
            pub(super) const KEYS: &[(&str, &str, &str)] = &[$(($section, $key, stringify!($field)),)*];

            pub(super) fn read(
                &mut self,
                document: &Document,
                environment: &BTreeMap<String, String>,
            ) -> Result<(), ConfigError> {
                $(
                    let minimum = [i64::MIN $(, $minimum)?].into_iter().max().unwrap_or(i64::MIN);
                    let key = Key { section: $section, name: $key, minimum };
                    read(&mut self.$field, &key, document, environment)?;
                )*
                Ok(())
            }

            /// The settings by their names in config.json.
            pub(super) fn to_json(&self) -> Value {
                Value::Object([$(($key.to_owned(), json!(self.$field)),)*].into_iter().collect())
            }
        }
    };
}

section!(Service "ServiceSettings" {
    site_url "SiteURL": String = "";
    listen_address "ListenAddress": String = "127.0.0.1:8065";
    enable_local_mode "EnableLocalMode": bool = false;
    local_mode_socket_location "LocalModeSocketLocation": String = "/var/tmp/mattermost_local.socket";
    enable_user_access_tokens "EnableUserAccessTokens": bool = false;
    enable_developer "EnableDeveloper": bool = false;
    maximum_login_attempts "MaximumLoginAttempts": i64 = 10, at least 1;
    maximum_payload_size_bytes "MaximumPayloadSizeBytes": i64 = 300_000, at least 1;
    maximum_url_length "MaximumURLLength": i64 = 2048, at least 1;
    session_length_web_in_hours "SessionLengthWebInHours": i64 = 720, at least 1;
    session_length_mobile_in_hours "SessionLengthMobileInHours": i64 = 720, at least 1;
    session_length_sso_in_hours "SessionLengthSSOInHours": i64 = 720, at least 1;
    session_idle_timeout_in_minutes "SessionIdleTimeoutInMinutes": i64 = 43_200, at least 0;
    terminate_sessions_on_password_change "TerminateSessionsOnPasswordChange": bool = true;
    extend_session_length_with_activity "ExtendSessionLengthWithActivity": bool = true;
    experimental_strict_csrf_enforcement "ExperimentalStrictCSRFEnforcement": bool = false;
    allow_cors_from "AllowCorsFrom": String = "";
    cors_exposed_headers "CorsExposedHeaders": String = "";
    cors_allow_credentials "CorsAllowCredentials": bool = false;
    allow_cookies_for_subdomains "AllowCookiesForSubdomains": bool = false;
    websocket_url "WebsocketURL": String = "";
    websocket_port "WebsocketPort": i64 = 80, at least 0;
    websocket_secure_port "WebsocketSecurePort": i64 = 443, at least 0;
    google_developer_key "GoogleDeveloperKey": String = "";
    collapsed_threads "CollapsedThreads": String = "always_on";
    thread_auto_follow "ThreadAutoFollow": bool = true;
    allow_synced_drafts "AllowSyncedDrafts": bool = true;
    enable_user_typing_messages "EnableUserTypingMessages": bool = true;
    enable_user_statuses "EnableUserStatuses": bool = true;
    enable_email_invitations "EnableEmailInvitations": bool = false;
    enable_tutorial "EnableTutorial": bool = false;
    enable_onboarding_flow "EnableOnboardingFlow": bool = false;
    enable_desktop_landing_page "EnableDesktopLandingPage": bool = false;
    enable_api_user_deletion "EnableAPIUserDeletion": bool = false;
    enable_api_team_deletion "EnableAPITeamDeletion": bool = false;
    enable_api_channel_deletion "EnableAPIChannelDeletion": bool = false;
    enable_api_post_deletion "EnableAPIPostDeletion": bool = false;
    unique_emoji_reaction_limit "UniqueEmojiReactionLimitPerPost": i64 = 50, at least 0;
    post_edit_time_limit "PostEditTimeLimit": i64 = -1, at least -1;
    enable_incoming_webhooks "EnableIncomingWebhooks": bool = true;
    enable_outgoing_webhooks "EnableOutgoingWebhooks": bool = true;
    enable_commands "EnableCommands": bool = true;
    enable_post_username_override "EnablePostUsernameOverride": bool = false;
    enable_post_icon_override "EnablePostIconOverride": bool = false;
    enable_insecure_outgoing_connections "EnableInsecureOutgoingConnections": bool = false;
    allowed_untrusted_internal_connections "AllowedUntrustedInternalConnections": String = "";
    outgoing_integration_requests_timeout "OutgoingIntegrationRequestsTimeout": i64 = 30, at least 1;
    typing_interval_ms "TimeBetweenUserTypingUpdatesMilliseconds": i64 = 5000, at least 0;
});

section!(RateLimit "RateLimitSettings" {
    enable "Enable": bool = false;
    per_sec "PerSec": i64 = 10, at least 1;
    max_burst "MaxBurst": i64 = 100, at least 1;
    memory_store_size "MemoryStoreSize": i64 = 10_000, at least 1;
    vary_by_remote_addr "VaryByRemoteAddr": bool = true;
    vary_by_user "VaryByUser": bool = false;
    vary_by_header "VaryByHeader": String = "";
});

section!(GitLab "GitLabSettings" {
    enable "Enable": bool = false;
    id "Id": String = "";
    secret "Secret": String = "";
    scope "Scope": String = "";
    auth_endpoint "AuthEndpoint": String = "";
    token_endpoint "TokenEndpoint": String = "";
    user_api_endpoint "UserAPIEndpoint": String = "";
});

section!(Team "TeamSettings" {
    site_name "SiteName": String = "Mattermost";
    max_users_per_team "MaxUsersPerTeam": i64 = 50, at least 1;
    max_channels_per_team "MaxChannelsPerTeam": i64 = 2000, at least 1;
    enable_user_creation "EnableUserCreation": bool = true;
    enable_open_server "EnableOpenServer": bool = false;
    enable_user_deactivation "EnableUserDeactivation": bool = false;
    restrict_creation_to_domains "RestrictCreationToDomains": String = "";
    restrict_direct_message "RestrictDirectMessage": String = "any";
    teammate_name_display "TeammateNameDisplay": String = "username";
    custom_description_text "CustomDescriptionText": String = "";
});

section!(Sql "SqlSettings" {
    driver_name "DriverName": String = "sqlite";
    data_source "DataSource": String = "mattermost.db";
    max_open_conns "MaxOpenConns": i64 = 100, at least 1;
    max_idle_conns "MaxIdleConns": i64 = 50, at least 1;
    conn_max_lifetime_ms "ConnMaxLifetimeMilliseconds": i64 = 3_600_000, at least 0;
    conn_max_idle_time_ms "ConnMaxIdleTimeMilliseconds": i64 = 300_000, at least 0;
});

section!(File "FileSettings" {
    directory "Directory": String = "./data/";
    enable_file_attachments "EnableFileAttachments": bool = true;
    max_file_size "MaxFileSize": i64 = 104_857_600, at least 1;
    enable_public_link "EnablePublicLink": bool = false;
    public_link_salt "PublicLinkSalt": String = "";
});

section!(Email "EmailSettings" {
    enable_sign_up_with_email "EnableSignUpWithEmail": bool = true;
    enable_sign_in_with_email "EnableSignInWithEmail": bool = true;
    enable_sign_in_with_username "EnableSignInWithUsername": bool = true;
    require_email_verification "RequireEmailVerification": bool = false;
    send_email_notifications "SendEmailNotifications": bool = false;
    feedback_name "FeedbackName": String = "";
    feedback_email "FeedbackEmail": String = "";
    feedback_organization "FeedbackOrganization": String = "";
    reply_to_address "ReplyToAddress": String = "";
    smtp_server "SMTPServer": String = "";
    smtp_port "SMTPPort": String = "10025";
    smtp_server_timeout "SMTPServerTimeout": i64 = 10, at least 1;
    enable_smtp_auth "EnableSMTPAuth": bool = false;
    smtp_username "SMTPUsername": String = "";
    smtp_password "SMTPPassword": String = "";
    connection_security "ConnectionSecurity": String = "";
    skip_server_certificate_verification "SkipServerCertificateVerification": bool = false;
    enable_email_batching "EnableEmailBatching": bool = false;
    email_batching_buffer_size "EmailBatchingBufferSize": i64 = 256, at least 1;
    email_batching_interval "EmailBatchingInterval": i64 = 30, at least 1;
    email_notification_contents_type "EmailNotificationContentsType": String = "full";
    use_channel_in_email_notifications "UseChannelInEmailNotifications": bool = false;
});

section!(Password "PasswordSettings" {
    minimum_length "MinimumLength": i64 = 8, at least 5;
    lowercase "Lowercase": bool = false;
    uppercase "Uppercase": bool = false;
    number "Number": bool = false;
    symbol "Symbol": bool = false;
});

section!(Privacy "PrivacySettings" {
    show_email_address "ShowEmailAddress": bool = true;
    show_full_name "ShowFullName": bool = true;
});

section!(Support "SupportSettings" {
    terms_of_service_link "TermsOfServiceLink": String = "";
    privacy_policy_link "PrivacyPolicyLink": String = "";
    about_link "AboutLink": String = "";
    help_link "HelpLink": String = "";
    report_a_problem_link "ReportAProblemLink": String = "";
    support_email "SupportEmail": String = "";
});

section!(Localization "LocalizationSettings" {
    default_server_locale "DefaultServerLocale": String = "en";
    default_client_locale "DefaultClientLocale": String = "en";
    available_locales "AvailableLocales": String = "";
});

section!(NativeApp "NativeAppSettings" {
    app_download_link "AppDownloadLink": String = "";
});

section!(Experimental "ExperimentalSettings" {
    polling_interval_ms "UsersStatusAndProfileFetchingPollIntervalMilliseconds": i64 = 3000, at least 0;
});
