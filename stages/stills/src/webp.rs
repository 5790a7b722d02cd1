//! WebP: chunks walked here, pixels by `image`.

use crate::deadline::{Deadline, TimedBytes};
use crate::depth::Depths;
use crate::limits::check_size;
use crate::sniff::unsupported;
use crate::{corrupt, exif, frame, refuse, truncated};
use image::codecs::webp::WebPDecoder;
use shiren_contract::codes;
use shiren_contract::raster::Rgb8;
use shiren_contract::still::{StillError, StillFormat, StillHeader, StillLimits};

/// Bytes of `RIFF`, size, `WEBP`.
const RIFF_BYTES: usize = 12;
const ANIMATED: u8 = 0b10;

/// Size and orientation. Walks all chunks by their lengths, as `EXIF` stands behind the pixels.
pub(crate) fn header(bytes: &[u8], limits: &StillLimits) -> Result<StillHeader, StillError> {
    let whole = whole(bytes);
    // A cut file is walked as far as it goes: a size over the limits, or an animation, is said first.
    let facts = walk(whole.as_ref().unwrap_or(&bytes), limits);
    if let (Err(cut), false) = (&whole, matches!(&facts, Err(e) if is_about_content(e))) {
        return Err(cut.clone());
    }
    facts
}

fn is_about_content(error: &StillError) -> bool {
    [codes::PIXELS_OVER_LIMIT, codes::ANIMATION_UNSUPPORTED].contains(&error.code)
}

fn walk(file: &[u8], limits: &StillLimits) -> Result<StillHeader, StillError> {
    let (mut canvas, mut picture, mut orientation) = (None, None, None);
    let mut at = RIFF_BYTES;
    while at < file.len() {
        let (kind, length) = chunk_head(file, at)?;
        // Sizes stand in the first bytes of a chunk, which may be there when the rest is not.
        let there = &file[at + 8..file.len().min(at + 8 + length)];
        match kind {
            b"VP8X" => canvas = Some(canvas_size(there)?),
            b"ANIM" | b"ANMF" => return Err(animated()),
            b"VP8 " | b"VP8L" if picture.is_some() => return Err(corrupt("WebP: two pictures")),
            b"VP8 " => picture = Some(lossy_size(there)?),
            b"VP8L" => picture = Some(lossless_size(there)?),
            b"EXIF" if orientation.is_none() => orientation = Some(exif::orientation(there)),
            _ => {}
        }
        for (width, height) in [canvas, picture].into_iter().flatten() {
            check_size(width, height, limits)?;
        }
        if there.len() < length {
            return Err(corrupt(format!(
                "WebP: the chunk at byte {at} reaches beyond the file"
            )));
        }
        at += 8 + length + length % 2;
    }
    let (width, height) = picture.ok_or_else(|| corrupt("WebP: no picture"))?;
    if canvas.is_some_and(|canvas| canvas != (width, height)) {
        return Err(corrupt("WebP: picture and canvas differ in size"));
    }
    Ok(StillHeader {
        format: StillFormat::Webp,
        width,
        height,
        orientation: orientation.unwrap_or(1),
    })
}

/// Stored pixels.
pub(crate) fn pixels(
    bytes: &[u8],
    header: &StillHeader,
    deadline: Deadline,
) -> Result<Rgb8, StillError> {
    let decoder = WebPDecoder::new(TimedBytes::new(whole(bytes)?, deadline))
        .map_err(|error| frame::refusal(error, deadline))?;
    frame::decode(decoder, header, Depths::default(), deadline)
}

fn animated() -> StillError {
    refuse(codes::ANIMATION_UNSUPPORTED, "an animated WebP")
}

/// The file as long as RIFF says, without what follows.
fn whole(bytes: &[u8]) -> Result<&[u8], StillError> {
    let size = bytes
        .get(4..8)
        .and_then(|raw| raw.try_into().ok())
        .map_or(0, u32::from_le_bytes) as usize;
    let size = size.saturating_add(8);
    if size < RIFF_BYTES {
        return Err(corrupt("WebP: the size in its header is too small"));
    }
    bytes
        .get(..size)
        .ok_or_else(|| truncated(format!("WebP has {} of {size} bytes", bytes.len())))
}

/// Kind and declared length.
fn chunk_head(file: &[u8], at: usize) -> Result<(&[u8; 4], usize), StillError> {
    let cut = || corrupt(format!("WebP: no whole chunk at byte {at}"));
    let (kind, behind) = file[at..].split_first_chunk::<4>().ok_or_else(cut)?;
    let length = behind.first_chunk::<4>().ok_or_else(cut)?;
    Ok((kind, u32::from_le_bytes(*length) as usize))
}

fn canvas_size(body: &[u8]) -> Result<(u32, u32), StillError> {
    let [flags, _, _, _, w0, w1, w2, h0, h1, h2, ..] = *body else {
        return Err(corrupt("WebP: VP8X too short"));
    };
    if flags & ANIMATED != 0 {
        return Err(animated());
    }
    Ok((
        1 + u32::from_le_bytes([w0, w1, w2, 0]),
        1 + u32::from_le_bytes([h0, h1, h2, 0]),
    ))
}

fn lossy_size(body: &[u8]) -> Result<(u32, u32), StillError> {
    let [tag, _, _, 0x9D, 0x01, 0x2A, w0, w1, h0, h1, ..] = *body else {
        return Err(corrupt("WebP: no key frame in VP8"));
    };
    if tag & 1 != 0 {
        return Err(corrupt("WebP: no key frame in VP8"));
    }
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
    Ok((side(w0, w1), side(h0, h1)))
}

fn lossless_size(body: &[u8]) -> Result<(u32, u32), StillError> {
    let [0x2F, b0, b1, b2, b3, ..] = *body else {
        return Err(corrupt("WebP: no VP8L signature"));
    };
    let bits = u32::from_le_bytes([b0, b1, b2, b3]);
    if bits >> 29 != 0 {
        return Err(unsupported("WebP lossless of a later version"));
    }
    Ok((1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)))
}
