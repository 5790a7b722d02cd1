//! The runs: every picture goes through the chain as a request would.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use image::{RgbImage, imageops};
use serde::Serialize;
use serde_json::json;
use shiren_models::accuracy::{Proportion, proportion};
use shiren_quality::Config;
use shiren_schemas::records::{
    AnswerState, BoundingBox, Decision, Quality, ReferenceKind, Request, RequestKind,
};

use super::labels::{Degradations, Labelled, Lists};
use super::made::{self, Degradation};
use super::non_faces;
use crate::bench::pictures;
use crate::bench::ranking::{self, Judged};
use crate::one_shot::OneShot;
use crate::requests;
use crate::site::Site;
use crate::stages;

/// An age counts as right within so many years of the labelled range.
const AGE_TOLERANCE_YEARS: f64 = 5.0;

/// Right answers of those given, and how often none was given.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Count {
    /// Right ones.
    pub right: u64,
    /// Answered.
    pub n: u64,
    /// Abstained.
    pub abstained: u64,
    /// Share of right ones with its 95 % Wilson interval.
    pub share: Option<Proportion>,
    /// What was wrong.
    pub wrong: Vec<String>,
}

impl Count {
    fn add(&mut self, right: bool, what: impl FnOnce() -> String) {
        self.n += 1;
        if right {
            self.right += 1;
        } else {
            self.wrong.push(what());
        }
        self.share = proportion(self.right, self.n);
    }
}

/// What the chain said of a picture.
enum Seen {
    Face(Box<Quality>),
    Refused(String),
}

/// The chain and the lists.
pub struct Bench {
    chain: OneShot,
    lists: Lists,
    limits: Config,
}

impl Bench {
    /// Builds the chain.
    ///
    /// # Errors
    /// A stage cannot be built, or a list cannot be read.
    pub fn open(site: &Arc<Site>) -> anyhow::Result<Self> {
        Ok(Self {
            chain: OneShot::open(site)?,
            lists: Lists::load(&site.root, &site.home)?,
            limits: stages::quality_config(&site.topology.quality),
        })
    }

    fn attributes(&mut self, bytes: Vec<u8>) -> anyhow::Result<Seen> {
        let mut request = Request::new("bench", RequestKind::Attributes);
        request.probe = Some(requests::inline(bytes, None));
        let answer = self.chain.ask(&request)?;
        let verdict = answer.verdict.canonical;
        if verdict.decision == Decision::Error {
            return Ok(Seen::Refused(verdict.reason_codes.join(", ")));
        }
        let results = answer.results.context("no results")?;
        let found = results
            .attributes
            .into_iter()
            .next()
            .context("no attributes")?;
        Ok(Seen::Face(Box::new(found.quality)))
    }

    /// Boxes of the faces, and how many were found.
    fn faces(&mut self, bytes: Vec<u8>) -> anyhow::Result<Vec<BoundingBox>> {
        let mut request = Request::new("bench", RequestKind::Detect);
        request.probe = Some(requests::inline(bytes, None));
        let results = self.chain.ask(&request)?.results.context("no results")?;
        let faces = results
            .detections
            .into_iter()
            .flat_map(|picture| picture.faces);
        Ok(faces.map(|face| face.bounding_box).collect())
    }

    fn pixels(&self, name: &str) -> anyhow::Result<RgbImage> {
        pictures::read(&self.lists.folder.join(name))
    }

    /// The portraits' heads at a face width.
    fn heads(&mut self, face_px: f32) -> anyhow::Result<BTreeMap<String, RgbImage>> {
        let names: Vec<String> = self.lists.portraits().map(|p| p.name.clone()).collect();
        let mut heads = BTreeMap::new();
        for name in names {
            let bytes = self.lists.file(&name)?;
            if let [face] = self.faces(bytes)?.as_slice() {
                heads.insert(
                    name.clone(),
                    made::head(&self.pixels(&name)?, face, face_px)?,
                );
            }
        }
        Ok(heads)
    }

