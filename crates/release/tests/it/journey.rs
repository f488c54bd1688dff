//! Ways from one release to another, written down by hand from the makers' upgrade notes.

use release::{Catalogue, Leg, ReleaseId, Store, journey};

/// A way in words: releases by their numbers, `pg15` and `mysql8.0` for what happens to the database before the next release,
/// `>pg14` for a move to PostgreSQL.
fn way(from: &str, to: &str, store: &str, every_extended: bool) -> String {
    let store = match store.split_at_checked(2) {
        Some(("pg", major)) => Store::Postgres(major.parse().unwrap()),
        Some(("my", "8.0")) => Store::Mysql(8, 0),
        Some(("my", minor)) => Store::Mysql(5, minor.parse().unwrap()),
        Some(("ma", _)) => Store::Mariadb,
        _ => Store::Sqlite,
    };
    let release = |text: &str| -> ReleaseId {
        if text.contains('-') { text.parse() } else { format!("{text}-team").parse() }.unwrap()
    };
    match journey(&release(from), &release(to), store, every_extended, &Catalogue::built_in()) {
        Err(error) => format!("no: {error}"),
        Ok(legs) => {
            let words = legs.iter().map(|leg| match leg {
                Leg::Release { version, .. } => version.to_string(),
                Leg::Postgres { to, .. } => format!("pg{to}"),
                Leg::Mysql { to, .. } => format!("mysql{to}"),
                Leg::MoveToPostgres { to, .. } => format!(">pg{to}"),
            });
            words.collect::<Vec<_>>().join(" ")
        }
    }
}

