//! How much of a picture is decoded, and how large a net looks at it: no more than the answer needs.

use shiren_contract::stage::Rejection;
use shiren_contract::still::{Decoded, Pixels, StillLimits};
use shiren_models::{BoundingBox, Face, FaceDetector, ModelError};

/// Longer side of the net of the first look for a subject, net pixels.
const GLANCE_NET_PX: u32 = 192;
/// Longer side that a picture is decoded at for it, at least, pixels.
const GLANCE_PICTURE_PX: u32 = 1000;
/// From this width on the first look shows a face, or doubts; net pixels (docs/decisions/0010).
const GLANCE_FACE_NET_PX: f32 = 12.0;
/// From this score on it doubts.
const DOUBT_SCORE: f32 = 0.15;
/// Bystanders are looked for from this share of the largest face's width on.
const BYSTANDER_SHARE: f32 = 0.3;
/// Prominence that a face may lose by its place (a half, see [`crate::subject`]) and by its shape.
const PROMINENCE_MAX_LOSS: f32 = 3.0;

/// A picture's faces, in pixels of the whole picture.
pub(crate) struct Found {
    /// The picture, perhaps reduced.
    pub picture: Decoded,
    /// Without duplicates, the best first, at most `max_faces`.
    pub faces: Vec<Face>,
    /// Faces before that limit.
    pub faces_found: usize,
}

/// Decoder and detector, and what bounds them.
pub(crate) struct Eye {
    pub pixels: Box<dyn Pixels>,
    pub detector: FaceDetector,
    pub limits: StillLimits,
    pub max_faces: usize,
}

impl Eye {
    /// All faces of at least about `min_face_px` pixels.
    pub fn all(&mut self, bytes: &[u8], min_face_px: u32) -> Result<Found, Rejection> {
        let net_px = self.detector.net_long_px(self.long(bytes)?, min_face_px);
        let picture = self.decode(bytes, net_px.max(GLANCE_PICTURE_PX))?;
        self.search(picture, net_px)
    }

    /// The faces among which the subject is chosen: all of at least about `min_face_px` pixels that are at
    /// least three tenths as wide as the largest, or could come within `min_margin` of the most prominent one
    /// (see [`crate::subject::choose`]).
    pub fn prominent(
        &mut self,
        bytes: &[u8],
        min_face_px: u32,
        min_margin: f32,
    ) -> Result<Found, Rejection> {
        let long = self.long(bytes)?;
        let mut net_px = self.detector.net_long_px(long, min_face_px);
        let mut picture = self.decode(bytes, GLANCE_PICTURE_PX)?;
        if net_px > GLANCE_NET_PX {
            let glance = self
                .detector
                .glance(&picture.pixels, GLANCE_NET_PX, DOUBT_SCORE)
                .map_err(failed)?;
            let found = self.found(picture, glance.faces);
            let widest = found.faces.iter().map(|face| face.bbox.width());
            let widest = widest.fold(0.0, f32::max);
            let picture_px = long as f32 / GLANCE_NET_PX as f32;
            let share = BYSTANDER_SHARE.min((PROMINENCE_MAX_LOSS * min_margin).sqrt().recip());
            let smallest = (widest * share).max(min_face_px as f32);
            let seen = widest > 0.0 && smallest >= GLANCE_FACE_NET_PX * picture_px;
            if seen && !glance.doubtful {
                return Ok(found);
            }
            net_px = self.detector.net_long_px(long, smallest as u32);
            picture = found.picture;
        }
        if picture.pixels.width().max(picture.pixels.height()) < net_px {
            picture = self.decode(bytes, net_px)?;
        }
        self.search(picture, net_px)
    }

    /// Makes sure that the picture is at least `long_px` on its longer side, or whole.
    pub fn sharpen(
        &mut self,
        found: &mut Found,
        bytes: &[u8],
        long_px: u32,
    ) -> Result<(), Rejection> {
        let pixels = &found.picture.pixels;
        let whole = pixels.width() == found.picture.width;
        if !whole && pixels.width().max(pixels.height()) < long_px {
            found.picture = self.decode(bytes, long_px)?;
        }
        Ok(())
    }

    fn long(&self, bytes: &[u8]) -> Result<u32, Rejection> {
        let header = self.pixels.header(bytes, &self.limits);
        let header = header.map_err(|error| Rejection::new(error.code, error.detail))?;
        Ok(header.width.max(header.height))
    }

    fn decode(&mut self, bytes: &[u8], long_px: u32) -> Result<Decoded, Rejection> {
        self.pixels
            .decode_reduced(bytes, &self.limits, long_px)
            .map_err(|error| Rejection::new(error.code, error.detail))
    }

    fn search(&mut self, picture: Decoded, net_px: u32) -> Result<Found, Rejection> {
        let detection = self.detector.detect_at(&picture.pixels, net_px);
        Ok(self.found(picture, detection.map_err(failed)?.faces))
    }

    fn found(&self, picture: Decoded, mut faces: Vec<Face>) -> Found {
        let faces_found = faces.len();
        faces.truncate(self.max_faces);
        let factor = picture.factor();
        if factor != [1.0, 1.0] {
            for face in &mut faces {
                *face = scaled(face, factor);
            }
        }
        Found {
            picture,
            faces,
            faces_found,
        }
    }
}

/// The face with each position times `factor`.
pub(crate) fn scaled(face: &Face, [x, y]: [f32; 2]) -> Face {
    let b = face.bbox;
    Face {
        bbox: BoundingBox {
            x1: b.x1 * x,
            y1: b.y1 * y,
            x2: b.x2 * x,
            y2: b.y2 * y,
        },
        landmarks: face.landmarks.map(|[px, py]| [px * x, py * y]),
        score: face.score,
    }
}

pub(crate) fn failed(error: ModelError) -> Rejection {
    Rejection::new(error.code(), error.to_string())
}
