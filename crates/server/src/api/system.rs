//! Health, client configuration, licence and limits.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::parameters::Search;
use crate::app::App;
use crate::bounds::POST_MESSAGE;
use crate::contract::{API_VERSION, BUILD_NUMBER, build_hash};
use crate::error::{AppError, Result};
use crate::json::{Body, Json, ok};
use crate::peer::Client;
use crate::permission::MANAGE_SYSTEM;
use crate::session::{Caller, Visitor};
use crate::store::USER_LIMIT;

/// A database that takes longer to answer than this is unhealthy.
const PROBE: Duration = Duration::from_secs(5);

/// Clients warn administrators when there are more active users than this.
const USER_WARNING: i64 = 200;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/system/ping", get(ping))
        .route("/system/timezones", get(time_zones))
        .route("/system/onboarding/complete", get(onboarding).post(complete_onboarding))
        .route("/config", get(config))
        .route("/config/client", get(client_config))
        .route("/config/environment", get(environment))
        .route("/license/client", get(client_license))
        .route("/limits/server", get(limits))
        .route("/logs", post(client_log))
}

/// The routes on the local channel.
pub(super) fn local_router() -> Router<App> {
    Router::new()
        .route("/system/ping", get(ping))
        .route("/config", get(config))
        .route("/config/client", get(client_config))
        .route("/license/client", get(client_license))
}

/// The settings that this server knows, with their values. Secrets are masked.
async fn config(caller: Caller) -> Result<Json<Value>> {
    caller.must(MANAGE_SYSTEM).await?;
    Ok(Json(caller.app.config.masked()))
}

/// The settings that come from the environment, which the System Console does not let people edit.
async fn environment(caller: Caller) -> Result<Json<Value>> {
    caller.must(MANAGE_SYSTEM).await?;
    Ok(Json(json!(caller.app.config.from_environment)))
}

