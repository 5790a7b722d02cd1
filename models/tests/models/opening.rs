//! Files that are missing, damaged or not what the manifest says stop the start.

use std::path::Path;

use shiren_models::files::{FileState, verify};
use shiren_models::{
    DetectorOptions, FaceDetector, FaceEmbedder, Manifest, ModelError, ModelOptions, Models,
};

use crate::support::{FETCH, home, manifest};

/// A cache folder with links to the real one's files.
fn linked_home() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["lib", "models"] {
        std::fs::create_dir(folder.path().join(part)).unwrap();
        let entries = std::fs::read_dir(home().join(part))
            .unwrap_or_else(|error| panic!("{part}: {error}: {FETCH}"));
        for entry in entries.map(Result::unwrap) {
            let path = entry.path().canonicalize().unwrap();
            std::os::unix::fs::symlink(path, folder.path().join(part).join(entry.file_name()))
                .unwrap();
        }
    }
    folder
}

fn open(home: &Path) -> Result<Models, ModelError> {
    Models::open(&manifest(), home, "open", ModelOptions::default())
}

#[test]
fn what_was_fetched_is_whole() {
    // Set-up fetches what a profile names; the manifest has more.
    for profile in ["open", "accurate"] {
        let checks = verify(&manifest(), &home(), Some(profile)).unwrap();
        assert_eq!(checks.len(), 7, "ONNX Runtime and six weights");
        for check in checks {
            assert_eq!(
                check.state,
                FileState::Ok,
                "{}: {FETCH}",
                check.path.display()
            );
        }
    }
}

#[test]
fn a_missing_file_is_named() {
    let home = linked_home();
    assert!(open(home.path()).is_ok());
    let file = home.path().join("models/dlib-resnet29.onnx");
    std::fs::remove_file(&file).unwrap();
    let error = open(home.path()).err().unwrap();
    assert_eq!(error.code().id, "model_file_missing");
    assert!(
        error.to_string().contains("dlib-resnet29.onnx")
            && error.to_string().contains("models fetch")
    );
    let checks = verify(&manifest(), home.path(), Some("open")).unwrap();
    let missing: Vec<_> = checks
        .iter()
        .filter(|check| check.state != FileState::Ok)
        .map(|check| (&check.state, check.path.file_name()))
        .collect();
    assert_eq!(checks.len(), 7, "ONNX Runtime and six weights");
    assert_eq!(missing, [(&FileState::Missing, file.file_name())]);
}

#[test]
fn one_changed_byte_is_another_file() {
    for part in ["models/centerface.onnx", "lib"] {
        let home = linked_home();
        let mut file = home.path().join(part);
        if part == "lib" {
            file = std::fs::read_dir(&file)
                .unwrap()
                .next()
                .unwrap()
                .unwrap()
                .path();
        }
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, &bytes).unwrap();
        let error = open(home.path()).err().unwrap();
        assert_eq!(error.code().id, "model_hash_mismatch", "{error}");
        assert!(error.to_string().contains(&file.display().to_string()));
        std::fs::write(&file, &bytes[1..]).unwrap();
        assert_eq!(
            open(home.path()).err().unwrap().code().id,
            "model_hash_mismatch"
        );
        let checks = verify(&manifest(), home.path(), Some("open")).unwrap();
        assert_eq!(
            checks
                .iter()
                .filter(|check| check.state == FileState::WrongHash)
                .count(),
            1
        );
    }
}

#[test]
fn a_network_of_another_shape_is_refused() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("manifest.toml"))
        .unwrap();
    for (from, to, model) in [
        (
            "embedding_size = 128",
            "embedding_size = 127",
            "dlib-resnet29",
        ),
        ("size = [150, 150]", "size = [160, 160]", "dlib-resnet29"),
        (
            "names = [\"output\"]",
            "names = [\"outptu\"]",
            "dlib-resnet29",
        ),
        ("name = \"input.1\"", "name = \"input.2\"", "centerface"),
        ("\"537\", \"538\"", "\"538\", \"537\"", "centerface"),
    ] {
        assert_ne!(text.replace(from, to), text, "{from}");
        let manifest = Manifest::parse(&text.replace(from, to)).unwrap();
        let error = if model == "centerface" {
            FaceDetector::open(&manifest, &home(), model, DetectorOptions::default()).err()
        } else {
            FaceEmbedder::open(&manifest, &home(), model, 1).err()
        };
        let error = error.unwrap_or_else(|| panic!("{to} was taken"));
        assert_eq!(error.code().id, "model_shape_mismatch", "{error}");
        assert!(error.to_string().contains(model), "{error}");
    }
}

#[test]
fn a_model_in_the_wrong_role_is_refused() {
    let (manifest, home) = (manifest(), home());
    assert!(
        FaceDetector::open(
            &manifest,
            &home,
            "dlib-resnet29",
            DetectorOptions::default()
        )
        .is_err()
    );
    assert!(FaceEmbedder::open(&manifest, &home, "centerface", 1).is_err());
    assert!(Models::open(&manifest, &home, "opne", ModelOptions::default()).is_err());
}