    /// Labelled attributes of the portraits.
    ///
    /// # Errors
    /// A picture cannot be read, or a fault of this program.
    pub fn labelled(&mut self) -> anyhow::Result<BTreeMap<&'static str, Count>> {
        let mut counts = BTreeMap::new();
        for label in self.lists.labels.clone() {
            if let Seen::Face(quality) = self.attributes(self.lists.file(&label.name)?)? {
                compare(&label, &quality, &mut counts);
            }
        }
        Ok(counts)
    }

    /// `is_face` on portraits and on non-faces.
    ///
    /// # Errors
    /// As [`Bench::labelled`].
    pub fn is_face(&mut self) -> anyhow::Result<serde_json::Value> {
        let (mut faces, mut squares, mut textures) =
            (Count::default(), Count::default(), Count::default());
        let names: Vec<String> = self.lists.portraits().map(|p| p.name.clone()).collect();
        for name in names {
            let seen = self.attributes(self.lists.file(&name)?)?;
            faces.add(says_face(&seen), || format!("{name}: {}", why(&seen)));
        }
        let how = self.lists.parameters.non_faces.clone();
        for picture in self.lists.pictures.clone() {
            let found = self.faces(self.lists.file(&picture.name)?)?;
            if found.len() != picture.faces {
                continue;
            }
            let tiles = non_faces::tiles(&self.pixels(&picture.name)?, &found, &how);
            for (index, tile) in tiles.iter().enumerate() {
                let seen = self.attributes(pictures::encode(tile, made::FINE_QUALITY)?)?;
                squares.add(!says_face(&seen), || {
                    format!("{} square {index}: {}", picture.name, why(&seen))
                });
            }
        }
        for (index, texture) in non_faces::textures(&how).iter().enumerate() {
            let seen = self.attributes(pictures::encode(texture, made::FINE_QUALITY)?)?;
            textures.add(!says_face(&seen), || {
                format!("texture {index}: {}", why(&seen))
            });
        }
        let all = proportion(squares.right + textures.right, squares.n + textures.n);
        Ok(
            json!({ "portraits": faces, "non_faces": all, "squares": squares, "textures": textures }),
        )
    }

    /// Roll on known rotations; yaw and pitch of mirror images.
    ///
    /// # Errors
    /// As [`Bench::labelled`].
    pub fn geometry(&mut self) -> anyhow::Result<serde_json::Value> {
        let how = self.lists.parameters.geometry.clone();
        let (mut roll, mut yaw, mut pitch) = (Count::default(), Count::default(), Count::default());
        let (mut worst_roll, mut worst_yaw) = (0.0_f64, 0.0_f64);
        let names: Vec<String> = self.lists.portraits().map(|p| p.name.clone()).collect();
        for name in names {
            let upright = made::fitted(&self.pixels(&name)?, how.longest_side_px);
            let Seen::Face(base) = self.of(&made::turned(&upright, 0.0)?)? else {
                roll.abstained += 1;
                continue;
            };
            for &degrees in &how.rotations_degrees {
                let Seen::Face(turned) = self.of(&made::turned(&upright, degrees)?)? else {
                    roll.abstained += 1;
                    continue;
                };
                let error = (turned.roll_degrees - base.roll_degrees - degrees).abs();
                worst_roll = worst_roll.max(error);
                roll.add(error <= how.tolerance_degrees, || {
                    format!("{name} at {degrees}: off by {error:.1}")
                });
            }
            let Seen::Face(mirrored) = self.of(&imageops::flip_horizontal(&upright))? else {
                yaw.abstained += 1;
                continue;
            };
            let error = (mirrored.yaw_degrees + base.yaw_degrees).abs();
            worst_yaw = worst_yaw.max(error);
            yaw.add(error <= how.tolerance_degrees, || {
                format!("{name}: off by {error:.1}")
            });
            let error = (mirrored.pitch_degrees - base.pitch_degrees).abs();
            pitch.add(error <= how.tolerance_degrees, || {
                format!("{name}: off by {error:.1}")
            });
        }
        Ok(json!({
            "tolerance_degrees": how.tolerance_degrees, "roll_of_rotations": roll, "roll_largest_error_degrees": worst_roll,
            "yaw_mirrored": yaw, "yaw_largest_error_degrees": worst_yaw, "pitch_mirrored": pitch,
        }))
    }

    fn of(&mut self, picture: &RgbImage) -> anyhow::Result<Seen> {
        self.attributes(pictures::encode(picture, made::FINE_QUALITY)?)
    }

    /// Sharpness of heads as they are against blurred ones.
    ///
    /// # Errors
    /// As [`Bench::labelled`].
    pub fn sharpness(&mut self) -> anyhow::Result<serde_json::Value> {
        let how = self.lists.parameters.sharpness.clone();
        let heads = self.heads(how.face_px)?;
        let mut of = |degradation: Degradation| -> anyhow::Result<Vec<f64>> {
            let mut found = Vec::new();
            for head in heads.values() {
                if let Seen::Face(quality) = self.attributes(degradation.apply(head)?)? {
                    found.push(quality.sharpness);
                }
            }
            Ok(found)
        };
        let sharp = of(Degradation::None)?;
        let mut levels = Vec::new();
        for &sigma in &how.blur_px {
            let blurred = of(Degradation::Blur(sigma))?;
            levels.push(json!({ "blur_px": sigma, "roc": ranking::area(&blurred, &sharp), "median": median(blurred) }));
        }
        Ok(json!({ "face_px": how.face_px, "median_unblurred": median(sharp), "levels": levels }))
    }

    /// Genuine pairs with degraded probes: error among the kept, by quality.
    ///
    /// # Errors
    /// As [`Bench::labelled`].
    pub fn discard(&mut self) -> anyhow::Result<serde_json::Value> {
        self.error_versus_discard(&self.lists.parameters.discard.clone())
    }

    /// The same with degradations that nobody looked at while quality was worked on.
    ///
    /// # Errors
    /// As [`Bench::labelled`].
    pub fn discard_held_out(&mut self) -> anyhow::Result<serde_json::Value> {
        self.error_versus_discard(&self.lists.parameters.discard_held_out.clone())
    }

    fn error_versus_discard(&mut self, how: &Degradations) -> anyhow::Result<serde_json::Value> {
        let heads = self.heads(how.face_px)?;
        let ways = [Degradation::None]
            .into_iter()
            .chain(how.blur_px.iter().map(|px| Degradation::Blur(*px)))
            .chain(
                how.small_face_px
                    .iter()
                    .map(|px| Degradation::Small(f64::from(px / how.face_px))),
            )
            .chain(how.dark_gain.iter().map(|gain| Degradation::Dark(*gain)))
            .chain(
                how.jpeg_quality
                    .iter()
                    .map(|quality| Degradation::Compressed(*quality)),
            );
        let ways: Vec<Degradation> = ways.collect();
        let (mut judged, mut fit, mut refused) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut by_way: BTreeMap<&str, Vec<Judged>> = BTreeMap::new();
        for (probe, reference) in self.genuine() {
            let (Some(probe), Some(reference)) = (heads.get(&probe), heads.get(&reference)) else {
                continue;
            };
            for way in &ways {
                match self.compare(way.apply(probe)?, Degradation::None.apply(reference)?)? {
                    Ok((one, is_fit)) => {
                        judged.push(one);
                        fit.push(is_fit);
                        by_way.entry(way.name()).or_default().push(one);
                    }
                    Err(code) => {
                        *refused
                            .entry(format!("{}: {code}", way.name()))
                            .or_insert(0_u64) += 1
                    }
                }
            }
        }
        let curve = ranking::error_versus_discard(&judged, &how.shares);
        let of = |wanted: bool| {
            let pairs = judged.iter().zip(&fit);
            ranking::errors(
                pairs
                    .filter(|(_, is_fit)| **is_fit == wanted)
                    .map(|(one, _)| one),
            )
        };
        let by_way: BTreeMap<&str, _> = by_way
            .into_iter()
            .map(|(name, all)| (name, ranking::errors(all.iter())))
            .collect();
        Ok(json!({
            "pairs": judged.len(), "not_compared": refused, "curve": curve, "falls": ranking::falls(&curve),
            "fnmr_fit_for_comparison": of(true), "fnmr_unfit": of(false), "fnmr_by_degradation": by_way,
        }))
    }

    /// Each portrait of a person against each other one of that person's, both ways round: only the probe is degraded.
    fn genuine(&self) -> Vec<(String, String)> {
        let named: Vec<_> = self
            .lists
            .portraits()
            .filter(|portrait| !portrait.identity.is_empty())
            .collect();
        let pairs = named
            .iter()
            .flat_map(|probe| named.iter().map(move |reference| (probe, reference)));
        pairs
            .filter(|(a, b)| a.identity == b.identity && a.name != b.name)
            .map(|(probe, reference)| (probe.name.clone(), reference.name.clone()))
            .collect()
    }

    /// Margin and error of one comparison, and whether both pictures are fit; or why there was none.
    fn compare(
        &mut self,
        probe: Vec<u8>,
        reference: Vec<u8>,
    ) -> anyhow::Result<Result<(Judged, bool), String>> {
        let mut request = Request::new("bench", RequestKind::Compare);
        request.probe = Some(requests::inline(probe, None));
        request.reference = Some(requests::inline(reference, Some(ReferenceKind::OnFile)));
        let answer = self.chain.ask(&request)?;
        let Some(comparison) = &answer.evidence.comparison else {
            return Ok(Err(answer.verdict.canonical.reason_codes.join(", ")));
        };
        let pictures = answer.evidence.pictures.iter();
        let measured: Vec<_> = pictures
            .filter_map(|p| Some((p.quality.as_ref()?, p.reference_kind)))
            .collect();
        let margins = measured
            .iter()
            .map(|(quality, kind)| self.limits.comparison_margin(quality, *kind));
        let judged = Judged {
            quality: margins.fold(f64::INFINITY, f64::min),
            error: comparison.score < comparison.threshold,
        };
        let is_fit = measured
            .iter()
            .all(|(quality, _)| quality.fit_for_comparison);
        Ok(Ok((judged, is_fit)))
    }
}

