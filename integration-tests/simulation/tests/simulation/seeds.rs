//! Many seeds hold every invariant; a mutation of each is found.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Instant;

use shiren_simulation::{Mutation, Site, run, run_all};

/// Seeds that must hold.
const SEEDS: u64 = 1_000;
/// Seeds within which a mutation must be found.
const MUTATION_SEEDS: u64 = 100;

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let home = std::env::var_os("SHIREN_HOME").map_or_else(|| root.join(".shiren"), PathBuf::from);
    Site::recorded(&root.join("models/manifest.toml"), &home).unwrap()
});

#[test]
fn a_thousand_seeds_hold_every_invariant() {
    let site = &*SITE;
    let begun = Instant::now();
    let (injected, failures) = run_all(site, 0, SEEDS);
    println!("{injected:#?}");
    println!("{SEEDS} seeds in {:.1} s", begun.elapsed().as_secs_f64());
    assert!(failures.is_empty(), "{failures:#?}");
    // Each fault really happened.
    let counts = [
        injected.retries,
        injected.unknown_landed,
        injected.unknown_not_landed,
        injected.landed_late,
        injected.crashes,
        injected.revocations,
        injected.unavailable,
        injected.asks,
        injected.aborted_late,
        injected.duplicates,
        injected.conflicts,
    ];
    assert_eq!(injected.verdicts_doubled, 0);
    assert!(
        counts.iter().all(|count| *count > SEEDS / 10),
        "{injected:#?}"
    );
}

#[test]
fn a_seed_gives_the_same_each_time() {
    for seed in 0..20 {
        let once = run(&SITE, seed, None).unwrap();
        let again = run(&SITE, seed, None).unwrap();
        assert_eq!(once.injected, again.injected, "seed {seed}");
    }
}

/// Runs seeds until the mutation is found by this invariant; before that another one may find it too.
fn finds(mutation: Mutation, invariant: &str) {
    for seed in 0..MUTATION_SEEDS {
        let found = run(&SITE, seed, Some(mutation)).unwrap().violation;
        if let Some(violation) = found {
            println!("{mutation:?}: seed {seed}: {violation}");
            if violation.invariant.name == invariant {
                return;
            }
        }
    }
    panic!("{mutation:?} did not break {invariant} in {MUTATION_SEEDS} seeds");
}

#[test]
fn offsets_before_outputs_are_found() {
    finds(Mutation::OffsetsBeforeOutputs, "one_terminal_per_case");
}

#[test]
fn outputs_dropped_after_a_commit_are_found() {
    finds(Mutation::OutputsDropped, "one_terminal_per_case");
}

#[test]
fn a_rerun_that_decides_otherwise_is_found() {
    finds(Mutation::RerunDiffers, "one_terminal_per_case");
}

#[test]
fn an_offset_that_skips_is_found() {
    finds(Mutation::OffsetSkips, "offsets_never_skip");
}

#[test]
fn a_commit_after_revocation_is_found() {
    finds(Mutation::CommitAfterRevocation, "offsets_never_skip");
}

#[test]
fn accept_on_failure_is_found() {
    finds(Mutation::AcceptOnFailure, "no_accept_on_failure");
}

#[test]
fn a_clock_that_stands_is_found() {
    finds(Mutation::ClockStands, "no_verdict_past_deadline");
}

#[test]
fn an_unbounded_bundle_is_found() {
    finds(Mutation::BundleUnbounded, "memory_within_budget");
}

#[test]
fn a_forgotten_change_is_found() {
    finds(Mutation::ChangeForgotten, "state_matches_offset");
}

#[test]
fn state_that_is_not_written_is_found() {
    finds(Mutation::StateNotWritten, "state_matches_offset");
}

#[test]
fn a_verdict_of_another_case_is_found() {
    finds(Mutation::VerdictIdDiffers, "verdict_of_its_case");
}

#[test]
fn an_intent_that_is_not_written_is_found() {
    finds(Mutation::IntentNotWritten, "asked_once");
}
