//! Encodes messages as bounded frames and decodes frames from a byte stream.
//!
//! A frame is a 10-byte header and a body: `u32` body length, `u8` encoding (0 plain, 1 LZ4 block), `u8` zero,
//! `u32` CRC-32 of the body, all big endian. The length is checked before anything is allocated, so a hostile
//! length costs nothing; the decompressed size is bounded too.

use prost::Message;

/// Bytes before a frame's body.
pub const HEADER: usize = 10;
/// Longest body on the wire. A longer one is refused and the connection closed.
pub const MAX_BODY: usize = 1 << 20;
/// Largest message after decompression.
pub const MAX_DECOMPRESSED: usize = 4 << 20;
/// Bodies shorter than this are not worth compressing.
const COMPRESS_FROM: usize = 512;

const PLAIN: u8 = 0;
const LZ4: u8 = 1;

/// Why a frame cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header names a body longer than [`MAX_BODY`].
    #[error("frame too long: expected at most {MAX_BODY} bytes, found a length of {0}")]
    TooLong(usize),
    /// The body would be longer than [`MAX_DECOMPRESSED`] when decompressed.
    #[error("frame too long when decompressed: expected at most {MAX_DECOMPRESSED} bytes, found {0}")]
    DecompressedTooLong(usize),
    /// The encoding byte is none that this version knows.
    #[error("unknown frame encoding: expected 0 (plain) or 1 (LZ4), found {0}")]
    UnknownEncoding(u8),
    /// The reserved byte is set.
    #[error("reserved header byte: expected 0, found {0}")]
    Reserved(u8),
    /// The checksum does not match the body.
    #[error("frame checksum: expected {expected:08x}, found {found:08x}")]
    Checksum {
        /// From the header.
        expected: u32,
        /// Of the body.
        found: u32,
    },
    /// The body is not a valid LZ4 block.
    #[error("frame body does not decompress: {0}")]
    Decompress(String),
    /// The body is not the message that was expected here.
    #[error("frame body is not a message of this protocol: {0}")]
    Decode(String),
    /// The stream ended inside a frame.
    #[error("stream ended inside a frame: expected {expected} bytes, found {found}")]
    Truncated {
        /// Bytes the frame has.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
}

/// A checked header: what to read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Body bytes that follow, at most [`MAX_BODY`].
    pub length: usize,
    encoding: u8,
    checksum: u32,
}

impl Header {
    /// Reads and checks a header.
    pub fn parse(bytes: &[u8; HEADER]) -> Result<Self, FrameError> {
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let length = word(0) as usize;
        if length > MAX_BODY {
            return Err(FrameError::TooLong(length));
        }
        if bytes[4] > LZ4 {
            return Err(FrameError::UnknownEncoding(bytes[4]));
        }
        if bytes[5] != 0 {
            return Err(FrameError::Reserved(bytes[5]));
        }
        Ok(Self { length, encoding: bytes[4], checksum: word(6) })
    }

    /// Checks, decompresses and decodes the body that came after this header.
    pub fn decode<M: Message + Default>(&self, body: &[u8]) -> Result<M, FrameError> {
        if body.len() != self.length {
            return Err(FrameError::Truncated { expected: self.length, found: body.len() });
        }
        let found = crc32fast::hash(body);
        if found != self.checksum {
            return Err(FrameError::Checksum { expected: self.checksum, found });
        }
        let decode = |plain: &[u8]| M::decode(plain).map_err(|e| FrameError::Decode(e.to_string()));
        if self.encoding == PLAIN { decode(body) } else { decode(&decompress(body)?) }
    }
}

