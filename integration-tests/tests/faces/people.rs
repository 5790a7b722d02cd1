//! Who is taken for whom, over the labelled portraits, at the shipped scene (one stranger in 1,000).

use shiren_schemas::records::Decision;

use crate::chain::chain;
use crate::pictures::{Listed, file, people, portraits};

#[test]
fn strangers_are_rejected() {
    let mut chain = chain();
    let people: Vec<(Listed, Vec<u8>)> = people()
        .into_iter()
        .map(|p| (p.clone(), file(&p.name)))
        .collect();
    let (mut pairs, mut closest) = (0, 0.0_f64);
    for (index, (person, probe)) in people.iter().enumerate() {
        for (other, reference) in &people[index + 1..] {
            pairs += 1;
            let answer = chain.compare(probe, reference);
            let what = format!("{} and {}: {}", person.name, other.name, answer.summary());
            assert_eq!(answer.decision(), Decision::Reject, "{what}");
            closest = answer
                .evidence
                .comparison
                .map_or(closest, |c| closest.max(c.score));
        }
    }
    println!("{pairs} pairs of strangers, none accepted, the closest at {closest:.4}");
    assert!(pairs >= 190, "{pairs} pairs");
}

#[test]
fn the_same_person_is_accepted() {
    let mut chain = chain();
    let all = portraits();
    let (mut pairs, mut missed) = (0, Vec::new());
    for (index, one) in all.iter().enumerate() {
        for other in all[index + 1..]
            .iter()
            .filter(|other| other.identity == one.identity)
        {
            pairs += 1;
            let answer = chain.compare(&file(&one.name), &file(&other.name));
            let what = format!("{} and {}: {}", one.name, other.name, answer.summary());
            assert_ne!(answer.decision(), Decision::Error, "{what}");
            if answer.decision() != Decision::Accept {
                missed.push(what);
            }
        }
    }
    println!("{} of {pairs} genuine pairs accepted", pairs - missed.len());
    assert!(
        pairs >= 60 && missed.len() <= 1,
        "of {pairs} not accepted: {missed:#?}"
    );
}
