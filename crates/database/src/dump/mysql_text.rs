//! What `mysqldump` and `mariadb-dump` write: statements, those with rows among them.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::text::Text;
use super::{Error, Rows};

/// The last comment of a dump.
const TRAILER: &[u8] = b"-- Dump completed";

/// The comment before the rows of a table.
const DATA: &[u8] = b"-- Dumping data for table `";

/// A longer line is none that is looked for.
const LONGEST: usize = 64 << 10;

/// A statement with rows is not longer, but for the last of its rows.
const STATEMENT: usize = 512 << 10;

/// One row in so many ends its statement.
const ONE_IN: u64 = 256;

/// What becomes of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Out of a database: each row on a line of its own, and statements that end where their rows say so. A row that is inserted
    /// changes one statement, and not all that come after it.
    Out,
    /// Into a database.
    In,
}

/// The text, and where in it we are.
#[derive(Debug)]
pub(super) struct MySqlText {
    way: Way,
    tables: Rows,
    /// The table whose rows a comment has announced.
    table: Option<String>,
    within: Within,
    /// The beginning of a line.
    line: Vec<u8>,
    /// Of the statement with rows that is being read: all before its rows.
    head: Vec<u8>,
    /// Of the statement that is being written, and how long it is.
    open: Option<(Vec<u8>, usize)>,
    /// What the row has been so far, but for its texts.
    hash: u64,
    length: u64,
    complete: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Statements,
    /// A line that is too long to be looked at.
    LongLine,
    /// Between two rows of a statement.
    Rows,
    /// A row, in so many parentheses.
    Row(u32),
    /// A text in a row, in so many parentheses.
    Quoted(u32),
    /// After a backslash in it.
    Escaped(u32),
}

impl MySqlText {
    pub(super) fn new(way: Way) -> Self {
        Self {
            way,
            tables: Rows::new(),
            table: None,
            within: Within::Statements,
            line: Vec::new(),
            head: Vec::new(),
            open: None,
            hash: 0,
            length: 0,
            complete: false,
        }
    }

    /// Ends the statement that is being written.
    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            out.extend_from_slice(b";\n");
        }
    }

    /// A line outside of rows, with its end.
    fn statement(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let bare = line.trim_ascii_end();
        if let Some(name) = bare.strip_prefix(DATA).and_then(|rest| rest.strip_suffix(b"`")) {
            let name = String::from_utf8_lossy(name).replace("``", "`");
            self.tables.entry(name.clone()).or_default();
            self.table = Some(name);
        } else if bare == b"UNLOCK TABLES;" || bare.starts_with(b"-- ") {
            self.table = None;
            self.complete = bare.starts_with(TRAILER);
        } else if bare.starts_with(b"/*") && bare.ends_with(b"enable the sandbox mode */") {
            // The client of one maker alone understands it. Whoever loads the dump asks its client for it.
            return;
        }
        if !bare.is_empty() {
            self.close(out);
        }
        match self.way {
            Way::Out => out.extend_from_slice(line),
            Way::In => out.extend_from_slice(&without_definers(line)),
        }
    }

    fn row_begins(&mut self, out: &mut Vec<u8>) {
        (self.hash, self.length) = (0, 0);
        if self.way == Way::In {
            return;
        }
        match &self.open {
            Some((head, _)) if *head == self.head => out.extend_from_slice(b",\n"),
            _ => {
                self.close(out);
                out.extend_from_slice(&self.head);
                out.extend_from_slice(b"\n");
                self.open = Some((self.head.clone(), 0));
            }
        }
    }

    fn row_ends(&mut self, out: &mut Vec<u8>) {
        if let Some(count) = self.table.as_ref().and_then(|table| self.tables.get_mut(table)) {
            *count += 1;
        }
        let (hash, length) = (self.hash, self.length);
        if let Some((_, written)) = &mut self.open {
            *written += usize::try_from(length).unwrap_or(usize::MAX);
            let mixed = (hash ^ length).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            if mixed.is_multiple_of(ONE_IN) || *written > STATEMENT {
                self.close(out);
            }
        }
    }

    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        self.length += bytes.len() as u64;
        out.extend_from_slice(bytes);
        bytes.len()
    }

    fn take_line(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        if self.table.is_some()
            && let Some(end) = head_of(bytes)
        {
            self.head = bytes[..end].to_vec();
            self.within = Within::Rows;
            if self.way == Way::In {
                out.extend_from_slice(&bytes[..end]);
            }
            return end;
        }
        // At most the line end of a statement with rows, which is written where that one ends.
        if self.open.is_some() && bytes[0] == b'\n' {
            return 1;
        }
        match memchr(b'\n', bytes) {
            Some(at) => {
                self.statement(&bytes[..=at], out);
                at + 1
            }
            None if bytes.len() > LONGEST => {
                self.close(out);
                self.within = Within::LongLine;
                out.extend_from_slice(bytes);
                bytes.len()
            }
            None => 0,
        }
    }
}

