//! `shiren compare`, `shiren detect`, `shiren attributes` and `shiren liveness`: one case, answered here and now.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use shiren_contract::sealing;
use shiren_schemas::records::{Decision, Quality, ReferenceKind, Request, RequestKind};

use super::{Place, print_line, verdicts};
use crate::one_shot::{Answer, OneShot};
use crate::requests;
use crate::site::Site;

#[derive(Args)]
pub(crate) struct CompareArgs {
    /// The picture asked about
    probe: PathBuf,
    /// The picture it is compared with
    reference: PathBuf,
    /// Where the reference comes from: live, on_file, card_print, chip
    #[arg(long)]
    reference_kind: Option<ReferenceKind>,
    #[command(flatten)]
    how: How,
}

/// Of the kinds that ask about one picture.
#[derive(Args)]
pub(crate) struct PictureArgs {
    /// The picture
    picture: PathBuf,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
struct How {
    /// Scene whose policy applies
    #[arg(long, default_value = "default")]
    scene: String,
    /// Weights: open or accurate; default: the topology's
    #[arg(long)]
    profile: Option<String>,
    /// Smallest face of interest, pixels; default: the scene's
    #[arg(long)]
    min_face_px: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Exit code 0: answered; 3: the answer is `error`.
pub(crate) fn compare(place: &Place, args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let mut request = Request::new("compare", RequestKind::Compare);
    request.probe = Some(requests::inline(read(&args.probe)?, None));
    request.reference = Some(requests::inline(
        read(&args.reference)?,
        args.reference_kind,
    ));
    answer(place, &args.how, request)
}

pub(crate) fn picture(
    place: &Place,
    kind: RequestKind,
    args: &PictureArgs,
) -> anyhow::Result<ExitCode> {
    let mut request = Request::new(kind.as_str(), kind);
    request.probe = Some(requests::inline(read(&args.picture)?, None));
    answer(place, &args.how, request)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

fn answer(place: &Place, how: &How, mut request: Request) -> anyhow::Result<ExitCode> {
    let mut site = Arc::into_inner(place.site()?).context("the site is in use")?;
    apply(&mut site, how);
    request.scene.clone_from(&how.scene);
    let answer = OneShot::open(&Arc::new(site))?.ask(&request)?;
    if how.json {
        print_line(&json(&answer)?.to_string())?;
    } else {
        print(&answer)?;
    }
    let failed = answer.verdict.canonical.decision == Decision::Error;
    Ok(if failed {
        ExitCode::from(3)
    } else {
        ExitCode::SUCCESS
    })
}

fn apply(site: &mut Site, how: &How) {
    if let Some(profile) = &how.profile {
        site.topology.models.profile.clone_from(profile);
    }
    if let (Some(px), Some(scene)) = (how.min_face_px, site.topology.scenes.get_mut(&how.scene)) {
        scene.min_face_px = px;
    }
}

/// Verdict, results and evidence; crops are left out, they are pictures.
fn json(answer: &Answer) -> anyhow::Result<serde_json::Value> {
    let mut evidence = answer.evidence.clone();
    sealing::strip(&mut evidence);
    Ok(serde_json::json!({
        "verdict": verdicts::json(&answer.verdict)?,
        "results": answer.results,
        "evidence": evidence,
    }))
}

fn print(answer: &Answer) -> anyhow::Result<()> {
    print_line(&verdicts::line(&answer.verdict))?;
    if let Some(c) = &answer.evidence.comparison {
        print_line(&format!(
            "score {:.4}, threshold {:.4} ({}) for FMR {} ({}, {} false matches of {} impostor pairs, table {})",
            c.score,
            c.threshold,
            c.metric,
            c.target_fmr,
            c.basis,
            c.false_matches,
            c.n_impostor,
            c.table
        ))?;
    }
    let pictures = answer.evidence.pictures.iter();
    for found in pictures.filter_map(|picture| picture.liveness.as_ref()) {
        let score = found
            .score
            .map_or("none".to_owned(), |score| format!("{score:.3}"));
        print_line(&format!(
            "liveness {score}: attack below {:.3}, live from {:.3} (table {}; advisory: {})",
            found.reject_below, found.accept_from, found.table, found.advisory
        ))?;
    }
    for fault in &answer.evidence.faults {
        print_line(&format!("[{}] {}", fault.code, fault.detail))?;
        if let Some(code) = shiren_contract::codes::find(&fault.code) {
            print_line(&format!("  {} {}", code.meaning, code.advice))?;
        }
    }
    for picture in answer
        .results
        .iter()
        .flat_map(|results| &results.detections)
    {
        print_line(&format!(
            "{} x {} px, {} face(s)",
            picture.width, picture.height, picture.faces_found
        ))?;
        for face in &picture.faces {
            let b = &face.bounding_box;
            let (width, height) = (b.x2 - b.x1, b.y2 - b.y1);
            print_line(&format!(
                "  {width:.0} x {height:.0} px at ({:.0}, {:.0}), score {:.3}",
                b.x1, b.y1, face.score
            ))?;
        }
    }
    for picture in answer
        .results
        .iter()
        .flat_map(|results| &results.attributes)
    {
        print_quality(&picture.quality)?;
    }
    Ok(())
}

fn print_quality(quality: &Quality) -> anyhow::Result<()> {
    let fit = |fit: bool, reasons: &[String]| match fit {
        true => "yes".to_owned(),
        false => reasons.join(", "),
    };
    print_line(&format!(
        "fit for comparison: {}\nfit for enrolment: {}\nyaw {:.0}, pitch {:.0}, roll {:.0} degrees; sharpness {:.0}, blockiness {:.3}; \
         brightness {:.0}, contrast {:.0}; face {:.0} px wide, eyes {:.0} px apart",
        fit(quality.fit_for_comparison, &quality.comparison_reasons),
        fit(quality.fit_for_enrolment, &quality.enrolment_reasons),
        quality.yaw_degrees,
        quality.pitch_degrees,
        quality.roll_degrees,
        quality.sharpness,
        quality.blockiness,
        quality.brightness,
        quality.contrast,
        quality.face_width_px,
        quality.inter_eye_px
    ))?;
    for attribute in &quality.attributes {
        let number = attribute.number.map(|number| format!("{number:.2}"));
        let confidence = attribute
            .confidence
            .map(|confidence| format!("({confidence:.2})"));
        let said = [
            &attribute.value,
            &number,
            &confidence,
            &attribute.reason_code,
        ];
        let said: Vec<&str> = said.into_iter().flatten().map(String::as_str).collect();
        print_line(&format!("{}: {}", attribute.name, said.join(" ")))?;
    }
    Ok(())
}
