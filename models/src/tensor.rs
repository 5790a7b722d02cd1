//! Packed bytes to planar floats, as the manifest's input contract says.

use crate::manifest::{Colour, Input, Layout};

/// Parts of red, green and blue in the luma of ITU-R BT.601.
pub const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// What is fed for a byte `x` of plane `p`: `(x - mean[p]) * scale`.
#[derive(Debug, Clone, Copy)]
pub struct Normalisation {
    mean: [f32; 3],
    scale: f32,
    colour: Colour,
    layout: Layout,
    /// Plane of R, G and B.
    plane: [usize; 3],
}

impl Normalisation {
    /// As a model of the manifest wants it.
    #[must_use]
    pub fn new(input: &Input) -> Self {
        let plane = match input.colour {
            Colour::Rgb => [0, 1, 2],
            Colour::Bgr => [2, 1, 0],
            Colour::Grey => [0, 0, 0],
        };
        Self {
            mean: input.mean,
            scale: input.scale,
            colour: input.colour,
            layout: input.layout,
            plane,
        }
    }

    /// Across crates too: it runs once a value.
    #[inline]
    fn apply(&self, plane: usize, value: f32) -> f32 {
        (value - self.mean[plane]) * self.scale
    }

    /// Packed RGB floats (0 to 255) in the model's layout and colours in `out`, which is resized to fit.
    pub fn values(&self, pixels: &[f32], out: &mut Vec<f32>) {
        match (self.colour, self.layout) {
            (Colour::Grey, _) => {
                out.clear();
                out.extend(pixels.chunks_exact(3).map(|rgb| {
                    let luma = rgb.iter().zip(LUMA).map(|(value, part)| value * part).sum();
                    self.apply(0, luma)
                }));
            }
            (_, Layout::Nchw) => self.planes(pixels, out),
            (_, Layout::Nhwc) => {
                out.resize(pixels.len(), 0.0);
                for (into, rgb) in out.chunks_exact_mut(3).zip(pixels.chunks_exact(3)) {
                    for (value, &plane) in rgb.iter().zip(&self.plane) {
                        into[plane] = self.apply(plane, *value);
                    }
                }
            }
        }
    }

    /// Packed RGB floats (0 to 255) as planes in `out`, which is resized to fit.
    pub fn planes(&self, pixels: &[f32], out: &mut Vec<f32>) {
        let plane_len = pixels.len() / 3;
        out.resize(plane_len * 3, 0.0);
        for (channel, &plane) in self.plane.iter().enumerate() {
            for (value, pixel) in out[plane * plane_len..][..plane_len]
                .iter_mut()
                .zip(pixels.chunks_exact(3))
            {
                *value = self.apply(plane, pixel[channel]);
            }
        }
    }

    /// Puts packed RGB `content` (0 to 255) at `offset` into the planes `out` of a black `net`; all sizes are
    /// width, height in pixels. `out` is resized to fit and wholly overwritten.
    ///
    /// # Panics
    /// The content reaches out of the net to the right, or has no width.
    pub fn fill<T: Copy + Into<f32>>(
        &self,
        content: &[T],
        (width, height): (u32, u32),
        (left, top): (u32, u32),
        (net_width, net_height): (u32, u32),
        out: &mut Vec<f32>,
    ) {
        let (width, net_width) = (width as usize, net_width as usize);
        let plane_len = net_width * net_height as usize;
        out.resize(plane_len * 3, 0.0);
        if (width, height) != (net_width, net_height) {
            for plane in 0..3 {
                out[plane * plane_len..][..plane_len].fill(self.apply(plane, 0.0));
            }
        }
        for (channel, &index) in self.plane.iter().enumerate() {
            let plane = &mut out[index * plane_len..][..plane_len];
            let rows = plane.chunks_exact_mut(net_width).skip(top as usize);
            for (row, source) in rows.zip(content.chunks_exact(width * 3)) {
                let row = &mut row[left as usize..][..width];
                for (value, pixel) in row.iter_mut().zip(source.chunks_exact(3)) {
                    *value = self.apply(index, pixel[channel].into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalisation(colour: Colour) -> Normalisation {
        in_layout(colour, Layout::Nchw)
    }

    fn in_layout(colour: Colour, layout: Layout) -> Normalisation {
        Normalisation::new(&Input {
            name: String::new(),
            layout,
            colour,
            size: [0, 0],
            mean: [1.0, 2.0, 3.0],
            scale: 0.5,
        })
    }

    #[test]
    fn a_pixel_lands_in_its_planes_and_the_rest_is_black() {
        let mut out = vec![9.0; 40];
        normalisation(Colour::Rgb).fill(&[11_u8, 22, 33], (1, 1), (1, 0), (2, 2), &mut out);
        assert_eq!(
            out,
            [
                -0.5, 5.0, -0.5, -0.5, -1.0, 10.0, -1.0, -1.0, -1.5, 15.0, -1.5, -1.5
            ]
        );
    }

    #[test]
    fn blue_first_when_the_manifest_says_so() {
        let mut out = Vec::new();
        normalisation(Colour::Bgr).fill(&[11_u8, 22, 33], (1, 1), (0, 0), (1, 1), &mut out);
        assert_eq!(out, [16.0, 10.0, 4.0]);
        normalisation(Colour::Bgr).planes(&[11.0, 22.0, 33.0], &mut out);
        assert_eq!(out, [16.0, 10.0, 4.0]);
    }

    #[test]
    fn planes_come_last_when_the_manifest_says_so() {
        let pixels = [11.0, 22.0, 33.0, 1.0, 2.0, 3.0];
        let mut out = Vec::new();
        in_layout(Colour::Rgb, Layout::Nhwc).values(&pixels, &mut out);
        assert_eq!(out, [5.0, 10.0, 15.0, 0.0, 0.0, 0.0]);
        in_layout(Colour::Bgr, Layout::Nhwc).values(&pixels, &mut out);
        assert_eq!(out, [16.0, 10.0, 4.0, 1.0, 0.0, -1.0]);
        normalisation(Colour::Rgb).values(&pixels, &mut out);
        assert_eq!(out, [5.0, 0.0, 10.0, 0.0, 15.0, 0.0]);
    }

    #[test]
    fn grey_is_one_plane_of_luma() {
        let mut out = Vec::new();
        in_layout(Colour::Grey, Layout::Nchw).values(&[255.0, 0.0, 0.0, 9.0, 9.0, 9.0], &mut out);
        assert_eq!(out.len(), 2);
        assert!((out[0] - (0.299 * 255.0 - 1.0) * 0.5).abs() < 1e-4);
        assert!((out[1] - 4.0).abs() < 1e-4);
    }
}
