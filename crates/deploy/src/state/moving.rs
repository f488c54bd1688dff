//! Data that goes from one database into another one: what is moved, and whether that can be.

use database::transfer::{Way, is_possible};
use dsn::{DataSource, Engine};
use release::{Capabilities, ReleaseId};

use super::kept_database::fresh_name;
use super::location::Location;
use crate::error::{Error, Exit};
use crate::place::layout::Layout;

/// Data that is to be moved.
#[derive(Debug, Clone)]
pub(crate) struct Moving {
    /// Where it is.
    pub from: Location,
    /// How its rows are treated.
    pub way: Way,
    /// How many there are, once they were counted.
    pub rows: u64,
    /// The directory below `set-aside` of what is kept of the old database.
    pub into: String,
}

impl Moving {
    /// What has to be moved where the data of a deployment with this release is to be in `to`; `None` where it is there already.
    ///
    /// # Errors
    /// It cannot be moved: why, and what to do.
    pub(crate) fn of(
        before: Option<&Location>,
        to: &Location,
        way: &Way,
        release: &ReleaseId,
    ) -> Result<Option<Self>, Error> {
        let Some(from) = before.filter(|from| !from.is(to)).cloned() else { return Ok(None) };
        let refused = |what: String, hint: &str| {
            Err(Error::new(Exit::Refused, what).hint(format!("{hint}; nothing has been changed")))
        };
        let is_postgres = match to {
            Location::Managed(_) => true,
            Location::Server(server) => server.engine == Engine::Postgres,
            Location::File => false,
        };
        if !is_postgres {
            return refused(
                format!("the data is in {from}, and Mainstay moves data to PostgreSQL alone, not into {to}"),
                "name a PostgreSQL database, or `--to managed`",
            );
        }
        if matches!(&from, Location::Managed(_))
            || matches!(&from, Location::Server(server) if server.engine == Engine::Postgres)
        {
            return refused(
                format!("the data is in {from}, which is PostgreSQL already"),
                "dump it with `pg_dump` and load it into the new database while Mattermost is down; then name the new one and run `mainstay up`",
            );
        }
        if !Capabilities::of(release).db_migrate {
            return refused(
                format!(
                    "{release} makes its tables only as it starts, so there is nothing to move the data into"
                ),
                "upgrade to 7.1 or a later release before 11.0 first: `mainstay release path` has the way",
            );
        }
        Ok(Some(Self { from, way: way.clone(), rows: 0, into: fresh_name() }))
    }

    /// Where rows are read from.
    pub(crate) fn source(&self, layout: &Layout) -> Option<DataSource> {
        source(&self.from, layout)
    }
}

/// Where the rows of a database are read from.
pub(crate) fn source(from: &Location, layout: &Layout) -> Option<DataSource> {
    let source = match from {
        Location::File => DataSource::Sqlite(layout.sqlite()),
        Location::Server(server) | Location::Managed(server) => DataSource::Server((**server).clone()),
    };
    is_possible(&source).then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(engine: Engine) -> Location {
        let mut server = dsn::Server::new(engine, dsn::Host::Name("db".into()));
        server.name = "chat".to_owned();
        Location::Server(Box::new(server))
    }

    #[test]
    fn data_goes_to_postgresql_and_nowhere_else() {
        let moving = |from: &Location, to: &Location, release: &str| {
            Moving::of(Some(from), to, &Way::default(), &release.parse().expect("a release"))
        };
        let (postgres, mysql) = (on(Engine::Postgres), on(Engine::MySql));
        const NEW: &str = "10.11.0-team";
        assert!(moving(&Location::File, &postgres, NEW).expect("possible").is_some());
        assert!(moving(&mysql, &postgres, NEW).expect("possible").is_some());
        assert!(moving(&postgres, &postgres, NEW).expect("it is there").is_none());
        let refused = |from, to, release| moving(from, to, release).expect_err("refused");
        assert!(refused(&postgres, &Location::File, NEW).what.contains("PostgreSQL alone"));
        assert!(refused(&mysql, &postgres, "5.37.0-team").what.contains("only as it starts"));
        let managed =
            Location::Managed(Box::new(dsn::Server::new(Engine::Postgres, dsn::Host::Socket("/s".into()))));
        assert!(refused(&postgres, &managed, NEW).hint.is_some_and(|hint| hint.contains("pg_dump")));
    }
}