async fn ping(State(app): State<App>, search: Search) -> Response {
    let mut answer = json!({
        "status": "OK",
        "AndroidLatestVersion": "",
        "AndroidMinVersion": "",
        "IosLatestVersion": "",
        "IosMinVersion": "",
        "ActiveSearchBackend": "database",
    });
    if !search.flag("get_server_status") {
        return Json(answer).into_response();
    }
    let directory = app.config.file.directory.clone();
    let file_store =
        tokio::task::spawn_blocking(move || crate::files::directory::probe(Path::new(&directory))).await;
    let file_store = file_store.is_ok_and(|probe| probe.is_ok());
    let database = matches!(tokio::time::timeout(PROBE, app.store.probe()).await, Ok(Ok(())));
    let healthy = database && file_store;
    let word = |works| if works { "OK" } else { "UNHEALTHY" };
    answer["status"] = word(healthy).into();
    answer["database_status"] = word(database).into();
    answer["filestore_status"] = word(file_store).into();
    let mut response = Json(answer).into_response();
    for (name, works) in [("database_status", database), ("filestore_status", file_store)] {
        response.headers_mut().insert(name, HeaderValue::from_static(word(works)));
    }
    if !healthy && !search.flag("use_rest_semantics") {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    response
}

async fn client_license(search: Search) -> Result<Json<Value>> {
    match search.text("format") {
        "old" => Ok(Json(json!({"IsLicensed": "false"}))),
        _ => Err(AppError::parameter("format")),
    }
}

async fn limits(State(app): State<App>, _: Caller) -> Result<Json<Value>> {
    Ok(Json(json!({
        "maxUsersLimit": USER_WARNING,
        "maxUsersHardLimit": USER_LIMIT,
        "activeUserCount": app.store.active_users().await?,
        "singleChannelGuestCount": 0,
        "singleChannelGuestLimit": 0,
        "postHistoryLimit": 0,
        "lastAccessiblePostTime": 0,
    })))
}

async fn time_zones(_: Caller) -> Json<Vec<String>> {
    Json(jiff::tz::db().available().map(|name| name.to_string()).collect())
}

async fn onboarding(caller: Caller) -> Result<Json<Value>> {
    caller.must(MANAGE_SYSTEM).await?;
    let value = caller.app.store.system("FirstAdminSetupComplete").await?;
    let value = value.unwrap_or_else(|| "false".to_owned());
    Ok(Json(json!({"name": "FirstAdminSetupComplete", "value": value})))
}

async fn complete_onboarding(caller: Caller) -> Result<Json<Value>> {
    caller.must(MANAGE_SYSTEM).await?;
    caller.app.store.set_system("FirstAdminSetupComplete", "true".to_owned()).await?;
    Ok(ok())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ClientLog {
    level: String,
    message: String,
}

/// Logs an error that a client reports. The text is truncated, because anybody may send one.
async fn client_log(Visitor(caller): Visitor, client: Client, Body(log): Body<ClientLog>) -> Json<Value> {
    let user = caller.map(|caller| caller.user.id).unwrap_or_default();
    let message: String = log.message.chars().take(400).collect();
    let level: String = log.level.chars().take(10).collect();
    tracing::info!(%client, %user, level, message, "a client reported an error");
    Json(json!({ "message": message }))
}

async fn client_config(
    State(app): State<App>,
    Visitor(caller): Visitor,
) -> Result<Json<BTreeMap<&'static str, String>>> {
    let mut values = limited_config(&app);
    values.insert("NoAccounts", (!app.store.has_users().await?).to_string());
    if caller.is_some() {
        values.extend(full_config(&app));
    }
    Ok(Json(values))
}

/// The settings that a client gets before login: those that the login page needs.
fn limited_config(app: &App) -> BTreeMap<&'static str, String> {
    let config = &app.config;
    let text = |text: &str| text.to_owned();
    BTreeMap::from([
        ("Version", text(API_VERSION)),
        ("BuildNumber", text(BUILD_NUMBER)),
        ("BuildDate", String::new()),
        ("BuildHash", text(build_hash())),
        ("BuildHashEnterprise", text("none")),
        ("BuildEnterpriseReady", text("false")),
        ("DiagnosticId", app.diagnostic_id.clone()),
        ("TelemetryId", app.diagnostic_id.clone()),
        ("SiteURL", text(config.service.site_url.trim_end_matches('/'))),
        ("SiteName", config.team.site_name.clone()),
        ("WebsocketURL", text(config.service.websocket_url.trim_end_matches('/'))),
        ("WebsocketPort", config.service.websocket_port.to_string()),
        ("WebsocketSecurePort", config.service.websocket_secure_port.to_string()),
        ("EnableUserCreation", config.team.enable_user_creation.to_string()),
        ("EnableOpenServer", config.team.enable_open_server.to_string()),
        ("EnableSignUpWithEmail", config.email.enable_sign_up_with_email.to_string()),
        ("EnableSignInWithEmail", config.email.enable_sign_in_with_email.to_string()),
        ("EnableSignInWithUsername", config.email.enable_sign_in_with_username.to_string()),
        ("RequireEmailVerification", config.email.require_email_verification.to_string()),
        ("SendEmailNotifications", (config.email.send_email_notifications && app.mail.is_some()).to_string()),
        // Our own: whether a link to choose a new password can be sent.
        ("MainstaySendsMail", app.mail.is_some().to_string()),
        ("DefaultClientLocale", config.localization.default_client_locale.clone()),
        ("AvailableLocales", config.localization.available_locales.clone()),
        ("PasswordMinimumLength", config.password.minimum_length.to_string()),
        ("PasswordRequireLowercase", config.password.lowercase.to_string()),
        ("PasswordRequireUppercase", config.password.uppercase.to_string()),
        ("PasswordRequireNumber", config.password.number.to_string()),
        ("PasswordRequireSymbol", config.password.symbol.to_string()),
        ("EnableSignUpWithGitLab", config.gitlab.enable.to_string()),
        // This server runs no plugins, even if the configuration enables them.
        ("PluginsEnabled", text("false")),
        ("CustomDescriptionText", config.team.custom_description_text.clone()),
        ("EnableCustomBrand", text("false")),
        ("EnableDesktopLandingPage", config.service.enable_desktop_landing_page.to_string()),
        ("AppDownloadLink", config.native_app.app_download_link.clone()),
        ("EnableLdap", text("false")),
        ("EnableSaml", text("false")),
        ("EnableMultifactorAuthentication", text("false")),
        ("EnforceMultifactorAuthentication", text("false")),
        ("EnableGuestAccounts", text("false")),
        ("EnableDiagnostics", text("false")),
        ("HasImageProxy", text("false")),
        ("TermsOfServiceLink", config.support.terms_of_service_link.clone()),
        ("PrivacyPolicyLink", config.support.privacy_policy_link.clone()),
        ("AboutLink", config.support.about_link.clone()),
        ("HelpLink", config.support.help_link.clone()),
        ("ReportAProblemLink", config.support.report_a_problem_link.clone()),
        ("ForgotPasswordLink", String::new()),
        ("GoogleDeveloperKey", config.service.google_developer_key.clone()),
        ("AsymmetricSigningPublicKey", String::new()),
    ])
}

