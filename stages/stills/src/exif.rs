//! The little of EXIF and of the multi-picture index that matters here.
//!
//! The orientation is read by `image`, which reads the first directory in place. `kamadak-exif` parses and
//! allocates the whole tree of directories, maker notes included: more code on hostile bytes for one number.

use image::metadata::Orientation;

/// Prefix of EXIF in a JPEG; some writers put it into WebP and PNG too.
const PREFIX: &[u8] = b"Exif\0\0";

/// Type of an entry in the multi-picture index: bits 16..24 of its attribute.
const CLASS_MULTI_FRAME: u32 = 2;

/// Tag of the list of pictures in the multi-picture index.
const TAG_MP_ENTRY: u16 = 0xB002;

/// Orientation 1..=8 of a block of EXIF, with or without its prefix. Anything else in the block reads as 1.
pub(crate) fn orientation(block: &[u8]) -> u8 {
    let tiff = block.strip_prefix(PREFIX).unwrap_or(block);
    Orientation::from_exif_chunk(tiff)
        .unwrap_or(Orientation::NoTransforms)
        .to_exif()
}

/// Whether the body of a JPEG APP1 segment is EXIF.
pub(crate) fn is_exif(body: &[u8]) -> bool {
    body.starts_with(PREFIX)
}

/// Whether a multi-picture index (CIPA DC-007; the body of APP2 behind `MPF\0`) lists frames of equal rank:
/// panorama, stereo pair, burst. Gain maps, depth maps and large thumbnails, which most phones write, are not that.
pub(crate) fn lists_several_frames(index: &[u8]) -> bool {
    read_frames(index).unwrap_or(false)
}

fn read_frames(index: &[u8]) -> Option<bool> {
    let reader = Tiff {
        bytes: index,
        big_endian: index.starts_with(b"MM"),
    };
    let directory = reader.u32(4)? as usize;
    for n in 0..usize::from(reader.u16(directory)?) {
        let entry = directory.checked_add(2 + n * 12)?;
        if reader.u16(entry)? == TAG_MP_ENTRY {
            let bytes = reader.u32(entry + 4)? as usize;
            let list = reader.u32(entry + 8)? as usize;
            return Some(
                (0..bytes / 16)
                    .map_while(|n| reader.u32(list.checked_add(n * 16)?))
                    .any(is_frame),
            );
        }
    }
    None
}

fn is_frame(attribute: u32) -> bool {
    (attribute >> 16) & 0xFF == CLASS_MULTI_FRAME
}

struct Tiff<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Tiff<'_> {
    fn u16(&self, at: usize) -> Option<u16> {
        let raw = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.big_endian {
            u16::from_be_bytes(raw)
        } else {
            u16::from_le_bytes(raw)
        })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let raw = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big_endian {
            u32::from_be_bytes(raw)
        } else {
            u32::from_le_bytes(raw)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(big: bool, value: u16) -> Vec<u8> {
        let u16 = |n: u16| {
            if big {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let u32 = |n: u32| {
            if big {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let mut tiff = if big { b"MM".to_vec() } else { b"II".to_vec() };
        tiff.extend(u16(42));
        tiff.extend(u32(8));
        tiff.extend(u16(2));
        for (tag, value) in [(0x0100u16, 640), (0x0112, value)] {
            tiff.extend(u16(tag));
            tiff.extend(u16(3));
            tiff.extend(u32(1));
            tiff.extend(u16(value));
            tiff.extend([0, 0]);
        }
        tiff.extend(u32(0));
        tiff
    }

    #[test]
    fn both_byte_orders_with_and_without_prefix() {
        for big in [false, true] {
            for value in [0u16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255, 256 + 6, 0xFFFF] {
                let expected = if (1..=8).contains(&value) {
                    value as u8
                } else {
                    1
                };
                let tiff = block(big, value);
                assert_eq!(
                    orientation(&tiff),
                    expected,
                    "big-endian {big}, value {value}"
                );
                assert_eq!(orientation(&[PREFIX, &tiff].concat()), expected);
            }
        }
    }

    #[test]
    fn every_cut_reads_as_upright_or_as_the_value() {
        let tiff = block(true, 6);
        for cut in 0..tiff.len() {
            assert!(matches!(orientation(&tiff[..cut]), 1 | 6));
        }
    }

    #[test]
    fn only_frames_of_equal_rank_are_several() {
        let index = |types: &[u32]| {
            let mut tiff = b"II*\0\x08\0\0\0\x01\0".to_vec();
            tiff.extend(TAG_MP_ENTRY.to_le_bytes());
            tiff.extend(7u16.to_le_bytes());
            tiff.extend((types.len() as u32 * 16).to_le_bytes());
            tiff.extend(26u32.to_le_bytes());
            tiff.extend([0; 4]);
            for kind in types {
                tiff.extend(kind.to_le_bytes());
                tiff.extend([0; 12]);
            }
            tiff
        };
        assert!(
            !lists_several_frames(&index(&[0x0003_0000, 0])),
            "a gain map"
        );
        assert!(
            !lists_several_frames(&index(&[0x2003_0000, 0x0001_0002])),
            "a large thumbnail"
        );
        assert!(
            lists_several_frames(&index(&[0x2003_0000, 0x0002_0002])),
            "a stereo pair"
        );
        assert!(
            lists_several_frames(&index(&[0x0002_0003, 0x0002_0003])),
            "several angles"
        );
        assert!(!lists_several_frames(b"II*\0\xFF\xFF\xFF\xFF"));
    }
}
