//! The marker structure of a JPEG, walked without decoding.
//!
//! libjpeg-turbo never sees the file itself but a copy that the walk has found whole and stripped to what makes
//! pixels: tables, frame, scans, JFIF and Adobe markers. EXIF with its thumbnail, ICC profiles, comments and
//! whatever follows the end of the picture are not in it.

use crate::sniff::unsupported;
use crate::{corrupt, exif, refuse, truncated};
use shiren_contract::codes;
use shiren_contract::still::StillError;

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DHT: u8 = 0xC4;
const DQT: u8 = 0xDB;
const DNL: u8 = 0xDC;
const DRI: u8 = 0xDD;
const DHP: u8 = 0xDE;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP2: u8 = 0xE2;
const APP14: u8 = 0xEE;
const COM: u8 = 0xFE;

/// That the colours are JFIF's. Revision 1.01 whatever the file says: libjpeg would warn of others.
const JFIF: &[u8] = b"\xFF\xE0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";

/// Most components that are read: four, of CMYK.
const COMPONENTS: usize = 4;

/// One component of the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Component {
    id: u8,
    horizontal: u8,
    vertical: u8,
}

/// What SOF says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub width: u32,
    pub height: u32,
    pub progressive: bool,
    pub count: usize,
    components: [Component; COMPONENTS],
}

/// What stands before the first scan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub frame: Frame,
    /// Orientation of the first EXIF segment, 1 without one.
    pub orientation: u8,
    /// Colour transform of the Adobe segment.
    pub adobe: Option<u8>,
    /// The file lists several frames of equal rank.
    pub several_frames: bool,
}

/// A whole JPEG, stripped.
pub(crate) struct Whole {
    /// From SOI to EOI, with what makes pixels and nothing else.
    pub stream: Vec<u8>,
    /// Blocks of 8x8 that all scans together visit.
    pub blocks: u64,
    /// Number of scans.
    pub scans: usize,
}

struct Segment<'a> {
    code: u8,
    body: &'a [u8],
    /// With marker and length.
    raw: &'a [u8],
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    fn behind_soi(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 2 }
    }

    /// The next segment; EOI comes with an empty body.
    fn next(&mut self) -> Result<Segment<'a>, StillError> {
        let cut = || {
            truncated(format!(
                "JPEG ends at byte {} without its end marker",
                self.bytes.len()
            ))
        };
        if *self.bytes.get(self.at).ok_or_else(cut)? != 0xFF {
            return Err(corrupt(format!("JPEG: no marker at byte {}", self.at)));
        }
        // Any number of fill bytes FF may precede a marker.
        let fill = self.bytes[self.at..]
            .iter()
            .take_while(|byte| **byte == 0xFF)
            .count();
        let start = self.at + fill - 1;
        let code = *self.bytes.get(start + 1).ok_or_else(cut)?;
        if code == EOI {
            self.at = start + 2;
            return Ok(Segment {
                code,
                body: &[],
                raw: &self.bytes[start..start + 2],
            });
        }
        if code < 0xC0 || code == SOI || (0xD0..=0xD7).contains(&code) {
            return Err(corrupt(format!(
                "JPEG: marker FF{code:02X} at byte {start} does not belong there"
            )));
        }
        let length = self.bytes.get(start + 2..start + 4).ok_or_else(cut)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        if length < 2 {
            return Err(corrupt(format!(
                "JPEG: segment of length {length} at byte {start}"
            )));
        }
        let raw = self.bytes.get(start..start + 2 + length).ok_or_else(cut)?;
        self.at = start + raw.len();
        Ok(Segment {
            code,
            body: &raw[4..],
            raw,
        })
    }

    /// The entropy-coded data up to the next marker that is no restart marker.
    fn entropy(&mut self) -> &'a [u8] {
        let start = self.at;
        loop {
            let rest = &self.bytes[self.at..];
            let Some(found) = memchr::memchr(0xFF, rest) else {
                self.at = self.bytes.len();
                break;
            };
            self.at += found;
            match rest.get(found + 1) {
                Some(0x00 | 0xD0..=0xD7) => self.at += 2,
                _ => break,
            }
        }
        &self.bytes[start..self.at]
    }
}

