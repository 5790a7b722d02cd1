//! Pictures of a bench, made from pictures that set-up fetches by a recipe that is committed.

use std::path::Path;

use anyhow::{Context, ensure};
use image::imageops::{self, FilterType};
use image::{DynamicImage, RgbImage, metadata::Orientation};
use serde::Deserialize;
use shiren_contract::still::{Pixels, StillLimits};
use shiren_stills::{StillDecoder, bare};

/// A list of recipes: `benches/chain.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipes {
    /// The pictures.
    pub picture: Vec<Recipe>,
}

/// How a picture is made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name, for reports.
    pub name: String,
    /// Whether it is a selfie, for which the target is stricter.
    pub selfie: bool,
    /// Upright width and height, pixels.
    pub size: [u32; 2],
    /// JPEG quality, 1 to 100.
    pub quality: i32,
    /// Noise, levels either way.
    pub grain: u8,
    /// EXIF orientation, 1 to 8.
    pub orientation: u8,
    /// From back to front.
    pub layers: Vec<Layer>,
}

/// A piece of a fetched picture.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// File in the folder `pictures`.
    pub file: String,
    /// Piece of it: x, y, width, height; without it the whole.
    pub from: Option<[u32; 4]>,
    /// Place that it fills: x, y, width, height.
    pub to: [u32; 4],
}

impl Recipes {
    /// Reads a list.
    ///
    /// # Errors
    /// It cannot be read, or is no such list.
    pub fn load(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| {
            format!(
                "{} cannot be read; name another with --list",
                file.display()
            )
        })?;
        toml::from_str(&text).with_context(|| file.display().to_string())
    }
}

impl Recipe {
    /// The JPEG. `folder` holds the fetched pictures. The same bytes each time.
    ///
    /// # Errors
    /// A fetched picture is missing, or the recipe does not fit it.
    pub fn make(&self, folder: &Path) -> anyhow::Result<Vec<u8>> {
        let [width, height] = self.size;
        let mut canvas = RgbImage::new(width, height);
        for layer in &self.layers {
            let mut source = read(&folder.join(&layer.file))?;
            if let Some([x, y, w, h]) = layer.from {
                ensure!(
                    x + w <= source.width() && y + h <= source.height(),
                    "{}: {} has {}x{} pixels",
                    self.name,
                    layer.file,
                    source.width(),
                    source.height()
                );
                source = imageops::crop_imm(&source, x, y, w, h).to_image();
            }
            let [x, y, w, h] = layer.to;
            let scaled = imageops::resize(&source, w, h, FilterType::CatmullRom);
            imageops::replace(&mut canvas, &scaled, x.into(), y.into());
        }
        grain(&mut canvas, self.grain);
        let upright = DynamicImage::ImageRgb8(canvas);
        jpeg(
            &stored(upright, self.orientation)?,
            self.quality,
            self.orientation,
        )
    }
}

/// Pixels of one of our own pictures.
///
/// # Errors
/// It cannot be read or decoded.
pub fn read(file: &Path) -> anyhow::Result<RgbImage> {
    let bytes = std::fs::read(file)
        .with_context(|| format!("{}: run scripts/setup --tests", file.display()))?;
    let limits = StillLimits {
        max_bytes: bytes.len(),
        max_pixels: 50_000_000,
        max_side_px: 16_384,
        min_side_px: 1,
        decode_max_ms: 60_000,
    };
    let pixels = StillDecoder::new()
        .decode(&bytes, &limits)
        .map_err(|error| anyhow::anyhow!("{}: {}", file.display(), error.detail))?;
    let (width, height) = (pixels.width(), pixels.height());
    RgbImage::from_raw(width, height, pixels.into_data()).context("a picture without pixels")
}

fn grain(picture: &mut RgbImage, levels: u8) {
    let span = u32::from(levels) * 2 + 1;
    let mut state = 1_u32;
    for value in picture.iter_mut() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (state >> 16) % span;
        *value = (u32::from(*value) + noise)
            .saturating_sub(u32::from(levels))
            .min(255) as u8;
    }
}

/// The picture as a camera stores it that marks it with `orientation`.
fn stored(mut upright: DynamicImage, orientation: u8) -> anyhow::Result<RgbImage> {
    let back = match Orientation::from_exif(orientation).context("orientation is not 1 to 8")? {
        Orientation::Rotate90 => Orientation::Rotate270,
        Orientation::Rotate270 => Orientation::Rotate90,
        other => other,
    };
    upright.apply_orientation(back);
    Ok(upright.into_rgb8())
}

/// The picture as a JPEG without metadata; `quality` 1 to 100.
///
/// # Errors
/// The encoder refuses it.
pub fn encode(picture: &RgbImage, quality: i32) -> anyhow::Result<Vec<u8>> {
    let (width, height) = (picture.width(), picture.height());
    bare::encode(picture.as_raw(), width, height, quality)
        .map_err(|error| anyhow::anyhow!("libjpeg-turbo: {error}"))
}

fn jpeg(picture: &RgbImage, quality: i32, orientation: u8) -> anyhow::Result<Vec<u8>> {
    let plain = encode(picture, quality)?;
    // APP1 with one directory of one entry, behind the start marker.
    let mut exif =
        b"\xFF\xE1\x00\x22Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0]);
    let (start, rest) = plain.split_at(2);
    Ok([start, &exif, rest].concat())
}
