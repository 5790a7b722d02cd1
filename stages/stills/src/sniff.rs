//! The format of a file, from its first bytes.

use crate::{corrupt, refuse, truncated};
use shiren_contract::codes;
use shiren_contract::still::{StillError, StillFormat};

const PNG: &[u8] = b"\x89PNG\r\n\x1A\n";
const JPEG: &[u8] = b"\xFF\xD8\xFF";
const INSTEAD: &str = "send JPEG, PNG, WebP or BMP instead";

/// First bytes of picture formats that are known and not read.
const UNREAD: &[(&[u8], &str)] = &[
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF (or a camera's raw file)"),
    (b"MM\0*", "TIFF (or a camera's raw file)"),
    (b"II+\0", "BigTIFF"),
    (b"MM\0+", "BigTIFF"),
    (b"II\xBC\x01", "JPEG XR"),
    (b"\xFF\x0A", "JPEG XL"),
    (b"\0\0\0\x0CJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0CjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xFF\x4F\xFF\x51", "JPEG 2000 (bare code stream)"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\x01\0", "Windows icon"),
    (b"\x8AMNG\r\n\x1A\n", "MNG"),
    (b"\x8BJNG\r\n\x1A\n", "JNG"),
    (b"BA", "OS/2 bitmap array"),
    (b"BPG\xFB", "BPG"),
    (b"FLIF", "FLIF"),
    (b"qoif", "QOI"),
    (b"DDS ", "DirectDraw surface"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (b"FOVb", "a camera's raw file"),
    (b"farbfeld", "farbfeld"),
    (b"<svg", "SVG"),
];

/// First bytes of files that are no pictures and are sent by mistake.
const FOREIGN: &[(&[u8], &str)] = &[
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1F\x8B", "gzip data"),
    (b"\x1A\x45\xDF\xA3", "a Matroska or WebM video"),
    (
        b"data:image",
        "a data URL; send the bytes that its base64 stands for",
    ),
    (b"/9j/", "base64 of a JPEG; send its bytes"),
    (b"iVBORw0KGgo", "base64 of a PNG; send its bytes"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"{", "JSON"),
];

/// The format, or why the bytes are not read. `bytes` is not empty.
pub(crate) fn format(bytes: &[u8]) -> Result<StillFormat, StillError> {
    if bytes.starts_with(PNG) {
        return Ok(StillFormat::Png);
    }
    if bytes.starts_with(JPEG) {
        return Ok(StillFormat::Jpeg);
    }
    if bytes.starts_with(b"BM") {
        return Ok(StillFormat::Bmp);
    }
    if bytes.starts_with(b"RIFF") && bytes.len() >= 12 {
        return riff(bytes);
    }
    if let Some(brands) = file_type_box(bytes) {
        return Err(iso_media(brands));
    }
    Err(unread(bytes))
}

fn riff(bytes: &[u8]) -> Result<StillFormat, StillError> {
    match &bytes[8..12] {
        b"WEBP" => Ok(StillFormat::Webp),
        b"AVI " => Err(refuse(
            codes::NOT_AN_IMAGE,
            format!("an AVI video; {INSTEAD}"),
        )),
        _ => Err(refuse(
            codes::NOT_AN_IMAGE,
            format!("a RIFF file that is no WebP; {INSTEAD}"),
        )),
    }
}

fn unread(bytes: &[u8]) -> StillError {
    if [PNG, JPEG, b"BM", b"RIFF"]
        .iter()
        .any(|magic| magic.starts_with(bytes))
        || (bytes.starts_with(b"RIFF") && bytes.len() < 12)
    {
        return truncated(format!(
            "{} bytes: the file ends within its signature",
            bytes.len()
        ));
    }
    if bytes.starts_with(&PNG[..4]) || bytes.starts_with(b"\x09PNG") {
        return corrupt("a PNG whose signature was changed by a transfer as text");
    }
    if let Some((_, name)) = UNREAD.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return unsupported(name);
    }
    if let [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n', ..] = bytes {
        return unsupported("PNM (PBM, PGM, PPM, PAM)");
    }
    let head = &bytes[..bytes.len().min(1024)];
    if head.starts_with(b"<?xml") && memchr::memmem::find(head, b"<svg").is_some() {
        return unsupported("SVG");
    }
    match FOREIGN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        Some((_, name)) => refuse(codes::NOT_AN_IMAGE, format!("{name}; {INSTEAD}")),
        None => refuse(
            codes::NOT_AN_IMAGE,
            format!("no known signature; {INSTEAD}"),
        ),
    }
}

/// A refusal that names a format and what to send.
pub(crate) fn unsupported(name: &str) -> StillError {
    refuse(codes::FORMAT_UNSUPPORTED, format!("{name}: {INSTEAD}"))
}

/// The brands of an ISO base media file: major brand, 4 bytes of version, compatible brands.
fn file_type_box(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.get(4..8)? != b"ftyp" {
        return None;
    }
    let size = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    bytes.get(8..size.clamp(8, 8 + 4 * 64).min(bytes.len()))
}

fn iso_media(brands: &[u8]) -> StillError {
    let has = |names: &[&[u8; 4]]| {
        let all = brands.chunks_exact(4).enumerate().filter(|(n, _)| *n != 1);
        all.into_iter()
            .any(|(_, brand)| names.iter().any(|name| name.as_slice() == brand))
    };
    if has(&[b"avif", b"avis"]) {
        return unsupported("AVIF");
    }
    if has(&[
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs",
    ]) {
        return unsupported("HEIC (on an iPhone: Settings, Camera, Formats, Most Compatible)");
    }
    if has(&[b"mif1", b"mif2", b"msf1", b"miaf"]) {
        return unsupported("HEIF");
    }
    if has(&[b"crx "]) {
        return unsupported("a camera's raw file");
    }
    if has(&[b"jp2 ", b"jpx ", b"jph "]) {
        return unsupported("JPEG 2000");
    }
    refuse(
        codes::NOT_AN_IMAGE,
        format!("a video or audio file (ISO base media); {INSTEAD}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A HEIF as phones write it: the file type box and the beginning of the meta box.
    fn heif(major: &[u8; 4], compatible: &[&[u8; 4]]) -> Vec<u8> {
        let mut bytes = (16 + 4 * compatible.len() as u32).to_be_bytes().to_vec();
        bytes.extend(b"ftyp");
        bytes.extend(major);
        bytes.extend([0; 4]);
        compatible.iter().for_each(|brand| bytes.extend(*brand));
        bytes.extend(b"\0\0\x0F\xFFmeta\0\0\0\0");
        bytes
    }

    #[track_caller]
    fn refused(bytes: &[u8], code: codes::Code, word: &str) {
        let error = format(bytes).unwrap_err();
        assert_eq!(error.code, code, "{}", error.detail);
        assert!(
            error.detail.contains(word),
            "{} does not name {word}",
            error.detail
        );
    }

    #[test]
    fn heic_and_its_kin_are_named_with_what_to_send() {
        for (bytes, name) in [
            (heif(b"heic", &[b"mif1", b"heic"]), "HEIC"),
            (heif(b"mif1", &[b"mif1", b"heic"]), "HEIC"),
            (heif(b"hevc", &[b"msf1"]), "HEIC"),
            (heif(b"mif1", &[b"miaf"]), "HEIF"),
            (heif(b"avif", &[b"mif1", b"miaf"]), "AVIF"),
            (heif(b"mif1", &[b"mif1", b"avif"]), "AVIF"),
        ] {
            refused(&bytes, codes::FORMAT_UNSUPPORTED, name);
            refused(&bytes, codes::FORMAT_UNSUPPORTED, "send JPEG");
        }
        refused(&heif(b"isom", &[b"mp42"]), codes::NOT_AN_IMAGE, "video");
        refused(&heif(b"isom", &[])[..12], codes::NOT_AN_IMAGE, "video");
    }

    #[test]
    fn other_formats_are_named() {
        for (bytes, name) in [
            (b"GIF89a\x01\0\x01\0".as_slice(), "GIF"),
            (b"II*\0\x08\0\0\0", "TIFF"),
            (b"MM\0*\0\0\0\x08", "TIFF"),
            (b"\xFF\x4F\xFF\x51\0\x2F\0\0", "JPEG 2000"),
            (b"\0\0\0\x0CjP  \r\n\x87\n", "JPEG 2000"),
            (b"\xFF\x0A\xFA", "JPEG XL"),
            (b"P6\n1 1\n255\n", "PNM"),
            (b"<?xml version='1.0'?><svg/>", "SVG"),
        ] {
            refused(bytes, codes::FORMAT_UNSUPPORTED, name);
        }
        refused(b"%PDF-1.7", codes::NOT_AN_IMAGE, "PDF");
        refused(b"hello", codes::NOT_AN_IMAGE, "signature");
        refused(b"RIFF\0\0\0\0WAVEfmt ", codes::NOT_AN_IMAGE, "RIFF");
        refused(b"\x89PNG\n\x1A\n\0", codes::IMAGE_CORRUPT, "text");
    }

    #[test]
    fn cut_signatures_are_truncated_and_whole_ones_found() {
        for (magic, found) in [
            (PNG, StillFormat::Png),
            (JPEG, StillFormat::Jpeg),
            (b"RIFF\x10\0\0\0WEBP", StillFormat::Webp),
            (b"BM", StillFormat::Bmp),
        ] {
            assert_eq!(format(magic), Ok(found));
            for cut in 1..magic.len() {
                refused(&magic[..cut], codes::IMAGE_TRUNCATED, "signature");
            }
        }
    }
}
