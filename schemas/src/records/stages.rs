//! What stages pass on.

use serde::{Deserialize, Serialize};

use super::findings::{Liveness, Quality};
use super::identity::IdentityClaim;
use super::library::{LibraryCommand, SearchQuestion};
use super::request::{Envelope, PictureRole, ReferenceKind, Sealed};
use super::verdict::{Check, ModelRef};

/// A picture as admitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdmittedPicture {
    /// Role.
    pub role: PictureRole,
    /// Reference kind.
    pub reference_kind: Option<ReferenceKind>,
    /// Bytes.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// Holds bytes instead, once it was written to a log.
    pub sealed: Option<Sealed>,
}

/// Input of decode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdmittedCase {
    /// Envelope.
    pub envelope: Envelope,
    /// Pictures.
    pub pictures: Vec<AdmittedPicture>,
    /// Kind search.
    pub search: Option<SearchQuestion>,
    /// Kinds enrol and unenrol.
    pub command: Option<LibraryCommand>,
    /// Kind verify.
    pub claim: Option<IdentityClaim>,
}

wire!(
    AdmittedCase,
    "decode",
    ["AdmittedCase/1", "AdmittedCase/2", "AdmittedCase/3"]
);

text_enum! {
    /// File format, found from the bytes.
    StillFormat {
        /// `jpeg`
        Jpeg => "jpeg",
        /// `png`
        Png => "png",
        /// `webp`
        Webp => "webp",
        /// `bmp`
        Bmp => "bmp",
    }
}
/// A picture whose header was checked; its pixels are not made yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StillPicture {
    /// Role.
    pub role: PictureRole,
    /// Reference kind.
    pub reference_kind: Option<ReferenceKind>,
    /// Format.
    pub format: StillFormat,
    /// Stored width, before orientation.
    pub width: i32,
    /// Height.
    pub height: i32,
    /// EXIF orientation 1..8.
    pub orientation: i32,
    /// Bytes.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// Holds bytes instead, once it was written to a log.
    pub sealed: Option<Sealed>,
}

/// Input of detect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StillCase {
    /// Envelope.
    pub envelope: Envelope,
    /// Pictures.
    pub pictures: Vec<StillPicture>,
    /// Kind search.
    pub search: Option<SearchQuestion>,
    /// Kinds enrol and unenrol.
    pub command: Option<LibraryCommand>,
    /// Kind verify.
    pub claim: Option<IdentityClaim>,
}

wire!(
    StillCase,
    "detect",
    ["StillCase/1", "StillCase/2", "StillCase/3"]
);

/// Corners in pixels of the upright picture; may reach over its border.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundingBox {
    /// X1.
    pub x1: f32,
    /// Y1.
    pub y1: f32,
    /// X2.
    pub x2: f32,
    /// Y2.
    pub y2: f32,
}

/// Pixel position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Landmark {
    /// X.
    pub x: f32,
    /// Y.
    pub y: f32,
}

/// Context of a face: raw 8-bit RGB, row-major. A picture position p lies at (p - origin) * scale, in x and y.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crop {
    /// Width.
    pub width: i32,
    /// Height.
    pub height: i32,
    /// Origin x.
    pub origin_x: f32,
    /// Origin y.
    pub origin_y: f32,
    /// Crop pixels a picture pixel in x.
    pub scale_x: f32,
    /// Crop pixels a picture pixel in y.
    pub scale_y: f32,
    /// Rgb.
    #[serde(with = "serde_bytes")]
    pub rgb: Vec<u8>,
    /// Holds rgb instead, once it was written to a log.
    pub sealed: Option<Sealed>,
}

/// A small picture of the face with surroundings of its own, for a model that asks for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaceView {
    /// Side in sides of the face's box, less where the picture ends.
    pub context: f32,
    /// Pixels.
    pub pixels: Crop,
}

/// A detected face.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Face {
    /// Bounding box.
    pub bounding_box: BoundingBox,
    /// Left eye, right eye (image side), nose, left and right mouth corner; pixels of the upright picture.
    pub landmarks: Vec<Landmark>,
    /// Detection score 0..1.
    pub score: f32,
    /// Only where a later stage needs it.
    pub crop: Option<Crop>,
    /// Of the subject only.
    pub views: Vec<FaceView>,
}

/// A picture's faces, best first, and which of them is the subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FacedPicture {
    /// Role.
    pub role: PictureRole,
    /// Reference kind.
    pub reference_kind: Option<ReferenceKind>,
    /// Upright width.
    pub width: i32,
    /// Upright height.
    pub height: i32,
    /// Faces.
    pub faces: Vec<Face>,
    /// Faces found; more than faces holds when over the limit.
    pub faces_found: i32,
    /// Index into faces.
    pub subject: Option<i32>,
    /// Rule by which the subject was chosen.
    pub subject_rule: Option<String>,
    /// Of the subject.
    pub quality: Option<Quality>,
    /// Of the subject.
    pub liveness: Option<Liveness>,
}

/// Input of every stage between detect and embed, embed included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaceCase {
    /// Envelope.
    pub envelope: Envelope,
    /// Pictures.
    pub pictures: Vec<FacedPicture>,
    /// Checks.
    pub checks: Vec<Check>,
    /// Reason codes.
    pub reason_codes: Vec<String>,
    /// Models.
    pub models: Vec<ModelRef>,
    /// Kind search.
    pub search: Option<SearchQuestion>,
    /// Kinds enrol and unenrol.
    pub command: Option<LibraryCommand>,
    /// Kind verify.
    pub claim: Option<IdentityClaim>,
}

wire!(
    FaceCase,
    "embed",
    ["FaceCase/1", "FaceCase/2", "FaceCase/3"]
);

/// A face template (feature vector).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// Model.
    pub model: String,
    /// Model sha256.
    pub model_sha256: String,
    /// Values.
    pub values: Vec<f32>,
    /// Holds values instead, once it was written to a log.
    pub sealed: Option<Sealed>,
}

/// A picture's faces and its subject's template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemplatedPicture {
    /// Picture.
    pub picture: FacedPicture,
    /// Template.
    pub template: Template,
}

/// Input of match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemplateCase {
    /// Envelope.
    pub envelope: Envelope,
    /// Pictures.
    pub pictures: Vec<TemplatedPicture>,
    /// Checks.
    pub checks: Vec<Check>,
    /// Reason codes.
    pub reason_codes: Vec<String>,
    /// Models.
    pub models: Vec<ModelRef>,
    /// Kind search.
    pub search: Option<SearchQuestion>,
    /// Kinds enrol and unenrol.
    pub command: Option<LibraryCommand>,
    /// Kind verify.
    pub claim: Option<IdentityClaim>,
}

impl TemplateCase {
    /// The picture of this role.
    #[must_use]
    pub fn of_role(&self, role: PictureRole) -> Option<&TemplatedPicture> {
        self.pictures.iter().find(|p| p.picture.role == role)
    }
}

wire!(
    TemplateCase,
    "match",
    ["TemplateCase/1", "TemplateCase/2", "TemplateCase/3"]
);
