//! The subject's crop and its face in the crop's pixels.

use shiren_contract::codes;
use shiren_contract::raster::Rgb8;
use shiren_contract::stage::Rejection;
use shiren_models::{BoundingBox, Face};
use shiren_schemas::records::FacedPicture;

/// The subject of a picture.
pub(crate) struct Subject {
    /// The crop.
    pub raster: Rgb8,
    /// Crop pixels a picture pixel in x and y.
    pub scale: [f64; 2],
    /// In the crop's pixels.
    pub face: Face,
    /// In the picture's pixels.
    pub in_picture: Face,
}

impl Subject {
    /// Takes it out of the record.
    pub fn of(picture: &FacedPicture) -> Result<Self, Rejection> {
        let bad = |what: &str| Rejection::new(codes::STAGE_FAILED, what);
        let face = picture
            .subject
            .and_then(|index| picture.faces.get(usize::try_from(index).ok()?));
        let (face, crop) = face
            .and_then(|face| face.crop.as_ref().map(|crop| (face, crop)))
            .ok_or_else(|| bad("a picture without a subject's crop"))?;
        let side = |px: i32| u32::try_from(px).unwrap_or(0);
        let raster = Rgb8::new(side(crop.width), side(crop.height), crop.rgb.clone())
            .ok_or_else(|| bad("a crop whose bytes do not fit its size"))?;
        let b = &face.bounding_box;
        let mut landmarks = [[0.0; 2]; 5];
        for (into, from) in landmarks.iter_mut().zip(&face.landmarks) {
            *into = [from.x, from.y];
        }
        let in_picture = Face {
            bbox: BoundingBox {
                x1: b.x1,
                y1: b.y1,
                x2: b.x2,
                y2: b.y2,
            },
            landmarks,
            score: face.score,
        };
        let to_crop = |[x, y]: [f32; 2]| {
            [
                (x - crop.origin_x) * crop.scale_x,
                (y - crop.origin_y) * crop.scale_y,
            ]
        };
        let ([x1, y1], [x2, y2]) = (to_crop([b.x1, b.y1]), to_crop([b.x2, b.y2]));
        let face = Face {
            bbox: BoundingBox { x1, y1, x2, y2 },
            landmarks: landmarks.map(to_crop),
            score: face.score,
        };
        Ok(Self {
            raster,
            scale: [crop.scale_x, crop.scale_y].map(f64::from),
            face,
            in_picture,
        })
    }

    /// Distance of the eyes, pixels of the picture.
    pub fn inter_eye_px(&self) -> f64 {
        let [left, right, ..] = self.in_picture.landmarks;
        f64::from(right[0] - left[0]).hypot(f64::from(right[1] - left[1]))
    }
}
