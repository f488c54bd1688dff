//! The server's own slash commands, in one table.

use std::sync::Arc;

use super::super::channels::{self, ChannelPatch};
use super::super::posts::{Message, post_message};
use super::super::{channel_members, statuses};
use super::place::{Outcome, Place};
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::model::{Channel, Command, Post, Props, StringMap, User};

/// A command of the server's own.
pub(super) struct Builtin {
    trigger: &'static str,
    hint: &'static str,
    description: &'static str,
    action: Action,
}

/// What a command does.
#[derive(Debug, Clone, Copy)]
enum Action {
    Me,
    Shrug,
    Code,
    Status(&'static str),
    Msg,
    Join,
    Leave,
    Invite,
    Kick,
    Header,
    Purpose,
    Rename,
    Mute,
    Help,
    Logout,
    /// Clients do it themselves, and do not ask the server.
    ByClient,
}

const fn builtin(
    trigger: &'static str,
    hint: &'static str,
    description: &'static str,
    action: Action,
) -> Builtin {
    Builtin { trigger, hint, description, action }
}

/// Every command, in the order of their names.
const ALL: &[Builtin] = &[
    builtin("away", "", "Set your status away", Action::Status("away")),
    builtin("code", "[text]", "Display text as a code block", Action::Code),
    builtin("dnd", "", "Do not disturb: no desktop and mobile notifications", Action::Status("dnd")),
    builtin("header", "[text]", "Edit the channel header", Action::Header),
    builtin("help", "", "Show the help", Action::Help),
    builtin("invite", "@[username] ~[channel]", "Invite a user to a channel", Action::Invite),
    builtin("join", "~[channel]", "Join the open channel", Action::Join),
    builtin("kick", "@[username]", "Remove a member from the channel", Action::Kick),
    builtin("leave", "", "Leave the current channel", Action::Leave),
    builtin("logout", "", "Log out", Action::Logout),
    builtin("me", "[message]", "Do an action", Action::Me),
    builtin("msg", "@[username] [message]", "Send a direct message to a user", Action::Msg),
    builtin("mute", "~[channel]", "Turn notifications of a channel off or on", Action::Mute),
    builtin("offline", "", "Set your status offline", Action::Status("offline")),
    builtin("online", "", "Set your status online", Action::Status("online")),
    builtin("open", "~[channel]", "Open the open channel", Action::Join),
    builtin("purpose", "[text]", "Edit the channel purpose", Action::Purpose),
    builtin("remove", "@[username]", "Remove a member from the channel", Action::Kick),
    builtin("rename", "[text]", "Rename the channel", Action::Rename),
    builtin("search", "[text]", "Search text in messages", Action::ByClient),
    builtin("settings", "", "Open the settings", Action::ByClient),
    builtin("shrug", "[message]", r"Add ¯\_(ツ)_/¯ to your message", Action::Shrug),
];

/// The command with this trigger.
pub(super) fn find(trigger: &str) -> Option<&'static Builtin> {
    ALL.iter().find(|command| command.trigger == trigger)
}

/// The commands, as lists of commands show them.
pub(super) fn listed() -> Vec<Command> {
    let listed = |command: &Builtin| Command {
        trigger: command.trigger.to_owned(),
        auto_complete: true,
        auto_complete_desc: command.description.to_owned(),
        auto_complete_hint: command.hint.to_owned(),
        display_name: command.trigger.to_owned(),
        ..Command::default()
    };
    ALL.iter().map(listed).collect()
}

