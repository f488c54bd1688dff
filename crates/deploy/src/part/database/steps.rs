//! What a plan has to do about the database, decided from data.

use database::Lacking;

use crate::action::{CreateDatabase, Database};
use crate::error::{Error, Kind};
use crate::operation::up::{Request, Steps};
use crate::part::observed::Observed;
use crate::state::location::Location;
use crate::state::settled::Settled;

/// Whether what is asked for would leave the data behind.
///
/// # Errors
/// A deployment has its data in one database, and another one is named, in which nothing is.
pub(crate) fn check_moved(settled: &Settled, observed: &Observed) -> Result<(), Error> {
    let elsewhere = settled.before.as_ref().filter(|before| !before.is(&settled.location));
    match elsewhere.filter(|_| observed.current.is_some() && !observed.database) {
        None => Ok(()),
        Some(before) => Err(Error::new(
            Kind::Refused,
            format!(
                "the data is in {before}, and {} is empty: people would find an empty Mattermost",
                settled.location
            ),
        )
        .hint(
            "move the data there first, or install another deployment with `--dir`; nothing has been changed",
        )),
    }
}

/// What has to be done about the database. Its schema is brought up to date with every release that becomes the current one.
pub(crate) fn add_steps(settled: &Settled, request: &Request, observed: &Observed, steps: &mut Steps) {
    let Settled { desired, release, location, .. } = settled;
    let (release, user, fresh) = (release.clone(), desired.user.clone(), !observed.database);
    if let (Some(lacking), Some(creation), Location::Server(server)) =
        (observed.lacking, request.creation.clone(), location)
    {
        let (name, role) = (server.name.escape_debug(), server.user.escape_debug());
        let what = match (lacking.user, lacking.database) {
            (true, true) => format!("user {role} and database {name}"),
            (true, false) => format!("user {role}"),
            _ => format!("database {name}"),
        };
        let title = format!("Create {what} on {}", server.place());
        let Lacking { user, database } = lacking;
        let action = CreateDatabase { release: release.clone(), creation, user, database };
        steps.add("create-database", title, Some("Drop what is still empty"), 200, action);
    }
    if !fresh && observed.current.as_ref() == Some(&release) {
        return;
    }
    let external = matches!(location, Location::Server(_));
    let title = match (fresh, external, &observed.current) {
        (true, false, _) => "Create the database".to_owned(),
        (true, true, _) => format!("Create the tables in {location}"),
        (false, _, None) => format!("Bring the database to {release}"),
        (false, _, Some(before)) => format!("Bring the database from {before} to {release}"),
    };
    let (name, undo, ms) = match (fresh, external) {
        (true, false) => ("database", Some("Move it aside"), 100),
        (true, true) => ("database", Some("Move them into a schema of their own"), 500),
        // No undo: only a backup brings a migrated schema back.
        (false, _) => ("migration", None, 1000),
    };
    steps.add(name, title, undo, ms, Database { release, user, fresh, external });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::up::tests::{finished, nothing, settled};
    use crate::state::creation::Creation;

    fn on_postgres(root: bool, before: Option<Location>) -> Settled {
        let host = dsn::Host::Name("db".to_owned());
        let mut server = dsn::Server::new(dsn::Engine::Postgres, host);
        (server.name, server.user, server.password) = ("chat".into(), "mm".into(), "hunter2".into());
        Settled { location: Location::Server(Box::new(server)), before, ..settled(root, None) }
    }

    fn of(settled: &Settled, request: &Request, observed: &Observed) -> Vec<(String, Option<String>)> {
        let mut steps = Steps::default();
        add_steps(settled, request, observed, &mut steps);
        assert!(!serde_json::to_string(&steps.0).expect("JSON").contains("hunter2"));
        steps.0.into_iter().map(|step| (step.title, step.undo)).collect()
    }

    #[test]
    fn a_missing_database_is_created_before_its_tables_and_only_when_asked() {
        let settled = on_postgres(false, None);
        let create = Request { creation: Some(Creation::Variable), ..Request::default() };
        let lacking = |user, database| Observed { lacking: Some(Lacking { user, database }), ..nothing() };
        let steps = of(&settled, &create, &lacking(true, true));
        assert_eq!(steps[0].0, "Create user mm and database chat on db:5432");
        assert_eq!(steps[1].0, "Create the tables in postgres://mm:***@db:5432/chat");
        assert_eq!(of(&settled, &create, &lacking(false, true))[0].0, "Create database chat on db:5432");
        assert_eq!(of(&settled, &create, &nothing()).len(), 1, "it is there");
    }

    #[test]
    fn the_schema_is_brought_up_to_date_with_a_release_and_not_undone_where_it_was_there() {
        let settled = on_postgres(false, None);
        let installed = Observed { database: true, ..nothing() };
        let [(title, undo)] = &of(&settled, &Request::default(), &installed)[..] else { panic!("one step") };
        assert!(title.starts_with("Bring the database to 11.6.0") && undo.is_none(), "{title}");
        assert_eq!(of(&settled, &Request::default(), &finished()), []);
    }

    #[test]
    fn data_is_not_left_behind_for_an_empty_database() {
        let empty = Observed { database: false, ..finished() };
        let moved = on_postgres(false, Some(Location::File));
        let refused = check_moved(&moved, &empty).expect_err("refused");
        assert_eq!(refused.kind, Kind::Refused);
        assert!(refused.what.contains("own file") && !refused.what.contains("hunter2"), "{refused}");
        let full = Observed { database: true, ..finished() };
        check_moved(&moved, &full).expect("somebody has moved the data");
        let same = Settled { before: Some(moved.location.clone()), ..moved };
        check_moved(&same, &empty).expect("it was emptied, and that is known");
    }
}