/// The frame of one message: header and body.
pub fn encode<M: Message>(message: &M) -> Result<Vec<u8>, FrameError> {
    let plain = message.encode_to_vec();
    if plain.len() > MAX_DECOMPRESSED {
        return Err(FrameError::DecompressedTooLong(plain.len()));
    }
    let (encoding, body) =
        if plain.len() >= COMPRESS_FROM { (LZ4, compress(&plain)) } else { (PLAIN, plain) };
    if body.len() > MAX_BODY {
        return Err(FrameError::TooLong(body.len()));
    }
    let length = u32::try_from(body.len()).map_err(|_| FrameError::TooLong(body.len()))?;
    let mut frame = Vec::with_capacity(HEADER + body.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&[encoding, 0]);
    frame.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// Takes one frame off the front of `buffer`: `None` while it is not complete, otherwise the message and the
/// bytes it used.
pub fn decode<M: Message + Default>(buffer: &[u8]) -> Result<Option<(M, usize)>, FrameError> {
    let Some(head) = buffer.first_chunk::<HEADER>() else { return Ok(None) };
    let header = Header::parse(head)?;
    let Some(body) = buffer.get(HEADER..HEADER + header.length) else { return Ok(None) };
    Ok(Some((header.decode(body)?, HEADER + header.length)))
}

/// An LZ4 block with its decompressed size (`u32`, little endian) in front.
pub fn compress(plain: &[u8]) -> Vec<u8> {
    lz4_flex::block::compress_prepend_size(plain)
}

/// The bytes that [`compress`] was given; refuses a claimed size above [`MAX_DECOMPRESSED`] before allocating it.
pub fn decompress(body: &[u8]) -> Result<Vec<u8>, FrameError> {
    let Some(claimed) = body.first_chunk::<4>() else {
        return Err(FrameError::Decompress("no size in front".to_owned()));
    };
    let claimed = u32::from_le_bytes(*claimed) as usize;
    if claimed > MAX_DECOMPRESSED {
        return Err(FrameError::DecompressedTooLong(claimed));
    }
    lz4_flex::block::decompress_size_prepended(body).map_err(|e| FrameError::Decompress(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1;
    use proptest::prelude::*;

    fn frame(text: &str) -> v1::ServerFrame {
        let refusal = v1::Refusal { code: "malformed".into(), found: text.into(), ..Default::default() };
        v1::ServerFrame { body: Some(v1::server_frame::Body::Refusal(refusal)) }
    }

    #[test]
    fn short_and_long_messages_survive_the_wire() {
        for text in ["", "short", &"long and repetitive ".repeat(9_000)] {
            let bytes = encode(&frame(text)).unwrap();
            let (back, used) = decode::<v1::ServerFrame>(&bytes).unwrap().unwrap();
            assert_eq!((back, used), (frame(text), bytes.len()));
        }
    }

    #[test]
    fn an_incomplete_frame_waits_for_more() {
        let bytes = encode(&frame("something")).unwrap();
        for end in 0..bytes.len() {
            assert_eq!(decode::<v1::ServerFrame>(&bytes[..end]).unwrap(), None);
        }
    }

    #[test]
    fn a_hostile_length_is_refused_before_its_body() {
        let mut bytes = encode(&frame("x")).unwrap();
        bytes[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(decode::<v1::ServerFrame>(&bytes[..HEADER]), Err(FrameError::TooLong(u32::MAX as usize)));
    }

    #[test]
    fn a_small_body_that_claims_a_huge_size_is_refused() {
        let mut body = compress(b"tiny");
        body[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decompress(&body), Err(FrameError::DecompressedTooLong(u32::MAX as usize)));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic_and_never_pass(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
            // A random body passes its CRC-32 once in four billion tries.
            prop_assert!(!matches!(decode::<v1::AgentFrame>(&bytes), Ok(Some((_, used))) if used > HEADER));
        }

        #[test]
        fn one_flipped_bit_never_passes(at in 0usize..200, bit in 0u8..8) {
            let good = encode(&frame(&"z".repeat(200))).unwrap();
            let mut bytes = good.clone();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Ok(Some((message, _))) = decode::<v1::ServerFrame>(&bytes) {
                prop_assert!(message != frame(&"z".repeat(200)), "bit {bit} of byte {at} went unnoticed");
            }
        }
    }
}