impl Builtin {
    /// Runs the command with the text after its trigger. What the person may not do is told to them alone.
    pub(super) async fn run(&self, place: &Place, text: &str) -> Result<Outcome> {
        let done = match self.action {
            Action::Me => post(place, format!("*{text}*"), "me", text).await,
            Action::Shrug if text.is_empty() => post(place, SHRUG.to_owned(), "", "").await,
            Action::Shrug => post(place, format!("{text} {SHRUG}"), "", "").await,
            Action::Code => code(place, text).await,
            Action::Status(word) => {
                statuses::choose(&place.caller, place.caller.user.id, word.to_owned(), 0).await?;
                Ok(place.whisper(format!("You are now {}", spoken(word))).await)
            }
            Action::Msg => message(place, text).await,
            Action::Join => join(place, text).await,
            Action::Leave => leave(place).await,
            Action::Invite => invite(place, text).await,
            Action::Kick => kick(place, text).await,
            Action::Header => {
                change(place, text, |text| ChannelPatch { header: text, ..ChannelPatch::default() }).await
            }
            Action::Purpose => {
                change(place, text, |text| ChannelPatch { purpose: text, ..ChannelPatch::default() }).await
            }
            Action::Rename => {
                change(place, text, |text| ChannelPatch { display_name: text, ..ChannelPatch::default() })
                    .await
            }
            Action::Mute => mute(place, text).await,
            Action::Help => help(place).await,
            Action::Logout => Ok(go_to("/logout".to_owned())),
            Action::ByClient => {
                Ok(place.whisper(format!("/{} is not supported by this client.", self.trigger)).await)
            }
        };
        match done {
            Err(error) if error.status().is_client_error() => {
                Ok(place.whisper(error.message().to_owned()).await)
            }
            other => other,
        }
    }
}

const SHRUG: &str = r"¯\\\_(ツ)\_/¯";

fn spoken(status: &str) -> &str {
    if status == "dnd" { "on Do Not Disturb" } else { status }
}

/// What a command says that cannot be done like this.
fn cannot(text: impl Into<String>) -> AppError {
    AppError::bad_request("api.command.usage.app_error", text.into())
}

/// Posts a message of the person's own.
async fn post(place: &Place, text: String, kind: &str, original: &str) -> Result<Outcome> {
    if kind == "me" && original.is_empty() {
        return Err(cannot("A message must be provided with the /me command."));
    }
    let mut props = Props::default();
    if kind == "me" {
        props.insert("message".to_owned(), original.into());
    }
    let message = Message { text: text.clone(), root: place.root, kind: kind.to_owned(), props };
    say(place, &place.channel, message).await?;
    Ok(Outcome { response_type: "in_channel".to_owned(), text, kind: kind.to_owned(), ..Outcome::default() })
}

async fn say(place: &Place, channel: &Channel, message: Message) -> Result<Post> {
    let post = post_message(&place.caller, channel, message).await?;
    place.caller.app.note_for_hooks(channel, &post, &place.caller.user);
    Ok(post)
}

async fn code(place: &Place, text: &str) -> Result<Outcome> {
    if text.is_empty() {
        return Err(cannot("A message must be provided with the /code command."));
    }
    // The lines as they were typed: their indentation is part of the code.
    let typed = place.line.split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
    let lines: Vec<String> = typed.lines().map(|line| format!("    {line}")).collect();
    post(place, lines.join("\n"), "", "").await
}

fn go_to(path: String) -> Outcome {
    Outcome { response_type: "ephemeral".to_owned(), goto_location: path, ..Outcome::default() }
}

/// The path of a channel in the web app.
fn path_of(place: &Place, channel: &str) -> String {
    let team = place.team.as_ref().map_or("", |team| &team.name);
    format!("/{team}/{channel}")
}

/// The account that a word names.
async fn person(place: &Place, word: &str) -> Result<User> {
    let name = word.trim_start_matches('@').to_lowercase();
    let found = place.caller.app.store.user_by_name(&name).await?;
    let missing = || cannot(format!("We couldn't find the user \"{name}\"."));
    found.filter(|user| user.delete_at == 0).ok_or_else(missing)
}

/// The channel that a word names in the team. A private one exists only for its members.
async fn channel(place: &Place, word: &str) -> Result<Arc<Channel>> {
    let name = word.trim_start_matches('~').to_lowercase();
    let missing = || cannot(format!("Could not find the channel \"{name}\"."));
    let team = place.team.as_ref().ok_or_else(missing)?;
    let store = &place.caller.app.store;
    let found = store.channel_by_name(team.id, &name, false).await?.ok_or_else(missing)?;
    place.caller.must_read(&found).await.map_err(|_| missing())?;
    Ok(Arc::new(found))
}

async fn message(place: &Place, text: &str) -> Result<Outcome> {
    let (name, words) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if name.is_empty() {
        return Err(cannot("Name the person, as in /msg @name hello."));
    }
    let person = person(place, name).await?;
    let direct = channels::direct_with(&place.caller, person.id).await?;
    if !words.trim().is_empty() {
        let message = Message { text: words.trim().to_owned(), ..Message::default() };
        say(place, &direct, message).await?;
    }
    Ok(go_to(path_of(place, &format!("messages/@{}", person.username))))
}

