//! The codec: a 4-byte big-endian length, then that many bytes of JSON.

use serde::{Serialize, de::DeserializeOwned};
use wharf_types::{Error, Result};

/// Longest body, in bytes. A longer one is a fault of the peer, not a request for memory.
pub const MAX: usize = 1 << 20;
/// Bytes of the length.
pub const HEADER: usize = 4;

/// One frame with `value` as body.
///
/// # Errors
/// When the body would be longer than [`MAX`].
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut out = vec![0; HEADER];
    serde_json::to_writer(&mut out, value)?;
    let len = out.len() - HEADER;
    if len > MAX {
        return Err(Error::invalid(format!("message of {len} bytes exceeds the limit of {MAX}")));
    }
    if let Some(header) = out.first_chunk_mut::<HEADER>() {
        *header = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    }
    Ok(out)
}

/// Length of the body that follows `header`.
///
/// # Errors
/// When it is longer than [`MAX`].
pub fn body_len(header: [u8; HEADER]) -> Result<usize> {
    let len = u32::from_be_bytes(header) as usize;
    if len <= MAX { Ok(len) } else { Err(Error::system(format!("frame of {len} bytes exceeds the limit of {MAX}"))) }
}

/// The body of the frame at the start of `data` and the frame's whole length; `None` while it is incomplete.
///
/// # Errors
/// As [`body_len`].
pub fn split(data: &[u8]) -> Result<Option<(&[u8], usize)>> {
    let Some((header, rest)) = data.split_first_chunk::<HEADER>() else { return Ok(None) };
    let len = body_len(*header)?;
    Ok(rest.get(..len).map(|body| (body, HEADER + len)))
}

/// Reads a body.
///
/// # Errors
/// When it is not the JSON of a `T`.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|e| Error::invalid(format!("unexpected message: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Call, Message, Request};
    use proptest::prelude::*;

    #[test]
    fn a_frame_survives_and_waits_for_its_end() {
        let frame = encode(&Request { id: 7, call: Call::Start }).unwrap();
        assert_eq!(frame, b"\0\0\0\x17{\"id\":7,\"call\":\"start\"}");
        assert!(split(&frame[..frame.len() - 1]).unwrap().is_none());
        let (body, used) = split(&frame).unwrap().unwrap();
        assert_eq!(used, frame.len());
        assert_eq!(parse::<Request>(body).unwrap(), Request { id: 7, call: Call::Start });
    }

    #[test]
    fn too_long_is_refused_on_both_sides() {
        assert!(encode(&"x".repeat(MAX)).is_err());
        assert!(split(b"\xff\0\0\0").is_err());
    }

    proptest! {
        #[test]
        fn decode_never_panics(bytes in any::<Vec<u8>>()) {
            if let Ok(Some((body, _))) = split(&bytes) {
                let _ = parse::<Request>(body);
            }
            let _ = parse::<Message>(&bytes);
        }
    }
}
