//! PNG: chunks walked here, pixels by `image`.

use crate::deadline::{Deadline, TimedBytes};
use crate::depth::Depths;
use crate::limits::check_size;
use crate::sniff::unsupported;
use crate::{corrupt, exif, frame, refuse, truncated};
use image::codecs::png::PngDecoder;
use shiren_contract::codes;
use shiren_contract::raster::Rgb8;
use shiren_contract::still::{StillError, StillFormat, StillHeader, StillLimits};

const SIGNATURE_BYTES: usize = 8;

struct Facts {
    header: StillHeader,
    depths: Depths,
}

/// Size and orientation. Walks all chunks by their lengths, as `eXIf` may stand behind the pixels.
pub(crate) fn header(bytes: &[u8], limits: &StillLimits) -> Result<StillHeader, StillError> {
    walk(bytes, limits, |_, _| {}).map(|facts| facts.header)
}

/// Stored pixels. The decoder sees the chunks that make pixels only: no profile to inflate, no text.
pub(crate) fn pixels(
    bytes: &[u8],
    header: &StillHeader,
    limits: &StillLimits,
    deadline: Deadline,
) -> Result<Rgb8, StillError> {
    let mut stream = bytes[..SIGNATURE_BYTES].to_vec();
    let facts = walk(bytes, limits, |kind, raw| {
        if matches!(kind, b"IHDR" | b"PLTE" | b"tRNS" | b"IDAT" | b"IEND") {
            stream.extend_from_slice(raw);
        }
    })?;
    let decoder =
        PngDecoder::with_limits(TimedBytes::new(&stream, deadline), frame::limits(header))
            .map_err(|error| frame::refusal(error, deadline))?;
    frame::decode(decoder, header, facts.depths, deadline)
}

/// Walks the chunks to IEND and shows each one, with length and checksum, to `see`.
fn walk<'a>(
    bytes: &'a [u8],
    limits: &StillLimits,
    mut see: impl FnMut(&[u8; 4], &'a [u8]),
) -> Result<Facts, StillError> {
    let mut at = SIGNATURE_BYTES;
    let (mut size, mut orientation, mut depths, mut has_pixels) =
        (None, None, Depths::default(), false);
    loop {
        let Chunk { kind, body, raw } = chunk(bytes, at)?;
        at += raw.len();
        if kind == b"CgBI" {
            return Err(unsupported("PNG as Xcode rewrites it for iOS apps (CgBI)"));
        }
        if size.is_none() != (kind == b"IHDR") {
            return Err(corrupt(
                "PNG: IHDR is not the first chunk, or there are two",
            ));
        }
        match kind {
            b"IHDR" => size = Some(read_size(body, limits)?),
            b"acTL" if !has_pixels => {
                return Err(refuse(codes::ANIMATION_UNSUPPORTED, "an animated PNG"));
            }
            b"eXIf" if orientation.is_none() => orientation = Some(exif::orientation(body)),
            b"sBIT" => depths = read_depths(body),
            b"IDAT" => has_pixels = true,
            _ => {}
        }
        see(kind, raw);
        if kind == b"IEND" {
            break;
        }
    }
    match size {
        Some((width, height)) if has_pixels => {
            let orientation = orientation.unwrap_or(1);
            Ok(Facts {
                header: StillHeader {
                    format: StillFormat::Png,
                    width,
                    height,
                    orientation,
                },
                depths,
            })
        }
        _ => Err(corrupt("PNG: no pixels")),
    }
}

struct Chunk<'a> {
    kind: &'a [u8; 4],
    body: &'a [u8],
    /// With length, kind and checksum.
    raw: &'a [u8],
}

fn chunk(bytes: &[u8], at: usize) -> Result<Chunk<'_>, StillError> {
    let cut = || truncated(format!("PNG ends at byte {} without IEND", bytes.len()));
    let rest = bytes.get(at..).ok_or_else(cut)?;
    let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
    let (kind, content) = behind.split_first_chunk::<4>().ok_or_else(cut)?;
    if !kind.iter().all(u8::is_ascii_alphabetic) {
        return Err(corrupt(format!("PNG: no chunk at byte {at}")));
    }
    let length = u32::from_be_bytes(*length) as usize;
    let body = content.get(..length).ok_or_else(cut)?;
    let raw = rest.get(..length + 12).ok_or_else(cut)?;
    Ok(Chunk { kind, body, raw })
}

fn read_size(body: &[u8], limits: &StillLimits) -> Result<(u32, u32), StillError> {
    let [w3, w2, w1, w0, h3, h2, h1, h0, _, _, _, _, _] = *body else {
        return Err(corrupt("PNG: IHDR of a wrong length"));
    };
    let (width, height) = (
        u32::from_be_bytes([w3, w2, w1, w0]),
        u32::from_be_bytes([h3, h2, h1, h0]),
    );
    check_size(width, height, limits)?;
    Ok((width, height))
}

/// One depth for grey, three for colour, and one more for alpha. With unlike ones in colour, the largest.
fn read_depths(body: &[u8]) -> Depths {
    let (colour, alpha) = match *body {
        [grey] => (grey, None),
        [grey, alpha] => (grey, Some(alpha)),
        [red, green, blue] => (red.max(green).max(blue), None),
        [red, green, blue, alpha] => (red.max(green).max(blue), Some(alpha)),
        _ => return Depths::default(),
    };
    let valid = |bits: &u8| (1..=16).contains(bits);
    Depths {
        colour: Some(colour).filter(valid),
        alpha: alpha.filter(valid),
    }
}
