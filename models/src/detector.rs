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
use crate::view::{self, Content, FloatRaster, Seen, View};

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

/// What one look saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Glance {
    /// As in [`Detection::faces`].
    pub faces: Vec<Face>,
    /// Whether there may be other faces.
    pub doubtful: bool,
}

/// CenterFace, with its buffers kept from picture to picture.
pub struct FaceDetector {
    net: Net,
    options: DetectorOptions,
    normalisation: Normalisation,
    resampler: Resampler,
    scaled: Vec<u8>,
    view: Vec<f32>,
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
            view: Vec::new(),
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
        self.detect_on(picture, &frame)
    }

    /// One look on a net whose longer side has at most `net_long_px` (at least 32), so that a picture costs
    /// the same however large it is. What scores from `doubt_score` on, too little for a face, and lies beside
    /// the faces is a doubt: small faces score low.
    ///
    /// # Errors
    /// As [`FaceDetector::detect`].
    pub fn glance(
        &mut self,
        picture: &Rgb8,
        net_long_px: u32,
        doubt_score: f32,
    ) -> Result<Glance, ModelError> {
        let frame = self.frame_at(picture, net_long_px);
        self.feed(picture, &frame)?;
        let min_score = self.options.min_score;
        let candidates = self.candidates(frame.net, doubt_score.min(min_score))?;
        let (sure, unsure): (Vec<Face>, Vec<Face>) = candidates
            .into_iter()
            .partition(|face| face.score >= min_score);
        let faces = duplicates::merge(&sure, min_score);
        let beside = |face: &Face| {
            let middle = face.bbox.centre();
            !faces.iter().any(|other| other.bbox.contains(middle))
        };
        Ok(Glance {
            doubtful: unsure.iter().any(beside),
            faces: in_picture(&faces, picture, &frame),
        })
    }

    /// As [`FaceDetector::detect`], on a net whose longer side has `net_long_px`.
    ///
    /// # Errors
    /// As [`FaceDetector::detect`].
    pub fn detect_at(&mut self, picture: &Rgb8, net_long_px: u32) -> Result<Detection, ModelError> {
        let frame = self.frame_at(picture, net_long_px);
        self.detect_on(picture, &frame)
    }

    fn frame_at(&self, picture: &Rgb8, net_long_px: u32) -> NetFrame {
        let max = net_long_px.min(self.options.max_net_side_px);
        NetFrame::for_smallest_face(picture.width(), picture.height(), 1, max)
    }

    /// Longer side of the net that [`FaceDetector::detect`] uses, net pixels, for a picture whose longer
    /// side has `long_px`.
    #[must_use]
    pub fn net_long_px(&self, long_px: u32, min_face_px: u32) -> u32 {
        let max = self.options.max_net_side_px;
        let (width, height) = NetFrame::for_smallest_face(long_px, 1, min_face_px, max).net;
        width.max(height)
    }

    fn detect_on(&mut self, picture: &Rgb8, frame: &NetFrame) -> Result<Detection, ModelError> {
        let faces = self.look(picture, frame)?;
        let length = |face: &Face| frame.net_length(picture, face);
        let largest = faces.iter().map(length).fold(0.0, f32::max);
        let mut close = None;
        if faces.is_empty() {
            close = self.look_blindly(picture)?;
        } else if largest > MAX_FACE_NET_PX {
            let long = frame.content.0.max(frame.content.1) as f32;
            let content_px =
                (long * CLOSE_FACE_NET_PX / largest).clamp(CLOSE_CONTENT_PX.0, CLOSE_CONTENT_PX.1);
            let large = self.look_surrounded(picture, content_px as u32)?;
            close = merge(&faces, large, length);
        }
        Ok(Detection {
            close_look: close.is_some(),
            faces: close.unwrap_or(faces),
            net_size: frame.net,
        })
    }

    fn look_blindly(&mut self, picture: &Rgb8) -> Result<Option<Vec<Face>>, ModelError> {
        for content_px in BLIND_CONTENT_PX {
            let faces = self.look_surrounded(picture, content_px)?;
            if !faces.is_empty() {
                return Ok(Some(faces));
            }
        }
        Ok(None)
    }

    /// Looks at the picture at a longer side of `content_px` net pixels, with a margin.
    fn look_surrounded(
        &mut self,
        picture: &Rgb8,
        content_px: u32,
    ) -> Result<Vec<Face>, ModelError> {
        let (width, height) = (picture.width(), picture.height());
        let frame = NetFrame::surrounded(width, height, content_px, CLOSE_NET_PX);
        self.look(picture, &frame)
    }

    /// Faces of a view of `picture`, for each way to see it, in pixels of the view as the net sees it; those of
    /// a mirror image are mirrored back. One look each, whatever it finds.
    ///
    /// # Errors
    /// As [`FaceDetector::detect`].
    pub fn detect_in_view<const N: usize>(
        &mut self,
        picture: &FloatRaster,
        view: &View,
        ways: [Seen; N],
    ) -> Result<[Vec<Face>; N], ModelError> {
        let mut faces = [const { Vec::new() }; N];
        let Some(content) = view.content(picture) else {
            return Ok(faces);
        };
        let [x, y, width, height] = content.region;
        let region = Region {
            x,
            y,
            width,
            height,
        };
        self.resampler
            .resize_floats(picture, region, content.size, &mut self.view)
            .map_err(|what| self.failed(what))?;
        for (seen, faces) in ways.into_iter().zip(&mut faces) {
            *faces = self.detect_in_content(&content, view.side_px, seen)?;
        }
        Ok(faces)
    }

    /// Faces of the view that lies in `self.view`.
    fn detect_in_content(
        &mut self,
        content: &Content,
        side_px: u32,
        seen: Seen,
    ) -> Result<Vec<Face>, ModelError> {
        let net = (side_px, side_px);
        let (size, offset) = (content.size, content.offset);
        self.normalisation
            .fill(&self.view, size, offset, net, &mut self.planes);
        let side = side_px as usize;
        for plane in self.planes.chunks_exact_mut(side * side) {
            view::turn(plane, side, seen);
        }
        let mut found = self.run(net)?;
        if seen == Seen::Mirrored {
            for face in &mut found {
                *face = face.mirrored(side_px as f32);
            }
        }
        Ok(found)
    }

    fn look(&mut self, picture: &Rgb8, frame: &NetFrame) -> Result<Vec<Face>, ModelError> {
        self.feed(picture, frame)?;
        let found = self.run(frame.net)?;
        Ok(in_picture(&found, picture, frame))
    }

    /// Brings the picture into the net's planes.
    fn feed(&mut self, picture: &Rgb8, frame: &NetFrame) -> Result<(), ModelError> {
        let region = Region::whole(picture);
        let NetFrame {
            net,
            content,
            offset,
        } = *frame;
        self.resampler
            .resize(picture, region, content, &mut self.scaled)
            .map_err(|what| self.failed(what))?;
        self.normalisation
            .fill(&self.scaled, content, offset, net, &mut self.planes);
        Ok(())
    }

    fn failed(&self, what: String) -> ModelError {
        ModelError::Failed {
            model: self.net.name.clone(),
            what,
        }
    }

    /// Faces on the net, in net pixels, of what the planes hold.
    fn run(&mut self, net: (u32, u32)) -> Result<Vec<Face>, ModelError> {
        let min_score = self.options.min_score;
        let candidates = self.candidates(net, min_score)?;
        Ok(duplicates::merge(&candidates, min_score))
    }

    /// Each cell of the net that scores at least `min_score`, as a face in net pixels.
    fn candidates(&mut self, net: (u32, u32), min_score: f32) -> Result<Vec<Face>, ModelError> {
        let model = self.net.name.clone();
        self.net.run(&self.planes, net, |outputs| {
            Ok(Maps::new(&model, net, outputs)?.faces(min_score))
        })
    }
}

fn in_picture(faces: &[Face], picture: &Rgb8, frame: &NetFrame) -> Vec<Face> {
    let to_picture = |face: &Face| frame.face_to_picture(picture, face);
    faces.iter().map(to_picture).collect()
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
