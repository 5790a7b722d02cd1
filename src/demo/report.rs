//! The demo's report: one HTML file with everything in it.

use std::fmt::Write;

use base64::Engine;
use shiren_contract::codes;
use shiren_schemas::records::{Check, Comparison, Evidence, FacedPicture, SearchEvidence};

use super::cases::Case;
use super::findings;
use super::judge::Outcome;

/// Larger pictures are named, not shown.
const MAX_SHOWN_BYTES: usize = 3 * 1024 * 1024;

/// One case of the report.
pub struct Entry<'a> {
    /// What was published.
    pub case: &'a Case,
    /// What came of it.
    pub outcome: &'a Outcome,
    /// What was not as expected.
    pub misses: &'a [String],
}

/// The page.
#[must_use]
pub fn html(summary: &str, entries: &[Entry<'_>]) -> String {
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Shiren demo</title>\
         <style>{CSS}</style></head><body><h1>Shiren demo</h1><p>{}</p>\
         <p>Boxes: the subject that was compared is drawn thick, other faces thin. Scores and \
         thresholds come from the <em>evidence</em> topic; a verdict itself carries none. Liveness \
         looks at one still and is advisory: no answer below proves that a person was present. A \
         check that did not run reads <code>not_checked</code>.</p>",
        escape(summary)
    );
    for entry in entries {
        case(&mut page, entry);
    }
    page.push_str("</body></html>\n");
    page
}

fn case(page: &mut String, entry: &Entry<'_>) {
    let decision = entry
        .outcome
        .verdict
        .as_ref()
        .map_or("none", |v| v.canonical.decision.as_str());
    let ok = if entry.misses.is_empty() {
        "as expected"
    } else {
        "not as expected"
    };
    let _ = write!(
        page,
        "<section><h2><span class=\"badge {decision}\">{decision}</span> {} <small>{} · {} · {ok}</small></h2>",
        escape(&entry.case.title),
        escape(&entry.case.id),
        entry.case.request.kind,
    );
    for miss in entry.misses {
        let _ = write!(page, "<p class=\"miss\">{}</p>", escape(miss));
    }
    page.push_str("<div class=\"row\">");
    for (index, bytes) in entry.case.pictures.iter().enumerate() {
        let role = ["probe", "reference"]
            .get(index)
            .copied()
            .unwrap_or("picture");
        let faces = entry.outcome.evidence.as_ref().and_then(|evidence| {
            evidence
                .pictures
                .iter()
                .find(|picture| picture.role.as_str() == role)
        });
        picture(page, role, bytes, faces);
    }
    page.push_str("<div class=\"facts\">");
    if let Some(verdict) = &entry.outcome.verdict {
        reasons(page, &verdict.canonical.reason_codes);
        checks(page, &verdict.canonical.checks);
        let _ = write!(
            page,
            "<p class=\"id\">verdict {}</p>",
            verdict.canonical.verdict_id
        );
    }
    if let Some(evidence) = &entry.outcome.evidence {
        if let Some(compared) = &evidence.comparison {
            comparison(page, compared);
        }
        if let Some(searched) = &evidence.search {
            search(page, searched);
        }
        if let Some(authority) = &evidence.authority {
            let _ = write!(
                page,
                "<p>{} replied: identity <b>{}</b>, portrait <b>{}</b></p>",
                escape(&authority.source),
                escape(&authority.identity),
                escape(&authority.portrait)
            );
        }
        findings::of(page, &evidence.pictures);
        grounds(page, evidence);
    }
    page.push_str("</div></div></section>");
}

fn checks(page: &mut String, checks: &[Check]) {
    if checks.is_empty() {
        return;
    }
    page.push_str("<table><tr><th>check</th><th>state</th><th>reason</th></tr>");
    for check in checks {
        let reason = check.reason_code.as_deref().unwrap_or("");
        let (name, reason) = (escape(&check.name), escape(reason));
        let _ = write!(
            page,
            "<tr><td>{name}</td><td>{}</td><td>{reason}</td></tr>",
            check.state
        );
    }
    page.push_str("</table>");
}

fn reasons(page: &mut String, codes_found: &[String]) {
    page.push_str("<ul>");
    for id in codes_found {
        let code = codes::find(id);
        let (meaning, advice) = code.map_or(("", ""), |code| (code.meaning, code.advice));
        let _ = write!(
            page,
            "<li><code>{}</code> {} <em>{}</em></li>",
            escape(id),
            escape(meaning),
            escape(advice)
        );
    }
    page.push_str("</ul>");
}

/// Score and threshold on one line of -0.2 to 1.
fn comparison(page: &mut String, c: &Comparison) {
    let at = |score: f64| ((score + 0.2) / 1.2 * 300.0).clamp(0.0, 300.0);
    let _ = write!(
        page,
        "<p>score <b>{:.4}</b>, threshold <b>{:.4}</b> ({}) for a false-match rate of {}: {}, {} false \
         matches of {} impostor pairs between {} pairs of people, table {}</p>\
         <svg class=\"scale\" viewBox=\"0 0 300 30\"><rect x=\"0\" y=\"12\" width=\"300\" height=\"6\" class=\"axis\"/>\
         <line x1=\"{t:.1}\" x2=\"{t:.1}\" y1=\"4\" y2=\"26\" class=\"threshold\"/>\
         <circle cx=\"{s:.1}\" cy=\"15\" r=\"6\" class=\"score\"/></svg>",
        c.score,
        c.threshold,
        c.metric,
        c.target_fmr,
        c.basis,
        c.false_matches,
        c.n_impostor,
        c.identity_pairs,
        escape(&c.table),
        t = at(c.threshold),
        s = at(c.score),
    );
}

