//! Faces of a picture.

use std::path::Path;

use shiren_contract::raster::Rgb8;

use crate::centerface::Maps;
use crate::duplicates;
use crate::error::ModelError;
use crate::geometry::Face;
use crate::manifest::{Architecture, Manifest};
use crate::net_size::{MIN_NET_SIDE_PX, NetFrame};
use crate::resample::{Region, Resampler};
use crate::session::Net;
use crate::tensor::Normalisation;

/// A face longer than this on the net, in net pixels, is looked at again on a smaller one: from about
/// 500 on the network sees parts of a face only, and from 256 on its points grow unsteady
/// (docs/accuracy.md).
const MAX_FACE_NET_PX: f32 = 256.0;
/// Length that the second look gives the largest face, in net pixels.
const CLOSE_FACE_NET_PX: f32 = 112.0;
/// Side of the second look's square net, in net pixels.
const CLOSE_NET_PX: u32 = 256;
/// Shortest and longest long side of the picture on that net; the rest surrounds it.
const CLOSE_CONTENT_PX: (f32, f32) = (48.0, 192.0);
/// Long sides to try where the first look found nothing that could tell the size.
const BLIND_CONTENT_PX: [u32; 2] = [160, 96];

/// How a detector runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectorOptions {
    /// Longest side of the net in pixels, at least 64; it bounds the time a picture takes.
    pub max_net_side_px: u32,
    /// Lowest detection score of a face, 0 to 1. Measured on natural scenes with 24 faces of 40 px
    /// each (docs/accuracy.md): 0.4 misses up to 6, 0.3 at most 1; in 46 pictures 0.3 finds no face too many.
    pub min_score: f32,
    /// Threads of one run, at least 1.
    pub threads: usize,
}

impl Default for DetectorOptions {
    fn default() -> Self {
        Self {
            max_net_side_px: 1920,
            min_score: 0.3,
            threads: 1,
        }
    }
}

/// What was found in a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Without duplicates, sorted by falling score; boxes may reach beyond the picture's edges.
    pub faces: Vec<Face>,
    /// Width and height of the first look's net, in net pixels.
    pub net_size: (u32, u32),
    /// Whether the second look, for faces too large for the first, gave the large ones.
    pub close_look: bool,
}

/// CenterFace, with its buffers kept from picture to picture.
pub struct FaceDetector {
    net: Net,
    options: DetectorOptions,
    normalisation: Normalisation,
    resampler: Resampler,
    scaled: Vec<u8>,
    planes: Vec<f32>,
}

impl FaceDetector {
    /// Loads model `name` of the manifest from `home`, the cache folder, and runs it once on black.
    ///
    /// # Errors
    /// A file that is missing or has another hash, a model that is no detector or has other shapes
    /// than the manifest says, a runtime that cannot be loaded.
    pub fn open(
        manifest: &Manifest,
        home: &Path,
        name: &str,
        options: DetectorOptions,
    ) -> Result<Self, ModelError> {
        let entry = manifest.model(name)?;
        if entry.architecture != Architecture::Centerface {
            return Err(ModelError::WrongShape {
                model: name.into(),
                what: "is no detector".into(),
            });
        }
        let net = Net::open(manifest, home, name, options.threads)?;
        let mut detector = Self {
            net,
            options,
            normalisation: Normalisation::new(&entry.input),
            resampler: Resampler::default(),
            scaled: Vec::new(),
            planes: Vec::new(),
        };
        let side = MIN_NET_SIDE_PX;
        if let Some(black) = Rgb8::new(side, side, vec![0; (side * side * 3) as usize]) {
            detector.detect(&black, 20)?;
        }
        Ok(detector)
    }

    /// Name of the model in the manifest.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.net.name
    }

    /// sha256 of the network's file, hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.net.sha256
    }

    /// All faces of `picture` that are at least about `min_face_px` (at least 1) pixels wide; smaller
    /// ones may be among them. Where nothing is found, or a face is too large for the net, the picture
    /// is looked at again, shrunk and with a margin. The same picture gives the same bits on one
    /// machine.
    ///
    /// # Errors
    /// [`ModelError::Failed`] or [`ModelError::WrongShape`] when the network cannot be run.
    pub fn detect(&mut self, picture: &Rgb8, min_face_px: u32) -> Result<Detection, ModelError> {
        let (width, height) = (picture.width(), picture.height());
        let frame =
            NetFrame::for_smallest_face(width, height, min_face_px, self.options.max_net_side_px);
        let faces = self.look(picture, &frame)?;
        let largest = faces
            .iter()
            .map(|face| frame.net_length(picture, face))
            .fold(0.0, f32::max);
        if faces.is_empty() {
            for content_px in BLIND_CONTENT_PX {
                let close = self.look(
                    picture,
                    &NetFrame::surrounded(width, height, content_px, CLOSE_NET_PX),
                )?;
                if !close.is_empty() {
                    return Ok(Detection {
                        faces: close,
                        net_size: frame.net,
                        close_look: true,
                    });
                }
            }
        } else if largest > MAX_FACE_NET_PX {
            let content_px =
                frame.content.0.max(frame.content.1) as f32 * CLOSE_FACE_NET_PX / largest;
            let content_px = content_px.clamp(CLOSE_CONTENT_PX.0, CLOSE_CONTENT_PX.1) as u32;
            let close = self.look(
                picture,
                &NetFrame::surrounded(width, height, content_px, CLOSE_NET_PX),
            )?;
            let length = |face: &Face| frame.net_length(picture, face);
            if let Some(faces) = merge(&faces, close, length) {
                return Ok(Detection {
                    faces,
                    net_size: frame.net,
                    close_look: true,
                });
            }
        }
        Ok(Detection {
            faces,
            net_size: frame.net,
            close_look: false,
        })
    }

    fn look(&mut self, picture: &Rgb8, frame: &NetFrame) -> Result<Vec<Face>, ModelError> {
        self.resampler
            .resize(
                picture,
                Region::whole(picture),
                frame.content,
                &mut self.scaled,
            )
            .map_err(|what| ModelError::Failed {
                model: self.net.name.clone(),
                what,
            })?;
        self.normalisation.fill(
            &self.scaled,
            frame.content,
            frame.offset,
            frame.net,
            &mut self.planes,
        );
        let (model, min_score) = (self.net.name.clone(), self.options.min_score);
        self.net.run(&self.planes, frame.net, |outputs| {
            let found = Maps::new(&model, frame, outputs)?.faces(min_score, frame, picture);
            Ok(duplicates::remove(found))
        })
    }
}

/// Large faces as the second look saw them, the others as the first did; `None` when the second saw
/// no large one. `length` is a face's length on the first net.
fn merge(first: &[Face], close: Vec<Face>, length: impl Fn(&Face) -> f32) -> Option<Vec<Face>> {
    let mut merged: Vec<Face> = close
        .into_iter()
        .filter(|face| length(face) > MAX_FACE_NET_PX / 2.0)
        .collect();
    if merged.is_empty() {
        return None;
    }
    let large = merged.len();
    for face in first.iter().filter(|face| length(face) <= MAX_FACE_NET_PX) {
        if !merged[..large]
            .iter()
            .any(|other| duplicates::is_duplicate(&face.bbox, &other.bbox))
        {
            merged.push(*face);
        }
    }
    merged.sort_by(|a, b| b.score.total_cmp(&a.score));
    Some(merged)
}
