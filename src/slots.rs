//! Slots that a process takes by itself: a locked file each, in a folder that all processes of a stage share.
//!
//! A slot is part of the name that fences a predecessor (`transactional.id`): two live processes with one slot would
//! end each other's transactions. The kernel lets go of a lock when its process ends, however it ends, so a dead
//! process's slot goes to the next one, which ends the transaction that it left open (decision 0019).

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use anyhow::{Context, bail};
use shiren_runtime::SegmentOptions;

/// Slots of a stage that are tried: as many as a topic can have partitions, so that more would never have work.
const SLOTS_MAX: u32 = 1024;

/// Slots while they are held; the system lets go of them when the process ends.
#[derive(Debug)]
pub struct Held {
    _locks: Vec<File>,
}

/// Gives each of `segments` the lowest run of free slots that is as long as it has workers, by the locks in `dir`,
/// which is made where it is missing.
///
/// # Errors
/// `dir` cannot be made or written; every slot of a stage is held.
pub fn take(dir: &Path, segments: &mut [SegmentOptions]) -> anyhow::Result<Held> {
    std::fs::create_dir_all(dir)
        .with_context(|| format!("the folder of slots {} cannot be made", dir.display()))?;
    let mut locks = Vec::new();
    for segment in segments {
        // As in transactional ids: a stage keeps its slots when the layout changes.
        let stage = segment.stages.first().map_or("", String::as_str);
        let (first, held) = take_run(dir, stage, segment.workers)?;
        segment.first_slot = first;
        locks.extend(held);
    }
    Ok(Held { _locks: locks })
}

/// The first slot of the lowest free run, with its locks.
fn take_run(dir: &Path, stage: &str, workers: u32) -> anyhow::Result<(u32, Vec<File>)> {
    let mut run = Vec::new();
    for slot in 0..SLOTS_MAX {
        match lock(dir, stage, slot)? {
            Some(file) => run.push(file),
            None => run.clear(),
        }
        if run.len() == workers as usize {
            return Ok((slot + 1 - workers, run));
        }
    }
    bail!(
        "no {workers} slots of {stage} in a row are free in {}: {SLOTS_MAX} are looked at. Run fewer processes, or give each its --slot",
        dir.display()
    )
}

/// The lock of one slot, or `None` when another process holds it.
fn lock(dir: &Path, stage: &str, slot: u32) -> anyhow::Result<Option<File>> {
    let path = dir.join(format!("{stage}-{slot}"));
    let wrong = || format!("the slot {} cannot be locked", path.display());
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(wrong)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(stage: &str, workers: u32) -> SegmentOptions {
        SegmentOptions {
            name: "any".to_owned(),
            stages: vec![stage.to_owned()],
            workers,
            first_slot: 99,
        }
    }

    fn first(dir: &Path, stage: &str, workers: u32) -> (u32, Held) {
        let mut segments = [segment(stage, workers)];
        let held = take(dir, &mut segments).unwrap();
        (segments[0].first_slot, held)
    }

    #[test]
    fn no_slot_has_two_holders_and_the_lowest_free_one_is_taken_again() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("made");
        let (zero, first_held) = first(&dir, "detect", 1);
        let (one, _second) = first(&dir, "detect", 1);
        let (other_stage, _other) = first(&dir, "embed", 1);
        assert_eq!((zero, one, other_stage), (0, 1, 0));
        drop(first_held);
        // Two in a row are free behind the one that is held.
        let (pair, _pair) = first(&dir, "detect", 2);
        let (again, _again) = first(&dir, "detect", 1);
        assert_eq!((pair, again), (2, 0));
    }

    #[test]
    fn each_segment_of_a_process_has_slots_of_its_own_stage() {
        let folder = tempfile::tempdir().unwrap();
        let (_, _earlier) = first(folder.path(), "detect", 3);
        let mut segments = [segment("admit", 1), segment("detect", 2)];
        let _held = take(folder.path(), &mut segments).unwrap();
        assert_eq!(segments.map(|s| s.first_slot), [0, 3]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = take(&file, &mut [segment("admit", 1)]).unwrap_err();
        assert!(format!("{error:#}").contains("file"), "{error:#}");
    }
}
