//! A dump on its way into an empty database.

use std::io::{self, BufRead as _, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use dsn::Server;
use sqlx::postgres::PgConnection;

use super::child::{Running, Stopper};
use super::postgres_text::{PostgresText, Way};
use super::text::Text;
use super::{Error, Means, Rows, Scratch, credentials, postgres, programs};
use crate::connect::Connected;
use crate::failure::Failure;

/// How many things are named of a database that is not empty.
const SOME: i64 = 3;

/// What is in the schema that Mattermost uses, besides what extensions bring.
const THERE: &str = "
    select name from (
        select c.relname::text as name, c.oid, 'pg_class'::regclass::oid as class, c.relnamespace as schema
        from pg_class c where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        union all
        select t.typname::text, t.oid, 'pg_type'::regclass::oid, t.typnamespace
        from pg_type t where t.typtype in ('e', 'd')
    ) x join pg_namespace n on n.oid = x.schema
    where n.nspname = coalesce(current_schema(), 'public')
      and not exists (select from pg_depend d where d.classid = x.class and d.objid = x.oid and d.deptype = 'e')
    order by 1 limit $1";

/// Takes a dump. Write all of it, then ask whether all is there: [`Load::finish`]. When it is dropped before, nothing is loaded on
/// PostgreSQL.
///
/// It is written to where blocking does no harm: on a thread of its own. A [`Stopper`] ends it from elsewhere.
#[derive(Debug)]
pub struct Load {
    running: Running,
    input: Option<ChildStdin>,
    program: &'static str,
    text: Box<dyn Text>,
    ready: Vec<u8>,
    /// What the client says that it took.
    taken: Option<JoinHandle<Vec<u64>>>,
    /// What comes after the dump.
    closing: String,
    _password: Option<Scratch>,
}

pub(super) async fn postgres(server: &Server, means: &Means<'_>) -> Result<Load, Error> {
    let mut connection = postgres::log_in(server, means.limit).await?;
    let looked = look(&mut connection).await;
    Connected::Postgres(connection).close().await;
    let (major, found) = looked.map_err(|error| Failure::of(server, &error))?;
    if !found.is_empty() {
        return Err(Error::NotEmpty { place: server.place(), found });
    }
    let program = programs::of_postgres("psql", major, true, means).await?;
    let restricts = restricts(&program.path).await;
    let password = credentials::pgpass(server, means.scratch)?;
    let mut command = Command::new(program.path);
    command
        .args(["--no-psqlrc", "--no-password", "--tuples-only", "--no-align", "--single-transaction"])
        .args(["--set=ON_ERROR_STOP=1", "--file=-"])
        .arg(format!(
            "--dbname={}",
            postgres::conninfo(server, password.as_ref().map(|file| &*file.0)).await?
        ));
    command.env_clear().env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped());
    let (running, pipes) = Running::start("psql", command, Arc::default())?;
    let output = pipes.output.ok_or_else(|| Error::Ended("psql has no output".to_owned()))?;
    let taken = std::thread::Builder::new().name("answers of psql".to_owned()).spawn(move || taken(output));
    let taken = Some(taken.map_err(|error| Error::Ended(error.to_string()))?);
    let mut ready = Vec::new();
    // Tables of others are left out, with a warning each.
    let mut closing = "set client_min_messages = error;\nanalyze;\n".to_owned();
    if restricts {
        // psql obeys none of its own commands in the dump. Whoever wrote the dump cannot know this word.
        let word = word();
        ready.extend_from_slice(format!("\\restrict {word}\n").as_bytes());
        closing.push_str(&format!("\\unrestrict {word}\n"));
    }
    let text = Box::new(PostgresText::new(Way::In { major }));
    let input = pipes.input;
    Ok(Load { running, input, program: "psql", text, ready, taken, closing, _password: password })
}

async fn look(connection: &mut PgConnection) -> sqlx::Result<(u32, Vec<String>)> {
    let version = postgres::version(connection).await?;
    let found = sqlx::query_scalar(THERE).bind(SOME).persistent(false).fetch_all(connection).await?;
    Ok((version.major, found))
}

impl Load {
    /// Of a client that says nothing of what it takes.
    pub(super) fn silent(
        (running, input): (Running, Option<ChildStdin>),
        program: &'static str,
        text: Box<dyn Text>,
        password: Scratch,
    ) -> Self {
        let (ready, closing) = (Vec::new(), String::new());
        Self { running, input, program, text, ready, taken: None, closing, _password: Some(password) }
    }

    /// Ends the load from another thread.
    pub fn stopper(&self) -> Stopper {
        self.running.stopper()
    }

    /// After the last byte: the rows that the database took, by table; or why it did not take them.
    ///
    /// # Errors
    /// The dump was not whole; the database refused it.
    pub fn finish(mut self) -> Result<Rows, Error> {
        self.text.end(&mut self.ready);
        let whole = self.text.rows()?;
        self.ready.extend_from_slice(self.closing.as_bytes());
        let written = self.pass_on();
        drop(self.input.take());
        self.running.finish(true)?;
        written.map_err(|error| Error::Failed {
            program: self.program,
            why: finding::disk::explained(&error),
        })?;
        let Some(taken) = self.taken.take() else { return Ok(whole) };
        let taken = taken.join().unwrap_or_default();
        let tables = self.text.tables();
        if taken.len() != tables.len() {
            let why = format!("psql took the rows of {} tables of {}", taken.len(), tables.len());
            return Err(Error::Incomplete(why));
        }
        for ((table, dumped), counted) in tables.iter().zip(taken) {
            if *dumped != counted {
                return Err(Error::Counted { table: table.clone(), dumped: Some(*dumped), counted });
            }
        }
        Ok(whole)
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let ready = std::mem::take(&mut self.ready);
        match &mut self.input {
            Some(input) => input.write_all(&ready),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Write for Load {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.feed(bytes, &mut self.ready);
        match self.pass_on() {
            Ok(()) => Ok(bytes.len()),
            // The program has ended, and said why.
            Err(error) => Err(self.running.finish(false).err().map_or(error, io::Error::other)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// psql says `COPY 12` after the rows of a table.
fn taken(output: ChildStdout) -> Vec<u64> {
    let lines = BufReader::new(output).lines().map_while(Result::ok);
    lines.filter_map(|line| line.strip_prefix("COPY ")?.parse().ok()).collect()
}

/// Whether this psql can refuse its own commands; versions since August 2025 can.
async fn restricts(program: &std::path::Path) -> bool {
    let help = tokio::process::Command::new(program)
        .args(["--help=commands"])
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    help.await.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("\\restrict"))
}

/// A word that nobody knows.
fn word() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("{:016x}{:016x}", RandomState::new().hash_one(0), RandomState::new().hash_one(1))
}
