//! Archiving, restoring and deleting channels, and what an archived channel refuses.

use serde_json::{Value, json};

use super::super::parameters::{Params, Search};
use super::TOWN_SQUARE;
use crate::clock;
use crate::error::{AppError, Result};
use crate::event::Broadcast;
use crate::json::{Json, ok};
use crate::model::{Channel, ChannelKind};
use crate::permission::{DELETE_PRIVATE_CHANNEL, DELETE_PUBLIC_CHANNEL, MANAGE_TEAM};
use crate::session::Caller;

/// Refuses to change an archived channel.
pub(super) fn must_be_active(channel: &Channel) -> Result<()> {
    refuse(channel, "app.channel.update.bad_id", "The channel is archived. Restore it first.")
}

/// Refuses with this error if `channel` is archived.
pub(crate) fn refuse(channel: &Channel, id: &'static str, message: &'static str) -> Result<()> {
    if channel.delete_at == 0 { Ok(()) } else { Err(AppError::bad_request(id, message)) }
}

/// Archives a channel, or deletes it for good.
pub(super) async fn archive(caller: Caller, params: Params, query: Search) -> Result<Json<Value>> {
    let channel = caller.channel(params.id("channel_id")?).await?;
    let permission = match channel.kind() {
        ChannelKind::Public => DELETE_PUBLIC_CHANNEL,
        ChannelKind::Private => DELETE_PRIVATE_CHANNEL,
        ChannelKind::Direct | ChannelKind::Group => {
            return Err(AppError::bad_request(
                "api.channel.delete_channel.type.invalid",
                "Unable to delete direct or group message channels.",
            ));
        }
    };
    caller.must_in_channel(&channel, permission).await?;
    let enabled = caller.app.config.service.enable_api_channel_deletion;
    let for_good = caller.wants_erasure(query.flag("permanent"), "channel", enabled).await?;
    if !for_good {
        refuse(
            &channel,
            "api.channel.delete_channel.deleted.app_error",
            "The channel has been archived or deleted.",
        )?;
    }
    if channel.name == TOWN_SQUARE {
        return Err(AppError::bad_request(
            "api.channel.delete_channel.cannot.app_error",
            "Unable to delete the default channel town-square.",
        ));
    }
    let now = clock::now();
    let changed = caller.app.store.update_channel(channel.id, move |channel| {
        channel.delete_at = now;
        Ok(())
    });
    changed.await?;
    caller.app.store.delete_drafts_of_channel(channel.id).await?;
    let data = json!({"channel_id": channel.id, "delete_at": now});
    caller.app.publish("channel_deleted", &data, audience(&channel)).await;
    if for_good {
        caller.app.erase_channel(channel.id).await?;
    }
    Ok(ok())
}

pub(super) async fn restore(caller: Caller, params: Params) -> Result<Json<Channel>> {
    let channel = caller.channel(params.id("channel_id")?).await?;
    caller.must_in_team(channel.team_id, MANAGE_TEAM).await?;
    if channel.delete_at == 0 {
        return Err(AppError::bad_request(
            "api.channel.restore_channel.restored.app_error",
            "Unable to unarchive channel. The channel is not archived.",
        ));
    }
    let changed = caller.app.store.update_channel(channel.id, |channel| {
        channel.delete_at = 0;
        Ok(())
    });
    let channel = changed.await?;
    caller.app.publish("channel_restored", &json!({"channel_id": channel.id}), audience(&channel)).await;
    Ok(Json(channel))
}

/// Who gets the event that a channel was archived or restored: its whole team, or the members of a private channel.
fn audience(channel: &Channel) -> Broadcast {
    match channel.kind() {
        ChannelKind::Public => Broadcast::team(channel.team_id),
        _ => Broadcast::channel(channel.id),
    }
}
