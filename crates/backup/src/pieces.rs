//! A stream cut into pieces where its content says so: an insertion changes the piece that it falls into, and no other.
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Read};

use bytes::Bytes;

/// No piece is shorter, except the last, nor longer. Several are in memory at once.
const SHORTEST: usize = 1 << 20;
const LONGEST: usize = 8 << 20;
/// One line end in so many ends a piece.
const ONE_IN: u64 = 4096;
/// The pieces of a stream, in order.
pub(crate) struct Pieces<R> {
    stream: R,
    buffer: Vec<u8>,
    ended: bool,
}

impl<R: Read> Pieces<R> {
    pub(crate) fn new(stream: R) -> Pieces<R> {
        Pieces { stream, buffer: Vec::new(), ended: false }
    }

    /// The stream, to ask it how it ended.
    pub(crate) fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    fn fill(&mut self) -> io::Result<()> {
        let missing = LONGEST.saturating_sub(self.buffer.len());
        if !self.ended && missing > 0 {
            let read = self.stream.by_ref().take(missing as u64).read_to_end(&mut self.buffer)?;
            self.ended = read < missing;
        }
        Ok(())
    }
}

impl<R: Read> Iterator for Pieces<R> {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        if let Err(error) = self.fill() {
            self.ended = true;
            self.buffer.clear();
            return Some(Err(error));
        }
        if self.buffer.is_empty() {
            return None;
        }
        let rest = self.buffer.split_off(cut(&self.buffer));
        Some(Ok(std::mem::replace(&mut self.buffer, rest).into()))
    }
}

/// Where the first piece of a buffer ends: after a line whose content says so. A buffer shorter than [`LONGEST`] is all that is
/// left.
fn cut(buffer: &[u8]) -> usize {
    let mut line = 0;
    let mut last = None;
    for at in (0..buffer.len()).filter(|at| buffer[*at] == b'\n') {
        if at >= SHORTEST {
            let mut hasher = DefaultHasher::new();
            hasher.write(&buffer[line..at]);
            if hasher.finish().is_multiple_of(ONE_IN) {
                return at + 1;
            }
            last = Some(at + 1);
        }
        line = at + 1;
    }
    if buffer.len() < LONGEST { buffer.len() } else { last.unwrap_or(LONGEST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(lines: impl Iterator<Item = u64>) -> Vec<u8> {
        lines
            .flat_map(|n| {
                format!("{n}\t{:x}\t{}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15), "word ".repeat(60))
                    .into_bytes()
            })
            .collect()
    }

    fn pieces(stream: &[u8]) -> Vec<Bytes> {
        Pieces::new(stream).map(|piece| piece.expect("a piece")).collect()
    }

    #[test]
    fn the_pieces_are_the_stream() {
        for stream in [Vec::new(), b"one line".to_vec(), vec![b'x'; 20 << 20], dump(0..60_000)] {
            assert_eq!(pieces(&stream).concat(), stream);
        }
    }

    #[test]
    fn an_inserted_line_changes_few_pieces() {
        let before = pieces(&dump(0..120_000));
        let mut changed = dump(0..1000);
        changed.extend(b"one more line\n");
        changed.extend(dump(1000..120_000));
        let after = pieces(&changed);
        let new = after.iter().filter(|piece| !before.contains(piece)).count();
        assert!(before.len() > 5, "{}", before.len());
        assert!(new <= 2, "{new} of {} pieces are new", after.len());
    }

    #[test]
    fn a_failing_stream_fails() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let mut pieces = Pieces::new(b"text".chain(Broken));
        assert!(pieces.next().expect("an end").is_err());
        assert!(pieces.next().is_none());
    }
}
