//! Windows bitmap: header walked here, pixels by `image`. Run-length coded ones are refused: nobody keeps faces
//! in them, and a cut one cannot be told from one that leaves its last rows out.

use crate::deadline::{Deadline, TimedBytes};
use crate::depth::Depths;
use crate::limits::check_size;
use crate::sniff::unsupported;
use crate::{corrupt, frame, truncated};
use image::codecs::bmp::BmpDecoder;
use shiren_contract::raster::Rgb8;
use shiren_contract::still::{StillError, StillFormat, StillHeader, StillLimits};

/// Bytes of `BM`, file size, reserved, offset of the pixels.
const FILE_HEADER_BYTES: usize = 14;
const CORE_HEADER_BYTES: u32 = 12;

/// Size, and whether all rows are there. A bitmap has no orientation.
pub(crate) fn header(bytes: &[u8], limits: &StillLimits) -> Result<StillHeader, StillError> {
    let read = Reader { bytes };
    let offset = read.u32(10)?;
    let (width, height, bits, compression) = match read.u32(FILE_HEADER_BYTES)? {
        CORE_HEADER_BYTES => (
            u32::from(read.u16(18)?),
            u32::from(read.u16(20)?),
            read.u16(24)?,
            0,
        ),
        40 | 52 | 56 | 108 | 124 => {
            let width = u32::try_from(read.i32(18)?).map_err(|_| corrupt("BMP: negative width"))?;
            (
                width,
                read.i32(22)?.unsigned_abs(),
                read.u16(28)?,
                read.u32(30)?,
            )
        }
        other => return Err(unsupported(&format!("BMP with a header of {other} bytes"))),
    };
    match compression {
        0 | 3 => {}
        1 | 2 => return Err(unsupported("BMP with run-length coding")),
        other => return Err(unsupported(&format!("BMP with compression {other}"))),
    }
    check_size(width, height, limits)?;
    let row = (u64::from(width) * u64::from(bits)).div_ceil(32) * 4;
    // Saturating: no file has that many bytes.
    let needed = row
        .saturating_mul(u64::from(height))
        .saturating_add(u64::from(offset));
    if needed > bytes.len() as u64 {
        return Err(truncated(format!(
            "BMP of {width}x{height} pixels has {} of {needed} bytes",
            bytes.len()
        )));
    }
    Ok(StillHeader {
        format: StillFormat::Bmp,
        width,
        height,
        orientation: 1,
    })
}

/// Stored pixels.
pub(crate) fn pixels(
    bytes: &[u8],
    header: &StillHeader,
    deadline: Deadline,
) -> Result<Rgb8, StillError> {
    let decoder = BmpDecoder::new(TimedBytes::new(bytes, deadline))
        .map_err(|error| frame::refusal(error, deadline))?;
    frame::decode(decoder, header, Depths::default(), deadline)
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], StillError> {
        let found = self
            .bytes
            .get(at..at + N)
            .and_then(|raw| raw.try_into().ok());
        found.ok_or_else(|| truncated("BMP ends within its header"))
    }

    fn u16(&self, at: usize) -> Result<u16, StillError> {
        self.array(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> Result<u32, StillError> {
        self.array(at).map(u32::from_le_bytes)
    }

    fn i32(&self, at: usize) -> Result<i32, StillError> {
        self.array(at).map(i32::from_le_bytes)
    }
}
