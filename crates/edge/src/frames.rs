//! Finds where websocket frames end (RFC 6455 section 5.2). The relay needs to know nothing else about them.

/// Close with status 1001 "going away", as a server sends it: unmasked.
pub(crate) const CLOSE_GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];

/// Position in a stream of frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    header: [u8; 10],
    header_len: usize,
    payload_left: u64,
}

impl Frames {
    /// Whether this is between two frames. Only here may the edge insert a frame of its own.
    pub(crate) fn at_boundary(&self) -> bool {
        self.header_len == 0 && self.payload_left == 0
    }

    /// Moves on through `bytes`, at most to the end of the current frame. Returns how many of them belong to it.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        if self.payload_left == 0 {
            while let Some(&byte) = bytes.get(taken) {
                self.header[self.header_len] = byte;
                self.header_len += 1;
                taken += 1;
                if let Some(payload) = self.payload_len() {
                    self.header_len = 0;
                    self.payload_left = payload;
                    break;
                }
            }
        }
        let rest = (bytes.len() - taken) as u64;
        let payload = self.payload_left.min(rest);
        self.payload_left -= payload;
        // `payload` is at most the length of a slice.
        taken + payload as usize
    }

    /// The payload's length, once the header is complete. A mask counts as part of the payload.
    fn payload_len(&self) -> Option<u64> {
        let (head, extended) = self.header[..self.header_len].split_at_checked(2)?;
        let mask = if head[1] & 0x80 != 0 { 4 } else { 0 };
        let length = match head[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes(*extended.first_chunk()?)),
            127 => u64::from_be_bytes(*extended.first_chunk()?),
            short => u64::from(short),
        };
        Some(length.saturating_add(mask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(len: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match len {
            0..126 => frame.push(mask | len as u8),
            126..65536 => {
                frame.push(mask | 126);
                frame.extend((len as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((len as u64).to_be_bytes());
            }
        }
        let mask_len = if masked { 4 } else { 0 };
        frame.extend(std::iter::repeat_n(0xff, len + mask_len));
        frame
    }

    #[test]
    fn every_boundary_is_found_however_the_bytes_arrive() {
        let lengths = [0, 1, 125, 126, 127, 65535, 65536, 70000, 0, 3];
        let mut stream = Vec::new();
        let mut ends = Vec::new();
        for (i, len) in lengths.into_iter().enumerate() {
            stream.extend(frame(len, i % 2 == 1));
            ends.push(stream.len());
        }
        for piece in [1, 2, 3, 7, 1000, stream.len()] {
            let mut frames = Frames::default();
            let mut found = Vec::new();
            let mut at = 0;
            for mut bytes in stream.chunks(piece) {
                while !bytes.is_empty() {
                    let taken = frames.advance(bytes);
                    assert!(taken > 0);
                    at += taken;
                    bytes = &bytes[taken..];
                    if frames.at_boundary() {
                        found.push(at);
                    }
                }
            }
            assert_eq!(found, ends, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_frame_of_absurd_length_does_not_overflow() {
        let mut frames = Frames::default();
        let header = [0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(frames.advance(&header), 10);
        assert_eq!(frames.advance(&[0; 100]), 100);
        assert!(!frames.at_boundary());
    }
}
