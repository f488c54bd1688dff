//! Packets and the numbers in them.

/// Why a packet cannot be read.
type Wrong = &'static str;

const CUT_OFF: Wrong = "it is cut off";

/// What a packet holds, by its tag.
pub(super) mod tag {
    pub(in crate::openpgp) const SIGNATURE: u8 = 2;
    pub(in crate::openpgp) const PUBLIC_KEY: u8 = 6;
    pub(in crate::openpgp) const USER_ID: u8 = 13;
    pub(in crate::openpgp) const PUBLIC_SUBKEY: u8 = 14;
}

/// A reader that never goes beyond the end.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Wrong> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Wrong> {
        Ok(self.take(1)?[0])
    }

    /// A number of `count` bytes, at most 4.
    pub(super) fn number(&mut self, count: usize) -> Result<usize, Wrong> {
        Ok(self.take(count)?.iter().fold(0, |number, byte| (number << 8) | usize::from(*byte)))
    }

    /// A multi-precision integer, without zeros at its front.
    pub(super) fn integer(&mut self) -> Result<&'a [u8], Wrong> {
        let bits = self.number(2)?;
        let integer = self.take(bits.div_ceil(8))?;
        let zeros = integer.iter().take_while(|byte| **byte == 0).count();
        Ok(&integer[zeros..])
    }

    /// The length of a packet or subpacket in the new form. Lengths in parts are only for data of unknown length.
    pub(super) fn length(&mut self) -> Result<usize, Wrong> {
        match self.byte()? {
            short @ 0..192 => Ok(usize::from(short)),
            first @ 192..224 => Ok(((usize::from(first) - 192) << 8) + usize::from(self.byte()?) + 192),
            255 => self.number(4),
            _ => Err("it has a packet in parts"),
        }
    }
}

/// The packets of a file: tag and body.
pub(super) fn split(file: &[u8]) -> Result<Vec<(u8, &[u8])>, Wrong> {
    let mut bytes = Bytes(file);
    let mut packets = Vec::new();
    while !bytes.0.is_empty() {
        let head = bytes.byte()?;
        if head & 0x80 == 0 {
            return Err("it has bytes that are no packet");
        }
        let (tag, length) = if head & 0x40 != 0 {
            (head & 0x3f, bytes.length()?)
        } else {
            let length = match head & 3 {
                0 => bytes.number(1)?,
                1 => bytes.number(2)?,
                2 => bytes.number(4)?,
                _ => return Err("it has a packet without a length"),
            };
            ((head >> 2) & 0xf, length)
        };
        packets.push((tag, bytes.take(length)?));
    }
    Ok(packets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_packets_are_split() {
        assert_eq!(split(&[0x88, 2, 1, 2, 0xc2, 1, 9]), Ok(vec![(2, &[1, 2][..]), (2, &[9][..])]));
        let mut long = vec![0xc6, 192, 8];
        long.extend([7; 200]);
        assert_eq!(split(&long).map(|packets| packets[0].1.len()), Ok(200));
        for wrong in [
            &[0x88][..],
            &[0x88, 2, 1],
            &[0x8b, 1],
            &[0xc2, 0xe0, 1],
            &[0x0a, 1, 1],
            &[0xc2, 255, 255, 255, 255, 255],
        ] {
            assert!(split(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_integer_is_as_long_as_its_bits() {
        assert_eq!(Bytes(&[0, 9, 1, 2, 3]).integer(), Ok(&[1, 2][..]));
        assert_eq!(Bytes(&[0, 16, 0, 2]).integer(), Ok(&[2][..]));
        assert!(Bytes(&[0, 17, 1, 2]).integer().is_err());
    }
}
