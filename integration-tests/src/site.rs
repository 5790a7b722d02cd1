//! Sites for tests: the shipped topology with another log or other segments.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use shiren::site::Site;
use shiren::stages;

/// Folder of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the repository")
}

/// `SHIREN_HOME`, or the repository's `.shiren`.
#[must_use]
pub fn home() -> PathBuf {
    std::env::var_os("SHIREN_HOME").map_or_else(|| root().join(".shiren"), PathBuf::from)
}

/// The `shiren` program, built beside this test.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    let program = test
        .ancestors()
        .nth(2)
        .expect("target folder")
        .join("shiren");
    assert!(
        program.exists(),
        "{}: not built; run scripts/test",
        program.display()
    );
    program
}

/// The shipped topology.toml, with each pair's first text replaced by its second.
///
/// # Panics
/// When a text is not in it.
#[must_use]
pub fn topology(changes: &[(&str, &str)]) -> String {
    let mut text = std::fs::read_to_string(root().join("topology.toml")).expect("topology.toml");
    let manifest = root().join("models/manifest.toml");
    text = text.replace(
        "[models]\n",
        &format!("[models]\nmanifest = {manifest:?}\n"),
    );
    for (from, to) in changes {
        assert!(text.contains(from), "topology.toml has no {from:?}");
        text = text.replace(from, to);
    }
    text
}

/// The change of [`topology`] that looks for large faces only: a case then takes few milliseconds.
pub const LARGE_FACES: (&str, &str) = ("min_face_px = 40 ", "min_face_px = 120 ");

/// The change of [`topology`] to small bundles: more commits for the same events.
pub const SMALL_BUNDLES: (&str, &str) = ("max_records = 16", "max_records = 4");

/// Most records of a bundle then.
pub const SMALL_BUNDLE_MAX_RECORDS: u32 = 4;

/// The change of [`topology`] that gives each stage a segment of its own.
pub const ONE_STAGE_A_SEGMENT: (&str, &str) = (
    "[segment.front]\nstages = [\"admit\", \"decode\", \"detect\", \"quality\", \"liveness\", \"embed\", \"match\", \"enrol\", \"authority-verify\"]\nworkers = 1 ",
    "[segment.admit]\nstages = [\"admit\"]\n[segment.decode]\nstages = [\"decode\"]\n[segment.detect]\nstages = [\"detect\"]\n\
     [segment.quality]\nstages = [\"quality\"]\n[segment.liveness]\nstages = [\"liveness\"]\n[segment.embed]\nstages = [\"embed\"]\n[segment.match]\nstages = [\"match\"]\n\
     [segment.enrol]\nstages = [\"enrol\"]\n[segment.authority-verify]\nstages = [\"authority-verify\"]\nworkers = 1 ",
);

/// The stages of the shipped chain, in its order: segments of [`ONE_STAGE_A_SEGMENT`].
pub const STAGES: [&str; 9] = [
    "admit",
    "decode",
    "detect",
    "quality",
    "liveness",
    "embed",
    "match",
    "enrol",
    "authority-verify",
];

/// The change of [`topology`] that takes the face library from a Qdrant server at `url`.
#[must_use]
pub fn library_at(url: &str) -> (&'static str, String) {
    let server = format!("engine = \"server\"\nurl = {url:?}             # match and enrol");
    (
        "engine = \"embedded\"             # match and enrol",
        server,
    )
}

/// The changes of [`topology`] that put the key store into `folder`.
#[must_use]
pub fn vault_in(folder: &Path) -> [(&'static str, String); 2] {
    let path = |name: &str| format!("{:?}", folder.join(name));
    [
        ("dir = \"vault\"", format!("dir = {}", path("vault"))),
        (
            "kek_file = \"vault/kek\"",
            format!("kek_file = {}", path("kek")),
        ),
    ]
}

/// A site whose embedded log, key store, face library and register lie in `folder`.
///
/// # Panics
/// When the topology is refused.
#[must_use]
pub fn embedded(folder: &Path, changes: &[(&str, &str)]) -> Arc<Site> {
    let log = format!("dir = {:?}", folder.join("log"));
    let vault = vault_in(folder);
    let path = |name: &str| format!("{:?}", folder.join(name));
    let register = [
        (
            "\nfile = \"register\"",
            format!("\nfile = {}", path("register")),
        ),
        (
            "kek_file = \"register.kek\"",
            format!("kek_file = {}", path("register.kek")),
        ),
    ];
    let library = format!("dir = {}", path("library"));
    let mut all = vec![
        ("dir = \"log\"", log.as_str()),
        ("dir = \"library\"", library.as_str()),
    ];
    all.extend(register.iter().map(|(from, to)| (*from, to.as_str())));
    all.extend(vault.iter().map(|(from, to)| (*from, to.as_str())));
    all.extend_from_slice(changes);
    let file = folder.join("topology.toml");
    std::fs::write(&file, topology(&all)).expect("written");
    Arc::new(Site::open(&file, &home(), &stages::descriptors()).expect("a sound topology"))
}
