//! Pictures judged for presentation attacks by the chain's own stages: what `bench pad` is made of.

use indicatif::{ProgressBar, ProgressStyle};
use shiren_contract::raster::Rgb8;
use shiren_contract::still::{Pixels, StillLimits};
use shiren_detect::Detect;
use shiren_liveness::Liveness;
use shiren_models::face_view::face_view;
use shiren_models::liveness::{Measured, ViewSize};
use shiren_models::{BoundingBox, Face as Found, crop};
use shiren_schemas::records::{
    BoundingBox as Box_, CheckState, Crop, Face, FaceView, FacedPicture, PictureRole,
};
use shiren_stills::StillDecoder;

use crate::site::Site;
use crate::stages;
use crate::templates::still_picture;

/// The stages that a picture goes through, each as the chain builds it.
pub(crate) struct Judge {
    decoder: StillDecoder,
    limits: StillLimits,
    detect: Detect,
    liveness: Liveness,
    min_face_px: u32,
    context: f32,
    max_side_px: u32,
    views: Vec<ViewSize>,
}

/// What came of one picture.
pub(crate) struct Judged {
    pub state: CheckState,
    pub score: Option<f64>,
    pub measured: Vec<Measured>,
}

impl Judged {
    /// Column of a net or cue in a CSV.
    pub fn column(measured: &Measured) -> String {
        if measured.sha256.is_empty() {
            measured.name.clone()
        } else {
            format!("net:{}:{}", measured.name, measured.sha256)
        }
    }
}

/// A box that lies a little elsewhere: shares of its side, and a factor.
#[derive(Clone, Copy)]
pub(crate) struct Jitter {
    x: f32,
    y: f32,
    scale: f32,
}

impl Jitter {
    /// The `n`th of a fixed sequence, each part even within `share` to both sides.
    pub fn nth(n: u64, share: f32) -> Self {
        // Steele, Lea and Flood's SplitMix64.
        let even = |k: u64| {
            let mut z = (n * 3 + k + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 40) as f32 / (1_u64 << 24) as f32 * 2.0 - 1.0
        };
        Self {
            x: even(0) * share,
            y: even(1) * share,
            scale: 1.0 + even(2) * share,
        }
    }

    fn apply(self, b: &BoundingBox) -> BoundingBox {
        let [x, y] = b.centre();
        let (x, y) = (x + self.x * b.width(), y + self.y * b.height());
        let (w, h) = (b.width() * self.scale / 2.0, b.height() * self.scale / 2.0);
        BoundingBox {
            x1: x - w,
            y1: y - h,
            x2: x + w,
            y2: y + h,
        }
    }
}

pub(crate) fn progress(pictures: usize) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} pictures, {eta} to go")?;
    Ok(ProgressBar::new(pictures as u64).with_style(style))
}

impl Judge {
    pub fn new(site: &Site) -> anyhow::Result<Self> {
        let build = |error: shiren_runtime::BuildError| anyhow::anyhow!("{error}");
        let liveness = stages::build_liveness(site).map_err(build)?;
        let manifest = site.manifest()?;
        let profile = manifest.profile(&site.topology.models.profile)?;
        Ok(Self {
            decoder: StillDecoder::new(),
            limits: site.still_limits(),
            detect: stages::build_detect(site).map_err(build)?,
            views: shiren_models::liveness::views(&manifest, &profile.liveness)?,
            liveness,
            min_face_px: site
                .topology
                .scenes
                .get("default")
                .map_or(40, |scene| scene.min_face_px),
            context: site.topology.detect.crop_context as f32,
            max_side_px: site.topology.detect.crop_max_side_px,
        })
    }

    /// Name of the table that judges; `None`: nothing is scored.
    pub fn table(&self) -> Option<&str> {
        self.liveness
            .passive()
            .fusion()
            .map(|table| table.name.as_str())
    }

    /// The picture as it is, and with its box moved; or the code for which it cannot be judged.
    pub fn judge(
        &mut self,
        bytes: Vec<u8>,
        moved: Option<Jitter>,
    ) -> Result<(Judged, Option<Judged>), String> {
        let limits = &self.limits;
        let header = self
            .decoder
            .header(&bytes, limits)
            .map_err(|e| e.code.id.to_owned())?;
        let pixels = self
            .decoder
            .decode(&bytes, limits)
            .map_err(|e| e.code.id.to_owned())?;
        let still = still_picture(PictureRole::Probe, None, &header, bytes);
        let found = self.detect.subject_picture(&still, self.min_face_px);
        let picture = found.map_err(|refusal| refusal.rejection.code.id.to_owned())?;
        let face = subject(&picture).ok_or("no_face")?;
        let plain = self.judge_face(&picture, &pixels, face)?;
        let again = match moved {
            Some(jitter) => Some(self.judge_face(&picture, &pixels, jitter.apply(&face))?),
            None => None,
        };
        Ok((plain, again))
    }

    /// The subject of `picture` with another box: crop and views are made anew from all pixels.
    fn judge_face(
        &mut self,
        picture: &FacedPicture,
        pixels: &Rgb8,
        face: BoundingBox,
    ) -> Result<Judged, String> {
        let mut picture = picture.clone();
        let index = picture
            .subject
            .and_then(|index| usize::try_from(index).ok());
        let subject = index
            .and_then(|index| picture.faces.get_mut(index))
            .ok_or("no_face")?;
        self.frame(subject, pixels, face).ok_or("face_too_close")?;
        let code = |rejection: shiren_contract::stage::Rejection| rejection.code.id.to_owned();
        let measured = self.liveness.measure(&picture).map_err(code)?;
        let finding = self.liveness.judge(&picture).map_err(code)?;
        Ok(Judged {
            state: finding.state,
            score: finding.liveness.and_then(|liveness| liveness.score),
            measured,
        })
    }

    fn frame(&self, subject: &mut Face, pixels: &Rgb8, face: BoundingBox) -> Option<()> {
        let found = Found {
            bbox: face,
            landmarks: [[0.0; 2]; 5],
            score: subject.score,
        };
        let crop = crop::context_crop(pixels, &found, self.context, self.max_side_px)?;
        let origin = [crop.transform.x as f32, crop.transform.y as f32];
        subject.crop = Some(on_the_wire(crop.pixels, origin, crop.transform.scale));
        subject.bounding_box = Box_ {
            x1: face.x1,
            y1: face.y1,
            x2: face.x2,
            y2: face.y2,
        };
        subject.views.clear();
        for size in &self.views {
            let view = face_view(pixels, &face, size.context, size.side_px)?;
            subject.views.push(FaceView {
                context: size.context,
                pixels: on_the_wire(view.pixels, view.origin, view.scale),
            });
        }
        Some(())
    }
}

fn subject(picture: &FacedPicture) -> Option<BoundingBox> {
    let face = picture.faces.get(usize::try_from(picture.subject?).ok()?)?;
    let b = &face.bounding_box;
    Some(BoundingBox {
        x1: b.x1,
        y1: b.y1,
        x2: b.x2,
        y2: b.y2,
    })
}

fn on_the_wire(pixels: Rgb8, origin: [f32; 2], scale: [f32; 2]) -> Crop {
    let side = |px: u32| i32::try_from(px).unwrap_or(i32::MAX);
    Crop {
        width: side(pixels.width()),
        height: side(pixels.height()),
        origin_x: origin[0],
        origin_y: origin[1],
        scale_x: scale[0],
        scale_y: scale[1],
        rgb: pixels.into_data(),
        sealed: None,
    }
}