/// Reads what stands before the first scan. `bytes` begins with FF D8 FF.
pub(crate) fn head(bytes: &[u8]) -> Result<Head, StillError> {
    let mut walk = Walk::behind_soi(bytes);
    let (mut frame, mut exif, mut adobe, mut several_frames) = (None, None, None, false);
    loop {
        let segment = walk.next()?;
        match segment.code {
            SOS => break,
            EOI => return Err(corrupt("JPEG: no picture before the end marker")),
            APP1 if exif.is_none() && exif::is_exif(segment.body) => {
                exif = Some(exif::orientation(segment.body))
            }
            APP2 => {
                let index = segment.body.strip_prefix(b"MPF\0");
                several_frames |= index.is_some_and(exif::lists_several_frames);
            }
            APP14 => adobe = adobe_transform(segment.body).or(adobe),
            code if is_frame(code) && frame.is_some() => {
                return Err(corrupt("JPEG: two frame headers"));
            }
            code if is_frame(code) => frame = Some(read_frame(code, segment.body)?),
            _ => {}
        }
    }
    let frame = frame.ok_or_else(|| corrupt("JPEG: a scan before the frame header"))?;
    Ok(Head {
        frame,
        orientation: exif.unwrap_or(1),
        adobe,
        several_frames,
    })
}

fn adobe_transform(body: &[u8]) -> Option<u8> {
    if body.starts_with(b"Adobe") {
        body.get(11).copied()
    } else {
        None
    }
}

/// All SOFn, JPEG-LS included.
fn is_frame(code: u8) -> bool {
    matches!(code, 0xC0..=0xCF if code != DHT && code != 0xC8 && code != 0xCC)
        || matches!(code, 0xF7 | DHP)
}

fn read_frame(code: u8, body: &[u8]) -> Result<Frame, StillError> {
    match code {
        0xC0..=0xC2 => {}
        0xC3 => return Err(unsupported("lossless JPEG")),
        0xF7 => return Err(unsupported("JPEG-LS")),
        0xC9..=0xCB | 0xCD..=0xCF => return Err(unsupported("JPEG with arithmetic coding")),
        _ => return Err(unsupported("hierarchical JPEG")),
    }
    let [precision, h1, h0, w1, w0, count, specs @ ..] = body else {
        return Err(corrupt("JPEG: frame header too short"));
    };
    if *precision != 8 {
        return Err(unsupported(&format!("JPEG with {precision} bits a sample")));
    }
    let (width, height) = (
        u32::from(u16::from_be_bytes([*w1, *w0])),
        u32::from(u16::from_be_bytes([*h1, *h0])),
    );
    if height == 0 {
        return Err(unsupported(
            "JPEG whose height is given behind its scan (DNL)",
        ));
    }
    let count = usize::from(*count);
    if !matches!(count, 1 | 3 | 4) {
        return Err(refuse(
            codes::COLOUR_SPACE_UNSUPPORTED,
            format!("JPEG with {count} components"),
        ));
    }
    if specs.len() != count * 3 {
        return Err(corrupt("JPEG: frame header of a wrong length"));
    }
    let mut components = [Component::default(); COMPONENTS];
    for (component, spec) in components.iter_mut().zip(specs.chunks_exact(3)) {
        *component = Component {
            id: spec[0],
            horizontal: spec[1] >> 4,
            vertical: spec[1] & 15,
        };
        if !(1..=4).contains(&component.horizontal) || !(1..=4).contains(&component.vertical) {
            return Err(corrupt("JPEG: sampling factor outside 1 to 4"));
        }
    }
    Ok(Frame {
        width,
        height,
        progressive: code == 0xC2,
        count,
        components,
    })
}

impl Frame {
    fn components(&self) -> &[Component] {
        &self.components[..self.count]
    }

    /// Blocks of a component, rounded up to whole minimum coded units.
    fn blocks(&self, component: Component) -> u64 {
        let largest =
            |of: fn(&Component) -> u8| self.components().iter().map(of).max().map_or(1, u32::from);
        let across =
            self.width.div_ceil(8 * largest(|c| c.horizontal)) * u32::from(component.horizontal);
        let down =
            self.height.div_ceil(8 * largest(|c| c.vertical)) * u32::from(component.vertical);
        u64::from(across) * u64::from(down)
    }
}

