//! What `pg_dump` writes: statements, and between them the rows of tables, each a line, as `copy` reads them.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

use super::text::Text;
use super::{Error, Rows};
use crate::quote;

/// The last comment of a dump.
const TRAILER: &[u8] = b"-- PostgreSQL database dump complete";

/// In the comment before large objects.
const LARGE_OBJECTS: &[u8] = b"; Type: BLOBS; ";

/// A longer line is none that is looked for.
const LONGEST: usize = 64 << 10;

/// What becomes of the text.
#[derive(Debug)]
pub(super) enum Way {
    /// Out of a database: the same text whoever dumps it and whenever, and one that its owner may load. At its end are settings
    /// that a dump does not have.
    Out { settings: Vec<(&'static str, String)> },
    /// Into a database of this major version.
    In { major: u32 },
}

/// The text, and where in it we are.
#[derive(Debug)]
pub(super) struct PostgresText {
    way: Way,
    /// The rows of tables that have ended, and of one that has not.
    tables: Vec<(String, u64)>,
    within: Within,
    /// The beginning of a line.
    line: Vec<u8>,
    /// A comment has announced the rows of a table.
    announced: bool,
    /// The part with large objects, which has a transaction of its own.
    in_large_objects: bool,
    complete: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Statements,
    /// A line of a statement that is too long to be looked at.
    LongLine,
    /// A statement that is left out.
    LeftOut,
    Rows,
    /// A row whose beginning has been passed on.
    Row,
}

impl PostgresText {
    pub(super) fn new(way: Way) -> Self {
        Self {
            way,
            tables: Vec::new(),
            within: Within::Statements,
            line: Vec::new(),
            announced: false,
            in_large_objects: false,
            complete: false,
        }
    }

    /// Whether its end has been seen.
    fn is_complete(&self) -> bool {
        self.complete && self.within == Within::Statements
    }

    /// A line of a statement, with its end.
    fn statement(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let bare = line.trim_ascii_end();
        if self.within == Within::LeftOut {
            if bare.ends_with(b"';") || bare.ends_with(b"NULL;") {
                self.within = Within::Statements;
            }
            return;
        }
        if bare.starts_with(b"--") {
            if bare.starts_with(b"-- Data for Name: ") {
                self.announced = true;
                self.in_large_objects = bare.windows(LARGE_OBJECTS.len()).any(|part| part == LARGE_OBJECTS);
            } else if bare.starts_with(b"-- Name: ") {
                self.in_large_objects = false;
            }
            if bare == TRAILER {
                self.complete = true;
                if let Way::Out { settings } = &self.way {
                    out.extend_from_slice(restoring(settings).as_bytes());
                }
            }
        } else if let Some(table) = copied(bare).filter(|_| self.announced) {
            self.announced = false;
            self.tables.push((table, 0));
            self.within = Within::Rows;
        } else if bare.starts_with(br"\restrict ") || bare.starts_with(br"\unrestrict ") {
            // Chosen anew for each dump; older clients do not know it. Whoever loads the dump chooses its own.
            return;
        } else if bare.starts_with(b"COMMENT ON EXTENSION ") || bare.starts_with(b"COMMENT ON SCHEMA public ")
        {
            // The owner of a database need not own these.
            if !(bare.ends_with(b"';") || bare.ends_with(b"NULL;")) {
                self.within = Within::LeftOut;
            }
            return;
        } else if !bare.is_empty() {
            self.announced = false;
        }
        match &self.way {
            // The whole load is one transaction.
            Way::In { .. } if self.in_large_objects && (bare == b"BEGIN;" || bare == b"COMMIT;") => {}
            Way::In { major } => out.extend_from_slice(&fitting(line, *major)),
            Way::Out { .. } => out.extend_from_slice(line),
        }
    }

    /// Rows from the beginning of a line on; returns how many bytes it has dealt with.
    fn rows_of(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let mut start = 0;
        let mut count = 0;
        let is_end = |line: &[u8]| line.trim_ascii_end() == br"\.";
        for end in memchr_iter(b'\n', bytes) {
            if bytes[start] == b'\\' && is_end(&bytes[start..=end]) {
                self.within = Within::Statements;
                start = end + 1;
                break;
            }
            count += 1;
            start = end + 1;
        }
        if let Some(table) = self.tables.last_mut() {
            table.1 += count;
        }
        if self.within == Within::Rows
            && start < bytes.len()
            && (bytes.len() - start > 3 || bytes[start] != b'\\')
        {
            // A row may be as long as it likes: its end is counted when it comes.
            self.within = Within::Row;
            start = bytes.len();
        }
        out.extend_from_slice(&bytes[..start]);
        start
    }
}

impl Text for PostgresText {
    fn line(&mut self) -> &mut Vec<u8> {
        &mut self.line
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let end = memchr(b'\n', bytes).map(|at| at + 1);
        match (self.within, end) {
            (Within::Rows, _) => self.rows_of(bytes, out),
            (Within::Row | Within::LongLine, None) => {
                out.extend_from_slice(bytes);
                bytes.len()
            }
            (Within::Row, Some(end)) => {
                out.extend_from_slice(&bytes[..end]);
                if let Some(table) = self.tables.last_mut() {
                    table.1 += 1;
                }
                self.within = Within::Rows;
                end
            }
            (Within::LongLine, Some(end)) => {
                out.extend_from_slice(&bytes[..end]);
                self.within = Within::Statements;
                end
            }
            (Within::Statements, None) if bytes.len() > LONGEST => {
                out.extend_from_slice(bytes);
                self.within = Within::LongLine;
                self.announced = false;
                bytes.len()
            }
            (Within::LeftOut, None) if bytes.len() > LONGEST => bytes.len(),
            (Within::Statements | Within::LeftOut, None) => 0,
            (Within::Statements | Within::LeftOut, Some(end)) => {
                self.statement(&bytes[..end], out);
                end
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let rest = std::mem::take(&mut self.line);
        match self.within {
            Within::Statements => self.statement(&rest, out),
            _ => out.extend_from_slice(&rest),
        }
    }

    fn tables(&self) -> &[(String, u64)] {
        &self.tables
    }

    fn rows(&self) -> Result<Rows, Error> {
        if !self.is_complete() {
            return Err(Error::Incomplete("its last line is missing".to_owned()));
        }
        Ok(self.tables.iter().cloned().collect())
    }
}

/// The name of a table for [`Rows`].
pub(crate) fn table_name(schema: &str, table: &str) -> String {
    if schema == "public" { table.to_owned() } else { format!("{schema}.{table}") }
}

/// The table whose rows follow this line.
fn copied(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix("COPY ")?;
    line.strip_suffix(" FROM stdin;")?;
    let (schema, rest) = identifier(line)?;
    let (table, _) = identifier(rest.strip_prefix('.')?)?;
    Some(table_name(&schema, &table))
}

/// The identifier at the beginning of a text, and the rest.
fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find(['.', ' ']).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

/// The line as a server of a major version takes it, into a database that may have its schema already.
fn fitting(line: &[u8], major: u32) -> Cow<'_, [u8]> {
    const SCHEMA: &[u8] = b"CREATE SCHEMA ";
    if major < 17 && line.trim_ascii_end() == b"SET transaction_timeout = 0;" {
        return Cow::Borrowed(b"");
    }
    match line.strip_prefix(SCHEMA) {
        Some(name) if name.trim_ascii_end().ends_with(b";") => {
            Cow::Owned([b"CREATE SCHEMA IF NOT EXISTS ", name].concat())
        }
        _ => Cow::Borrowed(line),
    }
}

/// Gives the role that loads the dump these settings in its new database, where they are others there.
fn restoring(settings: &[(&'static str, String)]) -> String {
    if settings.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = settings
        .iter()
        .map(|(name, value)| format!("[{}, {}]", quote::postgres_text(name), quote::postgres_text(value)))
        .collect();
    format!(
        "-- Settings of the role in its database
--

DO $mainstay$
DECLARE
    pair text[];
BEGIN
    FOREACH pair SLICE 1 IN ARRAY ARRAY[{}] LOOP
        IF (SELECT reset_val FROM pg_catalog.pg_settings WHERE name = pair[1]) IS DISTINCT FROM pair[2] THEN
            PERFORM pg_catalog.set_config(pair[1], pair[2], true);
            EXECUTE pg_catalog.format('ALTER ROLE CURRENT_USER IN DATABASE %I SET %I FROM CURRENT',
                pg_catalog.current_database(), pair[1]);
        END IF;
    END LOOP;
END
$mainstay$;

--
",
        pairs.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\nSET transaction_timeout = 0;\n\
        CREATE SCHEMA chat;\n\
        COMMENT ON EXTENSION pg_trgm IS 'text;\nof two lines';\n\
        CREATE TABLE public.posts (id text);\n\
        COPY public.unannounced (id) FROM stdin;\n\
        -- Data for Name: posts; Type: TABLE DATA; Schema: public; Owner: -\n--\n\n\
        COPY public.posts (id) FROM stdin;\n\\N\none\n\\\\.\ntwo\\nlines\n-- PostgreSQL database dump complete\n\\.\n\n\
        -- Data for Name: x; Type: TABLE DATA; Schema: chat; Owner: -\n--\n\n\
        COPY chat.\"a \"\"b\"\".c\" (id) FROM stdin;\n\\.\n\n\
        -- Data for Name: BLOBS; Type: BLOBS; Schema: -; Owner: -\n--\n\nBEGIN;\n\nSELECT pg_catalog.lo_close(0);\n\nCOMMIT;\n\n\
        -- Name: posts posts_pkey; Type: CONSTRAINT; Schema: public; Owner: -\n--\n\n\
        ALTER TABLE ONLY public.posts\n    ADD CONSTRAINT posts_pkey PRIMARY KEY (id);\n\n\
        --\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n";

    fn passed(way: Way, dump: &str, chunk: usize) -> (PostgresText, String) {
        let mut text = PostgresText::new(way);
        let mut out = Vec::new();
        dump.as_bytes().chunks(chunk).for_each(|bytes| text.feed(bytes, &mut out));
        text.end(&mut out);
        (text, String::from_utf8(out).unwrap())
    }

    #[test]
    fn rows_are_counted_however_the_text_is_cut() {
        let whole = passed(Way::Out { settings: vec![] }, DUMP, DUMP.len());
        let expected = Rows::from([("posts".to_owned(), 5), ("chat.a \"b\".c".to_owned(), 0)]);
        assert_eq!(whole.0.rows().unwrap(), expected);
        let kept = DUMP.replace("\\restrict abc\n", "").replace("\\unrestrict abc\n", "");
        let kept = kept.replace("COMMENT ON EXTENSION pg_trgm IS 'text;\nof two lines';\n", "");
        assert_eq!(whole.1, kept);
        for chunk in 1..70 {
            let (text, out) = passed(Way::Out { settings: vec![] }, DUMP, chunk);
            assert_eq!((text.rows().unwrap(), &out), (expected.clone(), &whole.1), "cut every {chunk} bytes");
        }
    }

    #[test]
    fn a_text_that_ends_early_is_not_whole() {
        let end = DUMP.rfind("-- PostgreSQL database dump complete").unwrap() + TRAILER.len();
        for cut in 0..end {
            let (text, _) = passed(Way::Out { settings: vec![] }, &DUMP[..cut], 64);
            assert!(text.rows().is_err(), "cut after {cut}");
        }
        assert!(passed(Way::Out { settings: vec![] }, &DUMP[..end], 64).0.rows().is_ok());
    }

    #[test]
    fn long_rows_and_long_statements_pass() {
        let long = "x".repeat(LONGEST * 3);
        let dump = DUMP
            .replace("one\n", &format!("{long}\n"))
            .replace("(id text)", &format!("(id text /*{long}*/)"));
        let (text, out) = passed(Way::Out { settings: vec![] }, &dump, 1000);
        assert_eq!(text.rows().unwrap()["posts"], 5);
        assert!(out.contains(&format!("{long}\n")) && out.contains(&format!("/*{long}*/")));
    }

    #[test]
    fn an_older_server_gets_what_it_knows() {
        let (_, out) = passed(Way::In { major: 15 }, DUMP, 100);
        assert!(!out.contains("BEGIN;") && !out.contains("COMMIT;"), "one transaction");
        assert!(!out.contains("transaction_timeout") && out.contains("CREATE SCHEMA IF NOT EXISTS chat;\n"));
        let (_, out) = passed(Way::In { major: 17 }, DUMP, 100);
        assert!(out.contains("SET transaction_timeout = 0;\n"));
    }

    #[test]
    fn settings_stand_before_the_end() {
        let settings = vec![("search_path", "\"it's\", public".to_owned())];
        let (text, out) = passed(Way::Out { settings }, DUMP, 100);
        assert!(text.is_complete());
        let at = |words: &str| out.rfind(words).unwrap_or_else(|| panic!("{words} in {out}"));
        assert!(at("['search_path', '\"it''s\", public']") < at("-- PostgreSQL database dump complete"));
    }
}
