//! What quality and liveness found of a face, for the report.

use std::fmt::Write as _;

use shiren_contract::codes;
use shiren_schemas::records::{AnswerState, Attribute, FacedPicture, Liveness, Quality};

use super::report::escape;

/// Everything that was found of the pictures' subjects.
pub(super) fn of(page: &mut String, pictures: &[FacedPicture]) {
    for picture in pictures {
        if let Some(found) = &picture.quality {
            quality(page, picture.role.as_str(), found);
        }
        if let Some(found) = &picture.liveness {
            liveness(page, found);
        }
    }
}

fn quality(page: &mut String, role: &str, q: &Quality) {
    let _ = write!(page, "<h3>{role}</h3><ul>");
    for (purpose, fit, reasons) in [
        ("comparison", q.fit_for_comparison, &q.comparison_reasons),
        ("enrolment", q.fit_for_enrolment, &q.enrolment_reasons),
    ] {
        let answer = if fit { "fit" } else { "not fit" };
        let _ = write!(page, "<li>{answer} for {purpose}");
        for reason in reasons {
            let advice = codes::find(reason).map_or("", |code| code.advice);
            let _ = write!(
                page,
                "<br><code>{}</code> <em>{}</em>",
                escape(reason),
                escape(advice)
            );
        }
        page.push_str("</li>");
    }
    page.push_str("</ul><details><summary>figures</summary><table>");
    for (name, value) in [
        ("yaw", format!("{:.0}°", q.yaw_degrees)),
        ("pitch", format!("{:.0}°", q.pitch_degrees)),
        ("roll", format!("{:.0}°", q.roll_degrees)),
        ("sharpness", format!("{:.0}", q.sharpness)),
        ("blockiness", format!("{:.3}", q.blockiness)),
        ("brightness", format!("{:.0} of 255", q.brightness)),
        ("contrast", format!("{:.0}", q.contrast)),
        ("width of the face", format!("{:.0} px", q.face_width_px)),
        ("between the eyes", format!("{:.0} px", q.inter_eye_px)),
        (
            "inside the picture",
            format!("{:.0} %", q.inside_share * 100.0),
        ),
    ] {
        row(page, name, &value);
    }
    page.push_str("</table></details>");
    if !q.attributes.is_empty() {
        page.push_str("<table><tr><th>attribute</th><th>answer</th></tr>");
        for attribute in &q.attributes {
            row(page, &escape(&attribute.name), &answer(attribute));
        }
        page.push_str("</table>");
    }
}

fn answer(attribute: &Attribute) -> String {
    if attribute.state == AnswerState::Abstained {
        let reason = attribute.reason_code.as_deref().unwrap_or("");
        return format!("abstained <code>{}</code>", escape(reason));
    }
    let mut text = attribute.value.as_deref().map(escape).unwrap_or_default();
    if let Some(number) = attribute.number {
        let _ = write!(text, " {number:.2}");
    }
    if let Some(confidence) = attribute.confidence {
        let _ = write!(text, " <small>(model says {confidence:.2})</small>");
    }
    text
}

/// Score and both thresholds on one line of 0 to 1, and what each net and cue saw.
fn liveness(page: &mut String, found: &Liveness) {
    let at = |score: f64| (score * 300.0).clamp(0.0, 300.0);
    if let Some(score) = found.score {
        let advisory = if found.advisory { ", advisory" } else { "" };
        let _ = write!(
            page,
            "<p>liveness <b>{score:.3}</b>{advisory}: below {:.3} an attack is suspected, from {:.3} on it passes; table {}</p>\
             <svg class=\"scale\" viewBox=\"0 0 300 30\"><rect x=\"0\" y=\"12\" width=\"300\" height=\"6\" class=\"axis\"/>\
             <line x1=\"{r:.1}\" x2=\"{r:.1}\" y1=\"4\" y2=\"26\" class=\"threshold\"/>\
             <line x1=\"{a:.1}\" x2=\"{a:.1}\" y1=\"4\" y2=\"26\" class=\"threshold\"/>\
             <circle cx=\"{s:.1}\" cy=\"15\" r=\"6\" class=\"score\"/></svg>",
            found.reject_below,
            found.accept_from,
            escape(&found.table),
            r = at(found.reject_below),
            a = at(found.accept_from),
            s = at(score),
        );
    }
    page.push_str("<details><summary>nets and cues</summary><table>");
    for cue in &found.cues {
        row(page, &escape(&cue.name), &format!("{:.3}", cue.value));
    }
    page.push_str("</table></details>");
}

fn row(page: &mut String, name: &str, value: &str) {
    let _ = write!(page, "<tr><td>{name}</td><td>{value}</td></tr>");
}
