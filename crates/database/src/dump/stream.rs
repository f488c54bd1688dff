//! A dump as it comes from a client program.

use std::io::{self, Read};
use std::process::ChildStdout;

use super::child::{Running, Stopper};
use super::text::Text;
use super::{Error, Rows, Scratch};

/// Bytes that are taken from the program at once.
const CHUNK: usize = 128 << 10;

/// A dump in SQL, read to its end and then asked whether it is whole: [`Stream::finish`]. When it is dropped, the program ends.
///
/// It is read where blocking does no harm: on a thread of its own. A [`Stopper`] ends it from elsewhere.
#[derive(Debug)]
pub struct Stream {
    running: Running,
    output: ChildStdout,
    text: Box<dyn Text>,
    ready: Vec<u8>,
    taken: usize,
    chunk: Vec<u8>,
    ended: bool,
    /// The file with the password. The program has read it when its first byte comes.
    password: Option<Scratch>,
    proof: Option<Box<dyn Proof>>,
}

/// Counts the rows in another way.
pub(super) trait Proof: Send + std::fmt::Debug {
    /// What it counted, once the dump has ended.
    fn counted(&mut self) -> Result<Rows, Error>;
}

impl Stream {
    pub(super) fn new(
        running: Running,
        output: ChildStdout,
        text: Box<dyn Text>,
        password: Option<Scratch>,
        proof: Option<Box<dyn Proof>>,
    ) -> Self {
        let chunk = vec![0; CHUNK];
        Self { running, output, text, ready: Vec::new(), taken: 0, chunk, ended: false, password, proof }
    }

    /// Ends the dump from another thread.
    pub fn stopper(&self) -> Stopper {
        self.running.stopper()
    }

    /// After the stream's end: the rows in it, by table; or why it is not whole.
    ///
    /// # Errors
    /// The program failed; the end is missing; the rows are not those that the database has.
    pub fn finish(&mut self) -> Result<Rows, Error> {
        if !self.ended {
            return Err(Error::Incomplete("it was not read to its end".to_owned()));
        }
        self.running.finish(false)?;
        let dumped = self.text.rows()?;
        if let Some(mut proof) = self.proof.take() {
            for (table, counted) in proof.counted()? {
                let dumped = dumped.get(&table).copied();
                if dumped != Some(counted) {
                    return Err(Error::Counted { table, dumped, counted });
                }
            }
        }
        Ok(dumped)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.ready.len() && !self.ended {
            self.ready.clear();
            self.taken = 0;
            let count = self.output.read(&mut self.chunk)?;
            self.password = None;
            if count == 0 {
                self.ended = true;
                self.text.end(&mut self.ready);
            } else {
                self.text.feed(&self.chunk[..count], &mut self.ready);
            }
        }
        let count = buffer.len().min(self.ready.len() - self.taken);
        buffer[..count].copy_from_slice(&self.ready[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}
