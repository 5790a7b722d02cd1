//! Comparisons between the faces of a library: its persons are not each other, so every two of them are strangers.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, bail};
use shiren_contract::seal::Vault;
use shiren_models::calibration::ScoredPair;
use shiren_models::manifest::{Manifest, Metric};
use shiren_models::{Template, score};

use crate::dice::Dice;
use crate::library_truth::{self, Library};

/// Pairs of strangers that the report names.
const LIKEST_MAX: usize = 5;

/// The faces of a library that have a template, person by person.
pub(crate) struct LibraryFaces {
    persons: Vec<String>,
    /// Index of the person, and the template; one person's faces follow each other.
    faces: Vec<(usize, Template)>,
    metric: Metric,
    /// Faces whose key was destroyed.
    pub erased: u64,
}

/// Scores between them.
pub(crate) struct LibraryScores<'a> {
    /// Genuine pairs, then those of strangers.
    pub scored: Vec<ScoredPair<'a>>,
    /// Pairs of strangers that the library has, scored or not.
    pub impostor_pairs_of: u64,
    /// Two persons whose faces are most alike, with the best score between them; best first.
    pub likest: Vec<(&'a str, &'a str, f64)>,
}

impl LibraryFaces {
    /// Opens the templates of `library`, called `name`; the manifest knows how its model compares.
    ///
    /// # Errors
    /// Templates are sealed and there is no vault; the manifest has another model, or other weights of it; fewer than two
    /// persons have a template.
    pub fn open(
        name: &str,
        library: &Library,
        manifest: &Manifest,
        vault: Option<&Arc<dyn Vault>>,
    ) -> anyhow::Result<Self> {
        let head = &library.head;
        let model = manifest.model(&head.model)?;
        if model.onnx.sha256 != head.model_sha256 {
            bail!(
                "library {name} has templates of {} {:.12}, the manifest has {:.12}: their scores cannot be compared",
                head.model,
                head.model_sha256,
                model.onnx.sha256
            );
        }
        let metric = model.output.metric;
        let mut opened = Self {
            persons: Vec::new(),
            faces: Vec::new(),
            metric: metric.with_context(|| format!("{} has no metric", head.model))?,
            erased: 0,
        };
        for (person, faces) in &library.persons {
            let before = opened.faces.len();
            for change in faces.values() {
                match library_truth::template(change, vault)? {
                    Some(values) => opened.push(head.model.clone(), values),
                    None => opened.erased += 1,
                }
            }
            if opened.faces.len() > before {
                opened.persons.push(person.clone());
            }
        }
        if opened.persons.len() < 2 {
            bail!(
                "library {name} has {} person(s) with a template: two are the least, five the least that measure a rate",
                opened.persons.len()
            );
        }
        Ok(opened)
    }

    fn push(&mut self, model: String, values: Vec<f32>) {
        let template = Template { model, values };
        self.faces.push((self.persons.len(), template));
    }

    /// Number of persons.
    #[must_use]
    pub fn persons(&self) -> usize {
        self.persons.len()
    }

    /// Number of faces.
    #[must_use]
    pub fn faces(&self) -> usize {
        self.faces.len()
    }

    /// Scores all pairs; of those of strangers at most `impostor_pairs_max`, drawn by `seed`.
    ///
    /// # Errors
    /// Templates that cannot be compared.
    pub fn score(&self, impostor_pairs_max: u64, seed: u64) -> anyhow::Result<LibraryScores<'_>> {
        let strangers = Strangers::of(self.faces.iter().map(|(person, _)| *person));
        let mut scored = Vec::new();
        for (index, (person, _)) in self.faces.iter().enumerate() {
            for other in index + 1..strangers.first_other(index) {
                let score = self.compare(index, other)?;
                let people = [self.persons[*person].as_str(); 2];
                scored.push(ScoredPair { score, people });
            }
        }
        let chosen = Dice::of(seed).sample(impostor_pairs_max, strangers.pairs());
        let mut best: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        for nth in chosen {
            let (a, b) = strangers.pair(nth);
            let score = self.compare(a, b)?;
            let persons = (self.faces[a].0, self.faces[b].0);
            let known = best.entry(persons).or_insert(score);
            *known = known.max(score);
            let people = [persons.0, persons.1].map(|person| self.persons[person].as_str());
            scored.push(ScoredPair { score, people });
        }
        let mut likest: Vec<_> = best
            .into_iter()
            .map(|((a, b), score)| (self.persons[a].as_str(), self.persons[b].as_str(), score))
            .collect();
        likest.sort_by(|a, b| b.2.total_cmp(&a.2));
        likest.truncate(LIKEST_MAX);
        Ok(LibraryScores {
            scored,
            impostor_pairs_of: strangers.pairs(),
            likest,
        })
    }

    fn compare(&self, a: usize, b: usize) -> anyhow::Result<f64> {
        let score = score::compare(&self.faces[a].1, &self.faces[b].1, self.metric)?;
        Ok(f64::from(score))
    }
}

