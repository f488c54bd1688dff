//! Where the database is. Together these make `SqlSettings.DriverName` and `SqlSettings.DataSource`.

use super::{Area, LATER, OURS};
use crate::kind::Kind;
use crate::row::{Row, row};

pub(super) const AREA: Area = Area { title: "Database", rows: ROWS };

const ROWS: &[Row] = &[
    row(
        "DB_ADAPTER",
        Kind::Word(&["mysql", "postgres"]),
        "Which database: releases from 11.0 on know PostgreSQL alone",
    )
    .synonyms(&[("postgresql", "postgres"), ("mysql2", "mysql")])
    .always("mysql"),
    row(
        "DB_HOST",
        Kind::Host,
        "The database's host; a linked container of the alias mysql or postgres says it itself",
    )
    .now("none: the database is Mainstay's own"),
    row("DB_PORT", Kind::Port, "Its port").now("3306 for mysql, 5432 for postgres"),
    row("DB_NAME", Kind::Text, "The database").always("mattermost"),
    row("DB_USER", Kind::Text, "The user who owns it")
        .then("root")
        .now("root for mysql, postgres for postgres"),
    row("DB_PASS", Kind::Anything, "That user's password").now("none").secret(),
    row("DB_ENCODING", Kind::Text, "The character sets of a MySQL connection, in order of preference")
        .always("utf8mb4,utf8")
        .source(LATER),
    row(
        "DB_SSLMODE",
        Kind::Word(&["disable", "require", "verify-ca", "verify-full"]),
        "How the way to the database is encrypted, in PostgreSQL's words",
    )
    .now("disable; verify-full where DB_SSLROOTCERT is given")
    .source(OURS),
    row(
        "DB_SSLROOTCERT",
        Kind::Path,
        "A PEM file of the authorities that may sign the certificate of a PostgreSQL database; PGSSLROOTCERT counts as well where DB_SSLMODE verifies",
    )
    .now("the system's trusted certificates")
    .source(OURS),
];