/// FROM TO STORE | WAY
const WAYS: &str = "
    11.7.15 11.7.15 pg14 |
    11.7.14 11.7.15 pg14 | 11.7.15
    11.7.14 11.7.15 pg13 | pg14 11.7.15
    11.6.0 11.7.15 pg14 | 11.7.15
    11.6.0 11.7.15 pg16 | 11.7.15
    11.7.15 12.0.2 pg14 | pg15 12.0.2
    11.7.15 12.0.2 pg15 | 12.0.2
    11.7.15 12.1.0 pg17 | 12.1.0
    11.0.2 12.1.0 pg14 | pg15 12.1.0
    10.11.23 11.7.15 pg13 | pg14 11.7.15
    10.11.23 11.7.15 pg14 | 11.7.15
    10.11.23 12.1.0 pg13 | pg15 12.1.0
    10.11.16 11.0.2 pg14 | 11.0.2
    10.11.16 11.6.6 pg13 | pg14 11.6.6
    10.11.17 11.7.3 pg14 | 11.7.3
    10.5.14 11.7.15 pg13 | pg14 11.7.15
    10.5.14 11.7.15 pg11 | pg14 11.7.15
    10.5.14 10.11.23 pg11 | pg13 10.11.23
    10.5.14 10.5.15 pg11 | 10.5.15
    10.0.0 10.5.14 pg11 | 10.5.14
    10.0.0 10.6.0 pg12 | pg13 10.6.0
    9.11.18 10.5.14 pg11 | 10.5.14
    9.11.18 10.11.23 pg12 | pg13 10.11.23
    9.11.18 11.7.15 pg12 | pg14 11.7.15
    9.5.14 9.11.18 pg11 | 9.11.18
    9.5.14 12.1.0 pg13 | pg15 12.1.0
    9.5.14 12.1.0 pg15 | 12.1.0
    9.1.0 11.6.0 pg14 | 11.6.0
    8.1.13 9.5.14 pg11 | 9.5.14
    8.1.13 10.5.14 pg11 | 10.5.14
    8.1.13 11.7.15 pg11 | pg14 11.7.15
    8.0.0 8.1.13 pg11 | 8.1.13
    7.10.5 8.0.0 pg10 | pg11 8.0.0
    7.8.15 8.0.0 pg11 | 8.0.0
    7.8.15 8.1.13 pg10 | pg11 8.1.13
    7.8.15 11.7.15 pg10 | pg14 11.7.15
    7.8.15 11.7.15 pg14 | 11.7.15
    7.8.15 12.1.0 pg10 | pg15 12.1.0
    7.1.9 7.8.15 pg10 | 7.8.15
    7.1.0 7.8.15 pg10 | 7.8.15
    7.1.9 11.7.15 pg10 | pg14 11.7.15
    7.0.2 7.1.9 pg10 | 7.1.9
    7.0.2 7.2.0 pg10 | 7.1.9 7.2.0
    6.7.0 7.8.15 pg10 | 7.1.9 7.8.15
    6.3.0 11.7.15 pg12 | 7.1.9 pg14 11.7.15
    6.0.0 8.1.13 pg10 | 7.1.9 pg11 8.1.13
    6.0.0 6.3.0 pg10 | 6.3.0
    5.39.0 6.0.0 pg10 | 6.0.0
    5.38.0 7.1.9 pg10 | 7.1.9
    5.37.10 6.0.0 pg10 | 6.0.0
    5.37.10 7.1.9 pg10 | 7.1.9
    5.37.10 7.8.15 pg10 | 7.1.9 7.8.15
    5.37.10 8.1.13 pg10 | 7.1.9 pg11 8.1.13
    5.37.10 11.7.15 pg10 | 7.1.9 pg14 11.7.15
    5.37.10 11.7.15 pg14 | 7.1.9 11.7.15
    5.37.10 12.1.0 pg12 | 7.1.9 pg15 12.1.0
    5.37.0 5.37.10 pg10 | 5.37.10
    5.36.0 6.0.0 pg10 | 6.0.0
    5.35.0 6.0.0 pg10 | 6.0.0
    5.34.0 6.0.0 pg10 | 5.37.10 6.0.0
    5.34.0 5.35.0 pg10 | 5.35.0
    5.31.0 5.37.10 pg10 | 5.37.10
    5.31.0 11.7.15 pg10 | 5.37.10 7.1.9 pg14 11.7.15
    5.30.0 5.35.0 pg10 | 5.31.0 5.35.0
    5.29.0 5.30.0 pg9 | pg10 5.30.0
    5.25.0 5.37.10 pg9 | pg10 5.31.0 5.37.10
    5.25.0 11.7.15 pg9 | pg10 5.31.0 5.37.10 7.1.9 pg14 11.7.15
    5.9.0 5.29.0 pg9 | 5.29.0
    5.9.0 5.31.0 pg9 | pg10 5.31.0
    5.9.0 6.0.0 pg10 | 5.31.0 5.37.10 6.0.0
    4.10.10 5.37.10 pg9 | pg10 5.31.0 5.37.10
    4.10.10 7.1.9 pg10 | 5.31.0 5.37.10 7.1.9
    4.10.10 12.1.0 pg9 | pg10 5.31.0 5.37.10 7.1.9 pg15 12.1.0
    3.4.0 4.10.10 pg9 | 4.10.10
    3.0.0 3.4.0 pg9 | 3.4.0
    2.1.0 3.3.0 pg9 | 3.3.0
    2.1.0 3.4.0 pg9 | 3.1.0 3.4.0
    2.1.0 5.37.10 pg9 | 3.1.0 pg10 5.31.0 5.37.10
    2.1.0 11.7.15 pg9 | 3.1.0 pg10 5.31.0 5.37.10 7.1.9 pg14 11.7.15
    5.37.10 6.0.0 my6 | mysql5.7 6.0.0
    5.37.10 6.0.0 my7 | 6.0.0
    5.37.10 7.1.9 my7 | 7.1.9
    5.37.10 9.5.14 my7 | 7.1.9 mysql8.0 9.5.14
    5.37.10 9.4.0 my7 | 7.1.9 9.4.0
    5.37.10 10.11.23 my8.0 | 7.1.9 10.11.23
    5.37.10 11.7.15 my7 | 7.1.9 8.1.13 >pg14 11.7.15
    5.37.10 11.7.15 my6 | mysql5.7 7.1.9 8.1.13 >pg14 11.7.15
    5.37.10 11.7.15 my8.0 | 7.1.9 8.1.13 >pg14 11.7.15
    5.37.10 11.7.15 maria | 7.1.9 8.1.13 >pg14 11.7.15
    5.37.10 12.1.0 maria | 7.1.9 8.1.13 >pg15 12.1.0
    2.1.0 11.7.15 my6 | 3.1.0 5.31.0 5.37.10 mysql5.7 7.1.9 8.1.13 >pg14 11.7.15
    7.1.9 11.7.15 my7 | 8.1.13 >pg14 11.7.15
    7.8.15 11.7.15 my8.0 | 8.1.13 >pg14 11.7.15
    8.0.0 11.7.15 my7 | >pg14 11.7.15
    8.1.13 12.1.0 my8.0 | >pg15 12.1.0
    9.1.0 9.5.14 my7 | mysql8.0 9.5.14
    9.1.0 11.7.15 maria | >pg14 11.7.15
    9.1.0 10.11.23 maria | 10.11.23
    9.11.18 11.7.15 my8.0 | >pg14 11.7.15
    10.11.23 11.7.15 my8.0 | >pg14 11.7.15
    11.6.0+0.1.0-builtin 11.6.0+0.2.0-builtin sqlite | 11.6.0+0.2.0
    11.6.0+0.1.0-builtin 11.6.0+0.2.0-builtin pg14 | 11.6.0+0.2.0
    11.6.0+0.1.0-builtin 11.6.0 pg14 | 11.6.0
    11.6.0+0.1.0-builtin 11.6.0 sqlite | >pg14 11.6.0
    11.6.0+0.1.0-builtin 11.7.15 sqlite | >pg14 11.7.15
    11.6.0+0.1.0-builtin 12.1.0 sqlite | >pg15 12.1.0
    11.7.15 11.7.15-enterprise pg14 | 11.7.15
    11.7.15 11.7.15-entry pg14 | 11.7.15
