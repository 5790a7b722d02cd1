//! libjpeg-turbo without anything around it: the floor under what a decode costs, and the pictures it is
//! measured with.

use turbojpeg::{Compressor, Decompressor, Image, PixelFormat, ScalingFactor, Subsamp};

/// A decoder whose pixels nobody reads, with its buffer kept.
#[derive(Default)]
pub struct BareDecoder {
    pixels: Vec<u8>,
}

impl BareDecoder {
    /// Decodes a JPEG whole, or reduced (to a half, a quarter, an eighth) until it has no more than
    /// `width_px` pixels across.
    ///
    /// # Errors
    /// What libjpeg-turbo says; or more than an eighth would be needed.
    pub fn decode(&mut self, jpeg: &[u8], width_px: Option<u32>) -> Result<(), String> {
        let mut decompressor = Decompressor::new().map_err(|error| error.to_string())?;
        let header = decompressor
            .read_header(jpeg)
            .map_err(|error| error.to_string())?;
        let wanted = width_px.map_or(usize::MAX, |width| width as usize);
        let scaling = [1, 2, 4, 8]
            .map(|divisor| ScalingFactor::new(1, divisor))
            .into_iter()
            .find(|scaling| scaling.scale(header.width) <= wanted)
            .ok_or("an eighth of the width is still too much")?;
        decompressor
            .set_scaling_factor(scaling)
            .map_err(|error| error.to_string())?;
        let scaled = header.scaled(scaling);
        self.pixels.resize(scaled.width * scaled.height * 3, 0);
        let image = Image {
            pixels: self.pixels.as_mut_slice(),
            width: scaled.width,
            pitch: scaled.width * 3,
            height: scaled.height,
            format: PixelFormat::RGB,
        };
        decompressor
            .decompress(jpeg, image)
            .map_err(|error| error.to_string())
    }
}

/// A JPEG of packed RGB pixels, 4:2:0, `quality` 1 to 100.
///
/// # Errors
/// What libjpeg-turbo says; fewer pixels than the sizes ask for.
pub fn encode(rgb: &[u8], width: u32, height: u32, quality: i32) -> Result<Vec<u8>, String> {
    let image = Image {
        pixels: rgb,
        width: width as usize,
        pitch: width as usize * 3,
        height: height as usize,
        format: PixelFormat::RGB,
    };
    if rgb.len() < image.pitch * image.height {
        return Err(format!("{} bytes for {width}x{height} pixels", rgb.len()));
    }
    let mut compressor = Compressor::new().map_err(|error| error.to_string())?;
    compressor
        .set_quality(quality)
        .and_then(|()| compressor.set_subsamp(Subsamp::Sub2x2))
        .and_then(|()| compressor.compress_to_vec(image))
        .map_err(|error| error.to_string())
}