/// The pairs of faces of different persons, numbered without listing them.
struct Strangers {
    /// For each face, the first after it that is of another person.
    ends: Vec<usize>,
    /// For each face, the pairs that begin with a face before it; and at last the number of pairs.
    before: Vec<u64>,
}

impl Strangers {
    /// Of the persons of the faces, each person's in a row.
    fn of(persons: impl Iterator<Item = usize>) -> Self {
        let persons: Vec<usize> = persons.collect();
        let mut ends = vec![persons.len(); persons.len()];
        for face in (1..persons.len()).rev() {
            let is_same = persons[face - 1] == persons[face];
            ends[face - 1] = if is_same { ends[face] } else { face };
        }
        let mut before = vec![0];
        let mut pairs = 0;
        for end in &ends {
            pairs += (persons.len() - end) as u64;
            before.push(pairs);
        }
        Self { ends, before }
    }

    fn first_other(&self, face: usize) -> usize {
        self.ends[face]
    }

    fn pairs(&self) -> u64 {
        self.before.last().copied().unwrap_or(0)
    }

    /// The `nth` pair, from 0 and below [`Strangers::pairs`].
    fn pair(&self, nth: u64) -> (usize, usize) {
        let face = self.before.partition_point(|before| *before <= nth) - 1;
        let other = self.ends[face] + (nth - self.before[face]) as usize;
        (face, other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn faces(persons: &[(&str, &[[f32; 2]])]) -> LibraryFaces {
        let mut faces = LibraryFaces {
            persons: Vec::new(),
            faces: Vec::new(),
            metric: Metric::Euclidean,
            erased: 0,
        };
        for (person, templates) in persons {
            for values in *templates {
                faces.push("m".into(), values.to_vec());
            }
            faces.persons.push((*person).to_owned());
        }
        faces
    }

    #[test]
    fn scores_by_hand() {
        let ann: &[[f32; 2]] = &[[0.0, 0.0], [0.0, 0.25]];
        let faces = faces(&[("ann", ann), ("bob", &[[1.0, 0.0]]), ("eve", &[[1.0, 0.5]])]);
        let scores = faces.score(100, 1).unwrap();
        let genuine: Vec<_> = scores
            .scored
            .iter()
            .filter(|pair| pair.people[0] == pair.people[1])
            .collect();
        assert_eq!((genuine.len(), scores.scored.len()), (1, 6));
        assert!((genuine[0].score - 0.75).abs() < 1e-6);
        assert_eq!((scores.impostor_pairs_of, scores.likest.len()), (5, 3));
        let (a, b, score) = scores.likest[0];
        assert_eq!((a, b), ("bob", "eve"));
        assert!((score - 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_part_of_the_strangers_is_drawn_by_the_seed() {
        let many: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let templates: Vec<[[f32; 2]; 1]> = (0..40).map(|n| [[n as f32, 1.0]]).collect();
        let persons: Vec<_> = many
            .iter()
            .zip(&templates)
            .map(|(name, template)| (name.as_str(), &template[..]))
            .collect();
        let faces = faces(&persons);
        let drawn = |seed| faces.score(100, seed).unwrap().scored;
        assert_eq!(faces.score(1000, 1).unwrap().scored.len(), 780);
        assert_eq!(drawn(1).len(), 100);
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    proptest! {
        #[test]
        fn the_nth_pair_is_the_nth_of_the_list(sizes in prop::collection::vec(1_usize..4, 0..8)) {
            let persons: Vec<usize> = sizes.iter().enumerate()
                .flat_map(|(person, size)| std::iter::repeat_n(person, *size)).collect();
            let listed: Vec<_> = (0..persons.len())
                .flat_map(|a| (a + 1..persons.len()).map(move |b| (a, b)))
                .filter(|(a, b)| persons[*a] != persons[*b])
                .collect();
            let strangers = Strangers::of(persons.iter().copied());
            let numbered: Vec<_> = (0..strangers.pairs()).map(|nth| strangers.pair(nth)).collect();
            prop_assert_eq!(numbered, listed);
        }
    }
}