/// How far each coefficient has come: bits still to be sent, `NOT_SENT` before its first scan.
struct Progress {
    frame: Frame,
    missing: [[u8; 64]; COMPONENTS],
}

const NOT_SENT: u8 = 0xFF;

impl Progress {
    /// Takes in a scan header and returns the blocks it visits.
    fn scan(&mut self, body: &[u8]) -> Result<u64, StillError> {
        let wrong = || corrupt("JPEG: bad scan header");
        let (&count, rest) = body.split_first().ok_or_else(wrong)?;
        let count = usize::from(count);
        if count == 0 || count > COMPONENTS || rest.len() != 2 * count + 3 {
            return Err(wrong());
        }
        let (selectors, parameters) = rest.split_at(2 * count);
        let (first, last, low) = (
            usize::from(parameters[0]),
            usize::from(parameters[1]),
            parameters[2] & 15,
        );
        if self.frame.progressive && (first > last || last > 63 || low > 13) {
            return Err(wrong());
        }
        // Outside progressive files these three bytes mean nothing, and some cameras write nonsense.
        let (range, low) = if self.frame.progressive {
            (first..=last, low)
        } else {
            (0..=63, 0)
        };
        let mut blocks = 0;
        for selector in selectors.chunks_exact(2) {
            let components = self.frame.components().iter();
            let n = components
                .clone()
                .position(|c| c.id == selector[0])
                .ok_or_else(wrong)?;
            self.missing[n][range.clone()].fill(low);
            blocks += self.frame.blocks(self.frame.components[n]);
        }
        Ok(blocks)
    }

    fn is_whole(&self) -> bool {
        self.missing[..self.frame.count]
            .iter()
            .flatten()
            .all(|bits| *bits == 0)
    }
}

/// Walks the whole file. A file without its end marker is truncated, even if nothing else is missing: a file cut
/// between two progressive scans looks the same.
pub(crate) fn whole(bytes: &[u8], frame: Frame, most_scans: usize) -> Result<Whole, StillError> {
    let mut walk = Walk::behind_soi(bytes);
    let mut progress = Progress {
        frame,
        missing: [[NOT_SENT; 64]; COMPONENTS],
    };
    let mut out = Whole {
        stream: vec![0xFF, SOI],
        blocks: 0,
        scans: 0,
    };
    loop {
        let segment = walk.next()?;
        match segment.code {
            EOI => break,
            SOS => {
                out.scans += 1;
                if out.scans > most_scans {
                    return Err(refuse(
                        codes::DECODE_TIMEOUT,
                        format!("JPEG with more than {most_scans} scans"),
                    ));
                }
                out.blocks += progress.scan(segment.body)?;
                out.stream.extend_from_slice(segment.raw);
                out.stream.extend_from_slice(walk.entropy());
            }
            DNL => {
                return Err(unsupported(
                    "JPEG whose height is given behind its scan (DNL)",
                ));
            }
            DHT | DQT | DRI => out.stream.extend_from_slice(segment.raw),
            code if is_frame(code) && out.scans > 0 => {
                return Err(corrupt("JPEG: two frame headers"));
            }
            code if is_frame(code) => out.stream.extend_from_slice(segment.raw),
            APP0 if segment.body.starts_with(b"JFIF\0") => out.stream.extend_from_slice(JFIF),
            APP14 if segment.body.starts_with(b"Adobe") => {
                out.stream.extend_from_slice(segment.raw)
            }
            0xE0..=0xEF | COM => {}
            code => return Err(corrupt(format!("JPEG: segment FF{code:02X} is not known"))),
        }
    }
    if out.scans == 0 {
        return Err(corrupt("JPEG: no scan"));
    }
    if !progress.is_whole() {
        return Err(truncated(
            "JPEG: the end marker comes before every coefficient was sent",
        ));
    }
    out.stream.extend_from_slice(&[0xFF, EOI]);
    Ok(out)
}
