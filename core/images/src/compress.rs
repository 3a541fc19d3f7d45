//! Compressed streams, recognised by their first bytes and not by names or declared types.

use std::io::{self, BufReader, Cursor, Read};

/// How a stream is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952, also several members one after another.
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// RFC 8878.
    Zstd,
}

/// The longest of the magic numbers below.
const HEAD: usize = 6;
const BUFFER: usize = 128 << 10;

impl Compression {
    /// Guesses from the first bytes of a stream.
    pub fn detect(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The media type of a layer packed like this; `None` when registries know none, so the layer has to be kept unpacked.
    pub fn layer_media_type(self) -> Option<&'static str> {
        match self {
            Self::None => Some("application/vnd.docker.image.rootfs.diff.tar"),
            Self::Gzip => Some("application/vnd.docker.image.rootfs.diff.tar.gzip"),
            Self::Zstd => Some("application/vnd.oci.image.layer.v1.tar+zstd"),
            Self::Bzip2 | Self::Xz => None,
        }
    }
}

/// Reads `input` unpacked, whatever it is packed with. The reader need not be buffered.
///
/// # Errors
/// When the first bytes cannot be read.
pub fn unpack<'a>(mut input: impl Read + Send + 'a) -> io::Result<(Compression, Box<dyn Read + Send + 'a>)> {
    let mut head = Vec::with_capacity(HEAD);
    input.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let kind = Compression::detect(&head);
    let whole = BufReader::with_capacity(BUFFER, Cursor::new(head).chain(input));
    Ok((
        kind,
        match kind {
            Compression::None => Box::new(whole),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
            Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(whole)),
            Compression::Xz => Box::new(lzma_rust2::XzReader::new(whole, true)),
            Compression::Zstd => Box::new(zstd::Decoder::with_buffer(whole)?),
        },
    ))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write;

    pub(crate) fn pack(kind: Compression, data: &[u8]) -> Vec<u8> {
        match kind {
            Compression::None => data.to_vec(),
            Compression::Gzip => {
                let mut w = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                w.write_all(data).unwrap();
                w.finish().unwrap()
            }
            Compression::Bzip2 => {
                let mut w = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                w.write_all(data).unwrap();
                w.finish().unwrap()
            }
            Compression::Xz => {
                let mut w = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
                w.write_all(data).unwrap();
                w.finish().unwrap()
            }
            Compression::Zstd => zstd::encode_all(data, 1).unwrap(),
        }
    }

    pub(crate) const ALL: [Compression; 5] = [Compression::None, Compression::Gzip, Compression::Bzip2, Compression::Xz, Compression::Zstd];

    #[test]
    fn every_kind_is_recognised_and_read() {
        let data: Vec<u8> = (0..200_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for kind in ALL {
            let packed = pack(kind, &data);
            let (found, mut reader) = unpack(&packed[..]).unwrap();
            let mut back = Vec::new();
            reader.read_to_end(&mut back).unwrap();
            assert_eq!(found, kind);
            assert!(back == data, "{kind:?}");
        }
    }

    #[test]
    fn truncated_streams_are_errors() {
        let data: Vec<u8> = (0..100_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for kind in ALL.into_iter().skip(1) {
            let packed = pack(kind, &data);
            let (_, mut reader) = unpack(&packed[..packed.len() / 2]).unwrap();
            assert!(reader.read_to_end(&mut Vec::new()).is_err(), "{kind:?}");
        }
    }

    #[test]
    fn short_streams() {
        for len in 0..8 {
            let data = vec![1u8; len];
            let (kind, mut reader) = unpack(&data[..]).unwrap();
            let mut back = Vec::new();
            reader.read_to_end(&mut back).unwrap();
            assert_eq!((kind, &back), (Compression::None, &data));
        }
    }
}
