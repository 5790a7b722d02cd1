//! Searches by hand, on templates of one number: the score is 1 - distance.

use super::*;

fn people(faces: &[(usize, f32)]) -> People {
    let faces = faces.iter().map(|(person, value)| {
        let (model, values) = ("m".to_owned(), vec![*value]);
        (*person, Template { model, values })
    });
    People::new(Metric::Euclidean, faces.collect()).unwrap()
}

/// Two pictures each of two persons, one of a third.
fn three() -> People {
    people(&[(0, 0.0), (0, 0.125), (1, 0.25), (1, 1.25), (2, 3.25)])
}

/// 1,000 impostor pairs: 900 below 0.2, 60 in 0.5 to 0.6, 40 in 0.8 to 0.9.
fn table() -> Table {
    let text = r#"version = 1
        name = "t"
        model = "m"
        reference_kinds = ["on_file"]
        population = { description = "d", people = 2, pictures = 4, measured = "2026", limits = "l" }
        sample = { genuine_pairs = 1, impostor_pairs = 1000, impostor_identity_pairs = 50 }
        histogram = { bin_width = 0.1, bins = [[0.1, 0, 900], [0.5, 0, 60], [0.8, 1, 40]] }"#;
    Table::parse(text, "here").unwrap()
}

#[test]
fn searches_are_mated_and_not() {
    let mated: Vec<_> = three().mated().collect();
    let found: Vec<_> = mated.iter().map(|s| (s.mate, s.other, s.faces)).collect();
    let wanted = [
        (Some(0.875), Some(0.75), 4),
        (Some(0.875), Some(0.875), 4),
        (Some(0.0), Some(0.875), 4),
        (Some(0.0), Some(-0.125), 4),
    ];
    assert_eq!(found, wanted);
    let non_mated: Vec<_> = three().non_mated().map(|s| (s.other, s.faces)).collect();
    let wanted = [(0.75, 3), (0.875, 3), (0.875, 3), (-0.125, 3), (-1.0, 4)];
    assert_eq!(non_mated, wanted.map(|(score, faces)| (Some(score), faces)));
    // A tie is not the first.
    let rank = three().not_at_rank_1().unwrap();
    assert_eq!((rank.errors, rank.n), (2, 4));
}

#[test]
fn the_target_is_judged_at_each_number_of_faces() {
    // FPIR 0.116 over three faces is FMR 0.0403, over four 0.0304: thresholds 0.6, where the gap begins, and extrapolated 0.9.
    let at = three().at_target(&table(), 0.116).unwrap();
    let points: Vec<_> = at.points.iter().map(|(faces, _)| *faces).collect();
    assert_eq!(points, [3, 4]);
    assert!((at.points[0].1.threshold - 0.6).abs() < 1e-9, "{at:?}");
    let (fpir, fnir) = (at.fpir.unwrap(), at.fnir.unwrap());
    assert_eq!((fpir.errors, fpir.n), (3, 5));
    assert_eq!((fnir.errors, fnir.n), (4, 4), "{at:?}");
}

#[test]
fn impostor_pairs_are_counted_once() {
    let reach = three().impostor_pairs_from(0.75).unwrap();
    assert_eq!((reach.errors, reach.n), (2, 8));
    assert_eq!(three().impostor_score_of(0.25), Some(0.75));
    assert_eq!(three().impostor_score_of(0.1), None);
}

#[test]
fn galleries_are_filled_with_distractors() {
    let people = people(&[(0, 0.0), (1, 0.3), (2, 2.0), (3, 2.5), (4, 3.0)]);
    let distractors = people.distractors().unwrap();
    assert_eq!(distractors.len(), 5);
    let table = table();
    let at = |faces| {
        let judged = (&table, 0.3);
        people
            .at_size(faces, 20, judged, &distractors, &mut Dice::of(1))
            .unwrap()
    };
    let small = at(4);
    assert_eq!((small.real_faces_mean, small.simulated), (4.0, None));
    assert_eq!(small.measured.unwrap().n, 100);
    // All four others are in it, and the threshold is 0.6: 0.0 and 0.3 are 0.7 alike, everybody else 0.5 at most.
    assert_eq!(small.measured.unwrap().errors, 40);
    let large = at(7);
    assert_eq!(large.real_faces_mean, 4.0);
    assert_eq!(large.simulated.unwrap().n, 300);
    assert!(large.fnir.is_none(), "nobody has two pictures");
    assert!(large.predicted.unwrap() > 0.0 && large.measured.unwrap().rate > 0.0);
}
