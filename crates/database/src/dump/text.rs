//! The text of a dump, on its way out of a program or into one.

use std::borrow::Cow;

use super::{Error, Rows};

/// Reads the text of a dump, counts the rows in it, and passes it on with some lines changed.
pub(super) trait Text: Send + std::fmt::Debug {
    /// Takes the next bytes, and adds to `out` what is to be passed on.
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut bytes = Cow::Borrowed(bytes);
        if !self.line().is_empty() {
            let mut whole = std::mem::take(self.line());
            whole.extend_from_slice(&bytes);
            bytes = Cow::Owned(whole);
        }
        let mut rest = &*bytes;
        while !rest.is_empty() {
            let done = self.take(rest, out);
            rest = &rest[done..];
            if done == 0 {
                *self.line() = rest.to_vec();
                return;
            }
        }
    }

    /// The beginning of a line whose end has not come yet.
    fn line(&mut self) -> &mut Vec<u8>;

    /// Takes some of the bytes, and says how many: none where they are the beginning of a line that is needed whole.
    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize;

    /// There are no more bytes.
    fn end(&mut self, out: &mut Vec<u8>);

    /// Each part with rows in its order, where the client says how many rows of each it has taken.
    fn tables(&self) -> &[(String, u64)] {
        &[]
    }

    /// The rows by table, if the text was whole.
    fn rows(&self) -> Result<Rows, Error>;
}