/// The further settings that a logged-in client gets.
fn full_config(app: &App) -> Vec<(&'static str, String)> {
    let config = &app.config;
    let text = |text: &str| text.to_owned();
    vec![
        ("MaxPostSize", POST_MESSAGE.to_string()),
        ("SchemaVersion", text("159")),
        ("InstallationDate", app.installed_at.clone()),
        ("UpgradedFromTE", text("false")),
        ("EnableUserStatuses", config.service.enable_user_statuses.to_string()),
        ("EnableUserTypingMessages", config.service.enable_user_typing_messages.to_string()),
        ("TimeBetweenUserTypingUpdatesMilliseconds", config.service.typing_interval_ms.to_string()),
        (
            "UsersStatusAndProfileFetchingPollIntervalMilliseconds",
            config.experimental.polling_interval_ms.to_string(),
        ),
        ("CollapsedThreads", config.service.collapsed_threads.clone()),
        ("ThreadAutoFollow", config.service.thread_auto_follow.to_string()),
        ("AllowSyncedDrafts", config.service.allow_synced_drafts.to_string()),
        ("EnableFileAttachments", config.file.enable_file_attachments.to_string()),
        ("EnableMobileFileUpload", config.file.enable_file_attachments.to_string()),
        ("EnableMobileFileDownload", config.file.enable_file_attachments.to_string()),
        ("EnablePublicLink", config.file.enable_public_link.to_string()),
        ("MaxFileSize", config.file.max_file_size.to_string()),
        ("TeammateNameDisplay", config.team.teammate_name_display.clone()),
        ("RestrictDirectMessage", config.team.restrict_direct_message.clone()),
        ("EnableUserDeactivation", config.team.enable_user_deactivation.to_string()),
        ("ShowEmailAddress", config.privacy.show_email_address.to_string()),
        ("ShowFullName", config.privacy.show_full_name.to_string()),
        ("SupportEmail", config.support.support_email.clone()),
        ("EnableEmailBatching", config.email.enable_email_batching.to_string()),
        (
            "EnableEmailInvitations",
            (config.service.enable_email_invitations && app.mail.is_some()).to_string(),
        ),
        ("EmailNotificationContentsType", config.email.email_notification_contents_type.clone()),
        ("EnableCustomEmoji", text("false")),
        ("EnableEmojiPicker", text("true")),
        ("EnableTutorial", config.service.enable_tutorial.to_string()),
        ("EnableOnboardingFlow", config.service.enable_onboarding_flow.to_string()),
        ("PostEditTimeLimit", config.service.post_edit_time_limit.to_string()),
        ("ExperimentalEnablePostMetadata", text("true")),
        ("EnableCommands", config.service.enable_commands.to_string()),
        ("EnableIncomingWebhooks", config.service.enable_incoming_webhooks.to_string()),
        ("EnableOutgoingWebhooks", config.service.enable_outgoing_webhooks.to_string()),
        ("EnablePostUsernameOverride", config.service.enable_post_username_override.to_string()),
        ("EnablePostIconOverride", config.service.enable_post_icon_override.to_string()),
        ("EnableBotAccountCreation", text("false")),
        ("EnableFileSearch", text("true")),
        ("ExperimentalViewArchivedChannels", text("true")),
        ("UniqueEmojiReactionLimitPerPost", config.service.unique_emoji_reaction_limit.to_string()),
        ("EnableUserAccessTokens", config.service.enable_user_access_tokens.to_string()),
        ("EnableDeveloper", config.service.enable_developer.to_string()),
        // What the web app does by itself.
        ("EnableJoinLeaveMessageByDefault", text("true")),
        ("EnableThemeSelection", text("true")),
        ("AllowCustomThemes", text("true")),
        ("DefaultTheme", String::new()),
        ("EnableCustomUserStatuses", text("true")),
        ("EnableConfirmNotificationsToChannel", text("true")),
        ("EnableReliableWebSockets", text("true")),
        ("DisableRefetchingOnBrowserFocus", text("false")),
        ("DelayChannelAutocomplete", text("false")),
        // What this server does not have.
        ("EnableLastActiveTime", text("false")),
        ("EnableLinkPreviews", text("false")),
        ("EnablePermalinkPreviews", text("false")),
        ("PostPriority", text("false")),
        ("AllowPersistentNotifications", text("false")),
        ("ScheduledPosts", text("false")),
        ("EnableCustomGroups", text("false")),
        ("EnableGifPicker", text("false")),
        ("EnableLatex", text("false")),
        ("EnableInlineLatex", text("false")),
        ("EnableSVGs", text("false")),
        ("EnableMarketplace", text("false")),
        ("EnableOAuthServiceProvider", text("false")),
        ("ExperimentalEnableAutomaticReplies", text("false")),
    ]
}
