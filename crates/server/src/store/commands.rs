//! Slash commands that other programs run.

use super::handle::Store;
use crate::bounds::DELAYED_ANSWERS;
use crate::clock;
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::model::{Command, DelayedAnswer};
use crate::sql::query;

/// How long a command may answer later, in milliseconds.
const DELAY: i64 = 30 * 60_000;

impl Store {
    pub(crate) async fn command(&self, id: Id) -> Result<Option<Command>> {
        let row = query("select * from commands where id = $1 and deleteat = 0");
        Ok(row.bind(id).fetch_optional(&self.readers).await?)
    }

    /// The commands of a team, or of all teams.
    pub(crate) async fn commands(&self, team: Id) -> Result<Vec<Command>> {
        let rows = query(
            "select * from commands where deleteat = 0 and ($1 = '' or teamid = $1) order by trigger, id",
        );
        Ok(rows.bind(team).fetch_all(&self.readers).await?)
    }

    pub(crate) async fn command_by_trigger(&self, team: Id, trigger: &str) -> Result<Option<Command>> {
        let row = query(
            "select * from commands where teamid = $1 and trigger = $2 and deleteat = 0 order by createat",
        );
        Ok(row.bind(team).bind(trigger).fetch_optional(&self.readers).await?)
    }

    /// Stores a new command, or a changed one. A team has each trigger once.
    pub(crate) async fn save_command(&self, command: Command, is_new: bool) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                let taken = query(
                    "select exists (select 1 from commands where teamid = $1 and trigger = $2 and id <> $3 and deleteat = 0)",
                );
                let taken = taken.bind(command.team_id).bind(&command.trigger).bind(command.id);
                if command.delete_at == 0 && taken.fetch_one::<bool>(&mut *tx.connection).await? {
                    return Err(duplicate_trigger());
                }
                let statement = if is_new {
                    command.insert()
                } else {
                    command.bind_to(
                        "update commands set token = $2, createat = $3, updateat = $4, deleteat = $5, creatorid = $6, \
                         teamid = $7, trigger = $8, method = $9, username = $10, iconurl = $11, autocomplete = $12, \
                         autocompletedesc = $13, autocompletehint = $14, displayname = $15, description = $16, \
                         url = $17, pluginid = $18 where id = $1",
                    )
                };
                statement.execute(&mut *tx.connection).await?;
                Ok(())
            })
        })
        .await
    }

    /// Stores an address for later answers, and drops those whose time is over.
    pub(crate) async fn await_answer(&self, answer: DelayedAnswer) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                query("delete from commandwebhooks where createat < $1")
                    .bind(clock::now() - DELAY)
                    .execute(&mut *tx.connection)
                    .await?;
                answer.insert().execute(&mut *tx.connection).await?;
                Ok(())
            })
        })
        .await
    }

    /// Whose later answer this is, if the command may still answer; counts it.
    pub(crate) async fn take_answer(&self, id: Id) -> Result<Option<DelayedAnswer>> {
        self.write(move |tx| {
            Box::pin(async move {
                let row = query(
                    "update commandwebhooks set usecount = usecount + 1 \
                     where id = $1 and createat >= $2 and usecount < $3 returning *",
                );
                let row = row.bind(id).bind(clock::now() - DELAY).bind(DELAYED_ANSWERS);
                Ok(row.fetch_optional(&mut *tx.connection).await?)
            })
        })
        .await
    }
}

pub(crate) fn duplicate_trigger() -> AppError {
    AppError::bad_request(
        "api.command.duplicate_trigger.app_error",
        "This trigger word is already in use. Please choose another word.",
    )
}
