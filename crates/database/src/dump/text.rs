//! The text of a dump, on its way out of a program or into one.

use super::{Error, Rows};

/// Reads the text of a dump, counts the rows in it, and passes it on with some lines changed.
pub(super) trait Text: Send + std::fmt::Debug {
    /// Takes the next bytes, and adds to `out` what is to be passed on.
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>);

    /// There are no more bytes.
    fn end(&mut self, out: &mut Vec<u8>);

    /// Each part with rows in its order, where the client says how many rows of each it has taken.
    fn tables(&self) -> &[(String, u64)] {
        &[]
    }

    /// The rows by table, if the text was whole.
    fn rows(&self) -> Result<Rows, Error>;
}