/// Who came nearest, those below the threshold too.
fn search(page: &mut String, searched: &SearchEvidence) {
    let faces: i64 = searched.libraries.iter().map(|library| library.faces).sum();
    let _ = write!(
        page,
        "<p>searched {faces} face(s): target FPIR {}, so FMR {:.2e} and threshold <b>{:.4}</b> ({})</p>\
         <table><tr><th>candidate</th><th>score</th><th></th></tr>",
        searched.target_fpir, searched.fmr, searched.threshold, searched.basis
    );
    for candidate in &searched.candidates {
        let reaches = if candidate.score >= searched.threshold {
            "found"
        } else {
            "below"
        };
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{:.4}</td><td>{reaches}</td></tr>",
            escape(&candidate.person_id),
            candidate.score
        );
    }
    page.push_str("</table>");
}

fn grounds(page: &mut String, evidence: &Evidence) {
    for fault in &evidence.faults {
        let _ = write!(
            page,
            "<p>{}: {}</p>",
            escape(&fault.stage),
            escape(&fault.detail)
        );
    }
    let longest = evidence
        .timings
        .iter()
        .map(|t| t.wall_us)
        .max()
        .unwrap_or(1)
        .max(1);
    page.push_str("<table class=\"timings\"><tr><th>stage</th><th>ms</th><th></th></tr>");
    for timing in &evidence.timings {
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{:.1}</td><td><span class=\"bar\" style=\"width:{}px\"></span></td></tr>",
            escape(&timing.stage),
            timing.wall_us as f64 / 1000.0,
            timing.wall_us * 120 / longest,
        );
    }
    page.push_str("</table>");
}

fn picture(page: &mut String, role: &str, bytes: &[u8], faces: Option<&FacedPicture>) {
    page.push_str("<figure>");
    match mime(bytes) {
        Some(mime) if faces.is_some() && bytes.len() <= MAX_SHOWN_BYTES => {
            let data = base64::engine::general_purpose::STANDARD.encode(bytes);
            let _ = write!(
                page,
                "<div class=\"picture\"><img alt=\"{role}\" src=\"data:{mime};base64,{data}\">"
            );
            if let Some(faces) = faces {
                boxes(page, faces);
            }
            page.push_str("</div>");
        }
        _ => page.push_str("<div class=\"none\">no picture could be made</div>"),
    }
    let size = faces.map(|f| format!(", {} x {} px, {} face(s)", f.width, f.height, f.faces_found));
    let _ = write!(
        page,
        "<figcaption>{role}, {} bytes{}</figcaption></figure>",
        bytes.len(),
        size.unwrap_or_default()
    );
}

fn boxes(page: &mut String, picture: &FacedPicture) {
    let _ = write!(
        page,
        "<svg viewBox=\"0 0 {} {}\">",
        picture.width, picture.height
    );
    let line = f64::from(picture.width.max(picture.height)) / 250.0;
    for (index, face) in picture.faces.iter().enumerate() {
        let b = &face.bounding_box;
        let subject = picture
            .subject
            .is_some_and(|subject| usize::try_from(subject) == Ok(index));
        let width = if subject { line * 2.0 } else { line };
        let _ = write!(
            page,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" stroke-width=\"{width:.1}\"><title>detection score {:.3}</title></rect>",
            b.x1,
            b.y1,
            b.x2 - b.x1,
            b.y2 - b.y1,
            face.score
        );
        for point in &face.landmarks {
            let _ = write!(
                page,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{line:.1}\"/>",
                point.x, point.y
            );
        }
    }
    page.push_str("</svg>");
}

fn mime(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xFF, 0xD8, ..] => Some("image/jpeg"),
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [b'R', b'I', b'F', b'F', ..] => Some("image/webp"),
        [b'B', b'M', ..] => Some("image/bmp"),
        _ => None,
    }
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

const CSS: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:1100px;padding:0 1em;color:#222;background:#fff}\
section{border-top:1px solid #ccc;padding:.6em 0}h2{font-size:1.1em}h3{font-size:1em;margin:.6em 0 0}summary{cursor:pointer;color:#0b57d0}small{font-weight:normal;color:#666}\
.badge{display:inline-block;min-width:4em;text-align:center;padding:.1em .5em;border-radius:.3em;color:#fff;background:#666}\
.accept,.done{background:#17703c}.reject{background:#b3261e}.review{background:#8a5a00}.error{background:#555}\
.row{display:flex;flex-wrap:wrap;gap:1em}figure{margin:0;width:240px}.picture{position:relative}.picture img{width:100%;display:block}\
.picture svg{position:absolute;left:0;top:0;width:100%;height:100%;overflow:visible}.picture rect{fill:none;stroke:#00c2ff}.picture circle{fill:#ffe600}\
.none{background:#eee;color:#666;padding:3em 1em;text-align:center}figcaption{font-size:.85em;color:#666}.facts{flex:1;min-width:300px}\
table{border-collapse:collapse;font-size:.9em;margin:.5em 0}th{text-align:left;font-weight:600}td,th{padding:.1em .7em .1em 0}\
.scale{width:300px;height:30px}.axis{fill:#ddd}.threshold{stroke:#b3261e;stroke-width:2}.score{fill:#0b57d0}.bar{display:inline-block;height:.6em;background:#0b57d0}\
.id{font-size:.8em;color:#666}.miss{color:#b3261e;font-weight:600}";
