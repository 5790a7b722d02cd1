use super::*;
use crate::policy::check;

const KIND: RequestKind = RequestKind::Compare;

fn requires(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn names_are_unique_labels() {
    let mut names: Vec<&str> = ALL.iter().map(|invariant| invariant.name).collect();
    let is_label = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    assert!(names.iter().all(is_label));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ALL.len());
}

#[test]
fn an_accept_needs_what_it_asks_and_what_is_required() {
    let required = requires(&[policy::COMPARISON, policy::LIVENESS]);
    let accept = |checks: &[Check], faults| {
        no_accept_on_failure(KIND, Decision::Accept, checks, faults, Some(&required))
    };
    let passed = |name| check(name, CheckState::Passed, None);
    let both = [passed(policy::COMPARISON), passed(policy::LIVENESS)];
    assert_eq!(accept(&both, 0), Ok(()));
    assert!(accept(&both, 1).is_err());
    assert!(accept(&both[..1], 0).is_err());
    assert!(accept(&both[1..], 0).is_err());
    for state in CheckState::ALL {
        if *state != CheckState::Passed {
            let one = [both[0].clone(), check(policy::LIVENESS, *state, None)];
            assert!(accept(&one, 0).is_err(), "{state}");
            let twice = [both.to_vec(), one[1..].to_vec()].concat();
            assert!(accept(&twice, 0).is_err(), "{state} beside passed");
        }
    }
}

#[test]
fn an_accept_by_an_unknown_policy_or_of_a_kind_that_asks_nothing_is_none() {
    let checks = [check(policy::COMPARISON, CheckState::Passed, None)];
    let accept =
        |kind, requires| no_accept_on_failure(kind, Decision::Accept, &checks, 0, requires);
    assert!(accept(KIND, None).is_err());
    assert!(accept(RequestKind::Detect, Some(&[])).is_err());
    assert_eq!(accept(KIND, Some(&[])), Ok(()));
}

#[test]
fn other_decisions_may_have_failed() {
    for decision in Decision::ALL {
        if *decision != Decision::Accept {
            let done = no_accept_on_failure(KIND, *decision, &[], 1, None);
            assert_eq!(done, Ok(()), "{decision}");
            assert_eq!(no_verdict_past_deadline(*decision, 9, Some(1)), Ok(()));
        }
    }
}

#[test]
fn nothing_is_accepted_after_its_deadline() {
    let accept = |decided, deadline| no_verdict_past_deadline(Decision::Accept, decided, deadline);
    assert_eq!(accept(5, Some(5)), Ok(()));
    assert_eq!(accept(5, None), Ok(()));
    assert!(accept(6, Some(5)).is_err());
}

#[test]
fn a_case_that_ends_otherwise_is_found_and_one_that_does_not_end_too() {
    let (one, other) = (Sha256([1; 32]), Sha256([2; 32]));
    let case = shiren_schemas::ids::case("topic", "request");
    let verdict = shiren_schemas::ids::verdict(case);
    let mut terminals = Terminals::all();
    assert!(terminals.ended([case]).is_err());
    assert_eq!(terminals.add(verdict, one), Ok(Seen::First));
    assert_eq!(terminals.add(verdict, one), Ok(Seen::Again));
    assert!(terminals.add(verdict, other).is_err());
    assert_eq!(terminals.ended([case]), Ok(()));
}

#[test]
fn only_the_newest_are_remembered_where_that_is_asked() {
    let ids = ["a", "b", "c"].map(|name| shiren_schemas::ids::case("topic", name));
    let mut terminals = Terminals::newest(2);
    for id in ids {
        assert_eq!(terminals.add(id, Sha256([0; 32])), Ok(Seen::First));
    }
    assert_eq!(terminals.add(ids[2], Sha256([0; 32])), Ok(Seen::Again));
    assert_eq!(terminals.add(ids[0], Sha256([0; 32])), Ok(Seen::First));
}

#[test]
fn a_partition_goes_on_where_it_is_committed() {
    let bundle = |offsets: &[i64]| -> Vec<(&'static u8, i64)> {
        offsets.iter().map(|offset| (&7, *offset)).collect()
    };
    for dense in [false, true] {
        let mut progress = Progress::new(dense);
        assert_eq!(progress.read(bundle(&[3, 4])), Ok(()));
        progress.committed(bundle(&[3, 4]));
        assert!(progress.read(bundle(&[4])).is_err(), "again");
        assert_eq!(progress.read(bundle(&[6])).is_ok(), !dense, "a marker");
        progress.forget();
        assert_eq!(progress.read(bundle(&[5])), Ok(()));
        // Not committed: it comes again.
        assert!(progress.read(bundle(&[6])).is_err(), "left out");
        assert_eq!(progress.read(bundle(&[5, 6])), Ok(()));
        assert!(progress.read(bundle(&[5, 5])).is_err(), "twice");
        assert_eq!(progress.read(bundle(&[5, 7])).is_ok(), !dense);
        progress.forget();
        assert_eq!(progress.read(bundle(&[1])), Ok(()), "another assignment");
    }
}

#[test]
fn state_and_memory() {
    assert_eq!(state_matches_offset(Some(4), Some(4)), Ok(()));
    assert!(state_matches_offset(Some(5), Some(4)).is_err());
    assert!(state_matches_offset(None, Some(4)).is_err());
    assert_eq!(asked_once(Id([7; 16]), 1), Ok(()));
    let twice = asked_once(Id([7; 16]), 2).unwrap_err();
    assert_eq!(twice.invariant, ASKED_ONCE);
    assert_eq!(memory_within_budget(4, 4), Ok(()));
    let over = memory_within_budget(5, 4).unwrap_err();
    assert_eq!(
        over.to_string(),
        "memory_within_budget does not hold: 5 held, 4 allowed"
    );
}