impl Text for MySqlText {
    fn line(&mut self) -> &mut Vec<u8> {
        &mut self.line
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        match self.within {
            Within::Statements => self.take_line(bytes, out),
            Within::LongLine => {
                let end = memchr(b'\n', bytes);
                if end.is_some() {
                    self.within = Within::Statements;
                }
                let end = end.map_or(bytes.len(), |at| at + 1);
                out.extend_from_slice(&bytes[..end]);
                end
            }
            Within::Rows => {
                match bytes[0] {
                    b'(' => {
                        self.row_begins(out);
                        self.within = Within::Row(0);
                        return self.take(bytes, out);
                    }
                    b';' => self.within = Within::Statements,
                    _ => {}
                }
                if self.way == Way::In {
                    out.push(bytes[0]);
                }
                1
            }
            Within::Row(depth) => {
                let mut depth = depth;
                for (at, byte) in bytes.iter().enumerate() {
                    self.hash = self.hash.wrapping_mul(31).wrapping_add(u64::from(*byte));
                    match byte {
                        b'\'' => {
                            self.within = Within::Quoted(depth);
                            return self.pass(&bytes[..=at], out);
                        }
                        b'(' => depth += 1,
                        b')' if depth == 1 => {
                            self.within = Within::Rows;
                            let done = self.pass(&bytes[..=at], out);
                            self.row_ends(out);
                            return done;
                        }
                        b')' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                }
                self.within = Within::Row(depth);
                self.pass(bytes, out)
            }
            Within::Quoted(depth) => match memchr2(b'\'', b'\\', bytes) {
                None => self.pass(bytes, out),
                Some(at) => {
                    self.within =
                        if bytes[at] == b'\\' { Within::Escaped(depth) } else { Within::Row(depth) };
                    self.pass(&bytes[..=at], out)
                }
            },
            Within::Escaped(depth) => {
                self.within = Within::Quoted(depth);
                self.pass(&bytes[..1], out)
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

    fn rows(&self) -> Result<Rows, Error> {
        if !self.complete || self.within != Within::Statements {
            return Err(Error::Incomplete("its last line is missing".to_owned()));
        }
        Ok(self.tables.clone())
    }
}

/// Where the rows begin, if the line inserts some: after `values`.
fn head_of(line: &[u8]) -> Option<usize> {
    let mut rest = line.strip_prefix(b"INSERT INTO `")?;
    let mut is_name = true;
    loop {
        let at = memchr2(b'`', b'V', rest)?;
        let found = rest[at];
        if found == b'`' {
            is_name = !is_name;
        } else if !is_name && rest[at..].starts_with(b"VALUES") {
            return Some(line.len() - rest.len() + at + "VALUES".len());
        }
        rest = &rest[at + 1..];
    }
}

/// A line without ``DEFINER=`user`@`host` ``: who loads it need not be allowed to name others.
fn without_definers(line: &[u8]) -> Cow<'_, [u8]> {
    const DEFINER: &str = "DEFINER=`";
    let Some(text) = std::str::from_utf8(line).ok().filter(|text| text.contains(DEFINER)) else {
        return Cow::Borrowed(line);
    };
    if !["CREATE", "/*!"].iter().any(|begin| text.starts_with(begin)) {
        return Cow::Borrowed(line);
    }
    let Some((before, rest)) = text.split_once(DEFINER) else { return Cow::Borrowed(line) };
    let after = after_name(rest).and_then(|rest| rest.strip_prefix("@`")).and_then(after_name);
    match after {
        Some(after) => Cow::Owned(format!("{before}{}", after.trim_start_matches(' ')).into_bytes()),
        None => Cow::Borrowed(line),
    }
}

/// What follows a name whose first backquote is gone.
fn after_name(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let (_, after) = rest.split_once('`')?;
        match after.strip_prefix('`') {
            Some(more) => rest = more,
            None => return Some(after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump\n\n";
    const BETWEEN: &str = "\n--\n-- Dumping data for table `Posts`\n--\n\nLOCK TABLES `Posts` WRITE;\n";
    const TAIL: &str = "UNLOCK TABLES;\n\n--\n-- Dumping data for table `a``b`\n--\n\nLOCK TABLES `a``b` WRITE;\nUNLOCK TABLES;\n\
        DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`ro``ot`@`%`*/ /*!50003 TRIGGER t BEFORE INSERT ON `x` FOR EACH ROW\n\
        INSERT INTO `Posts` VALUES (1),(2) */;;\nDELIMITER ;\n-- Dump completed\n";
    const ROWS: [&str; 5] = [
        r"(1,'it\'s \\',NULL,0x00FF)",
        r"(2,'),(\n;',_binary 'a''b',1.5)",
        r"(3,'INSERT INTO `Posts` VALUES (',NULL,'')",
        "(4,'😀 VALUES -- Dump completed',POINT(1,(2)),'\\\\')",
        "(5,'','','')",
    ];

    fn of_mariadb() -> String {
        let rows = |rows: &[&str]| format!("INSERT INTO `Posts` VALUES\n{};\n", rows.join(",\n"));
        format!("{HEAD}{BETWEEN}{}{}{TAIL}", rows(&ROWS[..2]), rows(&ROWS[2..]))
    }

    fn of_mysql() -> String {
        let rows =
            |rows: &[&str]| format!("INSERT INTO `Posts` (`Id`, `VALUES`) VALUES {};\n", rows.join(","));
        format!("-- MySQL dump\n{BETWEEN}{}{}{TAIL}", rows(&ROWS[..4]), rows(&ROWS[4..]))
    }

    fn passed(way: Way, dump: &str, chunk: usize) -> (MySqlText, String) {
        let mut text = MySqlText::new(way);
        let mut out = Vec::new();
        dump.as_bytes().chunks(chunk).for_each(|bytes| text.feed(bytes, &mut out));
        text.end(&mut out);
        (text, String::from_utf8(out).unwrap())
    }

    #[test]
    fn rows_are_counted_however_the_text_is_cut() {
        let expected = Rows::from([("Posts".to_owned(), 5), ("a`b".to_owned(), 0)]);
        for dump in [of_mariadb(), of_mysql()] {
            let whole = passed(Way::Out, &dump, dump.len());
            assert_eq!(whole.0.rows().unwrap(), expected);
            for chunk in 1..60 {
                let (text, out) = passed(Way::Out, &dump, chunk);
                assert_eq!((text.rows().unwrap(), &out), (expected.clone(), &whole.1), "every {chunk} bytes");
            }
            // What was passed on has the same rows, each on a line of its own.
            assert_eq!(passed(Way::In, &whole.1, 50).0.rows().unwrap(), expected);
            ROWS.iter()
                .for_each(|row| assert!(whole.1.contains(&format!("\n{row}")), "{row} in {}", whole.1));
            assert!(!whole.1.contains("sandbox"));
        }
    }

    #[test]
    fn a_text_that_ends_early_is_not_whole() {
        let dump = of_mysql();
        let end = dump.rfind("-- Dump completed").unwrap() + TRAILER.len();
        for cut in 0..end {
            assert!(passed(Way::Out, &dump[..dump.floor_char_boundary(cut)], 64).0.rows().is_err(), "{cut}");
        }
    }

    #[test]
    fn who_loads_it_is_the_definer() {
        let (_, out) = passed(Way::In, &of_mariadb(), 50);
        assert!(!out.contains("DEFINER") && out.contains("/*!50017 */ /*!50003 TRIGGER t"), "{out}");
        assert_eq!(out.matches("INSERT INTO `Posts` VALUES\n").count(), 2, "rows are as they were");
    }

    #[test]
    fn an_inserted_row_changes_one_statement() {
        let dump = |from: u32| {
            let rows: Vec<String> = (from..20_000).map(|n| format!("({n},'text of {n}')")).collect();
            let statements: Vec<String> = rows
                .chunks(1000)
                .map(|rows| format!("INSERT INTO `Posts` VALUES {};\n", rows.join(",")))
                .collect();
            passed(Way::Out, &format!("{BETWEEN}{}{TAIL}", statements.concat()), 1 << 16).1
        };
        let (before, after) = (dump(1), dump(0));
        let statements: Vec<&str> = before.split(";\n").collect();
        let new = after.split(";\n").filter(|statement| !statements.contains(statement)).count();
        assert!(statements.len() > 30 && new <= 2, "{new} of {} statements are new", statements.len());
    }
}