async fn join(place: &Place, text: &str) -> Result<Outcome> {
    let found = channel(place, text.split_whitespace().next().unwrap_or_default()).await?;
    channel_members::admit(&place.caller, &found, &[place.caller.user.id], "").await?;
    Ok(go_to(path_of(place, &format!("channels/{}", found.name))))
}

async fn leave(place: &Place) -> Result<Outcome> {
    channel_members::dismiss(&place.caller, Arc::clone(&place.channel), place.caller.user.id).await?;
    Ok(go_to(path_of(place, &format!("channels/{}", channels::TOWN_SQUARE))))
}

async fn invite(place: &Place, text: &str) -> Result<Outcome> {
    let (names, places): (Vec<&str>, Vec<&str>) =
        text.split_whitespace().partition(|word| !word.starts_with('~'));
    let Some(name) = names.first() else {
        return Err(cannot("Name the person, as in /invite @name or /invite @name ~channel."));
    };
    let person = person(place, name).await?;
    let target = match places.first() {
        Some(word) => channel(place, word).await?,
        None => Arc::clone(&place.channel),
    };
    if place.caller.app.store.channel_member(target.id, person.id).await?.is_some() {
        return Err(cannot(format!("{} is already in the channel.", person.username)));
    }
    channel_members::admit(&place.caller, &target, &[person.id], "").await?;
    Ok(place.whisper(format!("{} added to {} channel.", person.username, target.name)).await)
}

async fn kick(place: &Place, text: &str) -> Result<Outcome> {
    let name = text.split_whitespace().next();
    let person = person(place, name.ok_or_else(|| cannot("Name the person, as in /kick @name."))?).await?;
    channel_members::dismiss(&place.caller, Arc::clone(&place.channel), person.id).await?;
    Ok(Outcome { response_type: "ephemeral".to_owned(), ..Outcome::default() })
}

async fn change(
    place: &Place,
    text: &str,
    patch: impl FnOnce(Option<String>) -> ChannelPatch,
) -> Result<Outcome> {
    if text.is_empty() {
        return Err(cannot("A text must be provided with this command."));
    }
    if place.channel.is_direct_or_group() && patch_is_for_channels(place) {
        return Err(cannot("Direct messages have no name and no purpose."));
    }
    channels::change(&place.caller, place.channel.id, patch(Some(text.to_owned()))).await?;
    Ok(Outcome { response_type: "ephemeral".to_owned(), ..Outcome::default() })
}

/// Whether the command changes what direct channels do not have.
fn patch_is_for_channels(place: &Place) -> bool {
    !place.line.to_lowercase().starts_with("/header")
}

async fn mute(place: &Place, text: &str) -> Result<Outcome> {
    let target = match text.split_whitespace().next() {
        Some(word) => channel(place, word).await?,
        None => Arc::clone(&place.channel),
    };
    let user: Id = place.caller.user.id;
    let member = place.caller.app.store.channel_member(target.id, user).await?;
    let member = member.ok_or_else(|| cannot("You are not a member of this channel."))?;
    let is_muted = member.notify_props.get("mark_unread").is_some_and(|value| value == "mention");
    let (value, said) = if is_muted {
        ("all", "is no longer muted")
    } else {
        ("mention", "is muted: you get no notifications until you run /mute again")
    };
    let props = StringMap::from([("mark_unread".to_owned(), value.to_owned())]);
    channel_members::change_notify_props(&place.caller, target.id, user, props).await?;
    let name = if target.display_name.is_empty() { "This channel" } else { &target.display_name };
    Ok(place.whisper(format!("{name} {said}.")).await)
}

async fn help(place: &Place) -> Result<Outcome> {
    let link = &place.caller.app.config.support.help_link;
    let mut text = String::from("The commands:\n");
    for command in ALL {
        let hint = if command.hint.is_empty() { String::new() } else { format!(" {}", command.hint) };
        text += &format!("- `/{}{hint}`: {}\n", command.trigger, command.description.replace('\\', r"\\"));
    }
    if !link.is_empty() {
        text += &format!("\n[More help]({link})");
    }
    Ok(place.whisper(text).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_each_command_once() {
        assert!(ALL.windows(2).all(|pair| pair[0].trigger < pair[1].trigger));
        assert!(find("echo").is_none() && find("shrug").is_some());
    }
}
