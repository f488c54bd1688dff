//! How many rows a table has, and what they are: the same for the same rows in every order.

use aws_lc_rs::digest::{Context, SHA256};

/// Rows, and the sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many rows there are.
    pub rows: u64,
    /// The sum of the first 128 bits of each row's SHA-256.
    pub sum: u128,
}

impl Tally {
    /// Adds a row, by the forms of its columns.
    pub(super) fn add<'a>(&mut self, forms: impl Iterator<Item = Option<&'a [u8]>>) {
        let mut context = Context::new(&SHA256);
        for form in forms {
            match form {
                None => context.update(&[0]),
                Some(bytes) => {
                    context.update(&[1]);
                    context.update(&(bytes.len() as u64).to_le_bytes());
                    context.update(bytes);
                }
            }
        }
        let mut half = [0; 16];
        half.copy_from_slice(&context.finish().as_ref()[..16]);
        self.rows += 1;
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(half));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[&[Option<&str>]]) -> Tally {
        let mut tally = Tally::default();
        for row in rows {
            tally.add(row.iter().map(|form| form.map(str::as_bytes)));
        }
        tally
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_everything_else_does() {
        let (one, other): (&[_], &[_]) = (&[Some("a"), None], &[Some("b"), Some("")]);
        assert_eq!(of(&[one, other]), of(&[other, one]));
        for different in [
            of(&[one]),
            of(&[one, one]),
            of(&[one, &[Some("b"), None]]),
            of(&[one, &[Some("ba"), Some("")]]),
            of(&[one, &[Some(""), Some("b")]]),
        ] {
            assert_ne!(different, of(&[one, other]));
        }
    }
}
