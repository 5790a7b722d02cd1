//! The same person against others, by both profiles.

use shiren_contract::raster::Rgb8;
use shiren_models::calibration::Table;
use shiren_models::crop::{SIDE_FACTOR, context_crop};
use shiren_models::{FaceEmbedder, ModelOptions, Models, Template, score};

use crate::support::{FETCH, home, manifest, only_face, picture};

const PEOPLE: [&[&str]; 6] = [
    &["obama.jpg", "obama2.jpg", "obama3.jpg", "obama4.jpg"],
    &["franck_01829.jpg", "franck_02221.jpg", "franck_03979.jpg"],
    &["biden.jpg"],
    &["connery.jpg"],
    &["audrey.jpg", "audrey_crop.jpg"],
    &["cage.jpg", "cage2.jpg"],
];

fn models(profile: &str) -> Models {
    Models::open(&manifest(), &home(), profile, ModelOptions::default())
        .unwrap_or_else(|error| panic!("{error}: {FETCH}"))
}

fn template(models: &mut Models, picture: &Rgb8) -> Template {
    let face = only_face(&mut models.detector, picture);
    let crop = context_crop(picture, &face, SIDE_FACTOR, 384).unwrap();
    models
        .embedder
        .embed(&crop.pixels, &crop.face.landmarks)
        .unwrap()
}

fn swapped(picture: &Rgb8) -> Rgb8 {
    let data = picture
        .data()
        .chunks_exact(3)
        .flat_map(|pixel| [pixel[2], pixel[1], pixel[0]])
        .collect();
    Rgb8::new(picture.width(), picture.height(), data).unwrap()
}

fn compare(embedder: &FaceEmbedder, a: &Template, b: &Template) -> f64 {
    score::compare(a, b, embedder.metric()).unwrap().into()
}

#[test]
fn one_person_is_told_from_others_at_the_calibrated_threshold() {
    for profile in ["open", "accurate"] {
        let mut models = models(profile);
        let manifest = manifest();
        let table =
            Table::load(&manifest.calibration_path(models.embedder.model()).unwrap()).unwrap();
        assert_eq!(table.model(), models.embedder.model());
        let threshold = table.threshold(1e-3).unwrap().threshold;
        let templates: Vec<(usize, Template)> = PEOPLE
            .iter()
            .enumerate()
            .flat_map(|(person, names)| names.iter().map(move |name| (person, *name)))
            .map(|(person, name)| (person, template(&mut models, &picture(name))))
            .collect();
        for (index, (person, a)) in templates.iter().enumerate() {
            assert_eq!(a.values.len(), models.embedder.embedding_size());
            for (other, b) in &templates[..index] {
                let score = compare(&models.embedder, a, b);
                assert_eq!(
                    score >= threshold,
                    person == other,
                    "{profile}: {person} and {other} score {score}, threshold {threshold}"
                );
            }
        }
    }
}

/// Case C03: exchanged colours must show, or a path that exchanges them would go unseen.
#[test]
fn a_picture_with_red_and_blue_exchanged_scores_lower() {
    for profile in ["open", "accurate"] {
        let mut models = models(profile);
        for [probe, reference] in [
            ["obama.jpg", "obama3.jpg"],
            ["franck_01829.jpg", "franck_02221.jpg"],
        ] {
            let (probe, reference) = (picture(probe), picture(reference));
            let wanted = template(&mut models, &reference);
            let right = template(&mut models, &probe);
            let wrong = template(&mut models, &swapped(&probe));
            let (right, wrong) = (
                compare(&models.embedder, &wanted, &right),
                compare(&models.embedder, &wanted, &wrong),
            );
            assert!(wrong < right, "{profile}: exchanged {wrong}, right {right}");
        }
    }
}

#[test]
fn the_same_face_gives_the_same_bits() {
    for profile in ["open", "accurate"] {
        let mut models = models(profile);
        let (a, b) = (picture("obama.jpg"), picture("biden.jpg"));
        let before = template(&mut models, &a);
        template(&mut models, &b);
        assert_eq!(template(&mut models, &a), before);
        assert_eq!(template(&mut self::models(profile), &a), before);
    }
}

#[test]
fn landmarks_without_extent_give_no_template() {
    let mut models = models("open");
    let error = models
        .embedder
        .embed(&picture("obama.jpg"), &[[50.0, 50.0]; 5])
        .unwrap_err();
    assert_eq!(error.code().id, "template_invalid");
}