fn says_face(seen: &Seen) -> bool {
    let Seen::Face(quality) = seen else {
        return false;
    };
    let found = quality.attributes.iter().find(|a| a.name == "is_face");
    found.is_some_and(|a| a.value.as_deref() == Some("yes"))
}

fn why(seen: &Seen) -> String {
    match seen {
        Seen::Face(quality) => format!("face flag {:.3}", quality.presence),
        Seen::Refused(codes) => codes.clone(),
    }
}

/// Counts each labelled attribute of one portrait.
fn compare(label: &Labelled, quality: &Quality, counts: &mut BTreeMap<&'static str, Count>) {
    let texts = [
        ("sex", &label.sex),
        ("smiling", &label.smiling),
        ("mouth_open", &label.mouth_open),
        ("glasses", &label.glasses),
    ];
    let found = |name: &str| {
        let found = quality.attributes.iter().find(|a| a.name == name);
        found.filter(|a| a.state == AnswerState::Answered)
    };
    for (name, wanted) in texts {
        let Some(wanted) = wanted else { continue };
        let count = counts.entry(name).or_default();
        match found(name) {
            None => count.abstained += 1,
            Some(answer) => {
                let value = answer.value.as_deref().unwrap_or_default();
                count.add(value == wanted, || format!("{}: {value}", label.name));
            }
        }
    }
    if let Some([least, most]) = label.age {
        let count = counts.entry("age").or_default();
        match found("age").and_then(|answer| answer.number) {
            None => count.abstained += 1,
            Some(years) => {
                let range = least - AGE_TOLERANCE_YEARS..=most + AGE_TOLERANCE_YEARS;
                count.add(range.contains(&years), || {
                    format!(
                        "{}: {years:.0}, labelled {least:.0} to {most:.0}",
                        label.name
                    )
                });
            }
        }
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
