//! Search: who in these libraries is it, or nobody.
//!
//! The threshold follows from the scene's target false-positive identification rate and the number of faces searched
//! ([`fmr_for_fpir`]). A person's score is that of the best of their faces, so copies of a face change none.

use shiren_contract::codes::{self, Code};
use shiren_contract::library::{FaceFound, Found};
use shiren_contract::policy::Scene;
use shiren_contract::stage::Rejection;
use shiren_models::calibration::{Table, fmr_for_fpir};
use shiren_schemas::records::{Basis, Candidate, SearchEvidence, SearchedLibrary};

/// What a search came to, before the scene's checks are looked at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Identification {
    /// For evidence. `None`: there was no face to compare with.
    pub evidence: Option<SearchEvidence>,
    /// Candidates from the threshold on, best first.
    pub hits: Vec<Candidate>,
    /// Why the first of them is for a person to look at.
    pub doubts: Vec<Code>,
}

/// Persons by their best face, best first.
pub(crate) fn candidates(faces: &[FaceFound]) -> Vec<Candidate> {
    let mut persons: Vec<Candidate> = Vec::new();
    for face in faces {
        let score = f64::from(face.score);
        let known = persons
            .iter_mut()
            .find(|known| known.library == face.library && known.person_id == face.person);
        let candidate = Candidate {
            library: face.library,
            person_id: face.person.clone(),
            face_id: face.face,
            score,
            sequence: i64::try_from(face.sequence).unwrap_or(i64::MAX),
        };
        match known {
            Some(known) if known.score >= score => {}
            Some(known) => *known = candidate,
            None => persons.push(candidate),
        }
    }
    // Ties by id, so that the same faces always give the same order.
    persons.sort_by(|a, b| {
        let ids = |c: &Candidate| (c.library, c.person_id.clone());
        b.score
            .total_cmp(&a.score)
            .then_with(|| ids(a).cmp(&ids(b)))
    });
    persons
}

/// Judges what was found by the scene's target.
///
/// # Errors
/// The scene does not search, or the table supports no such rate at this many faces.
pub(crate) fn identify(
    found: &Found,
    persons_max: usize,
    table: &Table,
    scene: &Scene,
) -> Result<Identification, Rejection> {
    let Some(target_fpir) = scene.target_fpir else {
        let what = "target_fpir is not set for this scene";
        return Err(Rejection::new(codes::SCENE_DOES_NOT_SEARCH, what));
    };
    let faces: u64 = found.libraries.iter().map(|(_, faces)| faces).sum();
    if faces == 0 {
        return Ok(Identification {
            evidence: None,
            hits: Vec::new(),
            doubts: Vec::new(),
        });
    }
    let fmr = fmr_for_fpir(target_fpir, faces);
    let point = table.threshold(fmr).map_err(|error| {
        let what = format!("FPIR {target_fpir} over {faces} faces needs FMR {fmr:.1e}: {error}");
        Rejection::new(error.code(), what)
    })?;
    let all = candidates(&found.faces);
    let hits: Vec<Candidate> = all
        .iter()
        .take_while(|candidate| candidate.score >= point.threshold)
        .take(persons_max)
        .cloned()
        .collect();
    let mut doubts = Vec::new();
    if let (Some(first), Some(second)) = (hits.first(), all.get(1))
        && first.score - second.score < scene.min_margin
    {
        doubts.push(codes::MARGIN_TOO_SMALL);
    }
    let basis = Basis::from(point.basis);
    if basis == Basis::Extrapolated && !hits.is_empty() && scene.allow_extrapolated.is_none() {
        doubts.push(codes::THRESHOLD_EXTRAPOLATED);
    }
    let libraries = found
        .libraries
        .iter()
        .map(|(library, faces)| SearchedLibrary {
            library: *library,
            faces: i64::try_from(*faces).unwrap_or(i64::MAX),
        });
    Ok(Identification {
        evidence: Some(SearchEvidence {
            libraries: libraries.collect(),
            target_fpir,
            fmr,
            threshold: point.threshold,
            basis,
            candidates: all.into_iter().take(persons_max).collect(),
        }),
        hits,
        doubts,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shiren_schemas::Id;

    use super::*;

    fn face(library: u8, person: &str, face: u8, score: f32) -> FaceFound {
        FaceFound {
            library: Id([library; 16]),
            person: person.to_owned(),
            face: Id([face; 16]),
            score,
            sequence: u64::from(face),
        }
    }

    #[test]
    fn a_person_has_the_score_of_the_best_face_and_copies_change_nothing() {
        let faces = [
            face(1, "a", 1, 0.4),
            face(1, "b", 2, 0.5),
            face(1, "a", 3, 0.6),
        ];
        let found = candidates(&faces);
        let seen: Vec<_> = found
            .iter()
            .map(|c| (c.person_id.as_str(), c.face_id.0[0]))
            .collect();
        assert_eq!(seen, [("a", 3), ("b", 2)]);
        let mut copied = faces.to_vec();
        copied.extend((10..20).map(|copy| face(1, "b", copy, 0.5)));
        let scores = |found: &[Candidate]| -> Vec<f64> { found.iter().map(|c| c.score).collect() };
        assert_eq!(scores(&candidates(&copied)), scores(&found));
    }

    #[test]
    fn a_person_of_two_libraries_is_a_candidate_of_each() {
        let found = candidates(&[face(1, "a", 1, 0.4), face(2, "a", 2, 0.3)]);
        assert_eq!(found.len(), 2);
    }

    proptest! {
        #[test]
        fn the_order_of_the_faces_does_not_matter(
            faces in prop::collection::vec((0_u8..3, 0_u8..4, any::<u8>(), 0_u8..5), 0..20), swap in any::<prop::sample::Index>(),
        ) {
            let faces: Vec<FaceFound> = faces.iter()
                .map(|(l, p, f, s)| face(*l, &format!("p{p}"), *f, f32::from(*s) / 5.0)).collect();
            let mut turned = faces.clone();
            if !turned.is_empty() {
                let at = swap.index(turned.len());
                turned.rotate_left(at);
            }
            let key = |c: &Candidate| (c.library, c.person_id.clone(), c.score.to_bits());
            let (a, b) = (candidates(&faces), candidates(&turned));
            prop_assert_eq!(a.iter().map(key).collect::<Vec<_>>(), b.iter().map(key).collect::<Vec<_>>());
            prop_assert!(a.is_sorted_by(|x, y| x.score >= y.score));
        }
    }
}