";

#[test]
fn a_hundred_ways_are_as_the_upgrade_notes_have_them() {
    let rows: Vec<(&str, &str)> = WAYS.lines().filter_map(|line| line.trim().split_once('|')).collect();
    assert!(rows.len() >= 100, "{}", rows.len());
    for (pair, expected) in rows {
        let mut words = pair.split_whitespace();
        let mut next = || words.next().unwrap();
        assert_eq!(way(next(), next(), next(), false), expected.trim(), "{pair}");
    }
}

#[test]
fn where_there_is_no_way_the_reason_is_told() {
    for (from, to, store, why) in [
        ("11.7.15", "11.6.0", "pg14", "older"),
        ("11.7.15", "10.11.23", "pg14", "older"),
        ("10.11.17", "11.0.2", "pg14", "11.7.3 is the first"),
        ("10.11.23", "11.7.2", "pg14", "11.7.3 is the first"),
        ("10.11.23", "11.7.2", "my8.0", "11.7.3 is the first"),
        ("10.5.14", "10.11.23-entry", "pg14", "no Entry edition before 11.0"),
        ("5.37.10", "11.6.0+0.1.0-builtin", "my7", "no data in MySQL"),
        ("11.6.0+0.2.0-builtin", "11.6.0+0.1.0-builtin", "sqlite", "older"),
    ] {
        let told = way(from, to, store, false);
        assert!(told.starts_with("no: ") && told.contains(why), "{from} to {to}: {told}");
    }
}

#[test]
fn each_extended_support_release_can_be_made_a_stop() {
    for (from, to, store, expected) in [
        ("7.8.15", "11.7.15", "pg10", "pg14 8.1.13 9.5.14 9.11.18 10.5.14 10.11.23 11.7.15"),
        ("5.37.10", "7.8.15", "pg10", "7.1.9 7.8.15"),
        ("10.11.23", "11.7.15", "pg14", "11.7.15"),
        ("10.5.14", "11.6.0", "pg14", "11.6.0"),
        ("11.7.15", "12.1.0", "pg15", "12.1.0"),
    ] {
        let told = way(from, to, store, true);
        assert_eq!(told, expected, "{from} to {to}");
    }
}
