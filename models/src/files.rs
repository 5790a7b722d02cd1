//! The files of the cache folder against the manifest's hashes.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::ModelError;
use crate::manifest::{Manifest, ModelEntry};

/// Longest shared library that is hashed, in bytes.
const MAX_LIBRARY_BYTES: u64 = 512 << 20;

/// One file that a profile needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCheck {
    /// Model's name, or `onnxruntime`.
    pub name: String,
    /// Where the file is looked for.
    pub path: PathBuf,
    /// How it was found.
    pub state: FileState,
}

/// How a file was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// There, with the manifest's hash.
    Ok,
    /// Not there.
    Missing,
    /// There, another file.
    WrongHash,
    /// There, and the system does not let it be read: its reason.
    Unreadable(String),
}

/// Where a model's ONNX file lies under `home`, the cache folder.
#[must_use]
pub fn model_path(home: &Path, entry: &ModelEntry) -> PathBuf {
    home.join("models").join(&entry.onnx.file)
}

/// Checks the runtime's library and each model under `home`, the cache folder; `profile` narrows the
/// models to one profile's.
///
/// # Errors
/// [`ModelError::Manifest`] for an unknown profile or a processor without a library. A bad file is
/// no error here but a state of its entry.
pub fn verify(
    manifest: &Manifest,
    home: &Path,
    profile: Option<&str>,
) -> Result<Vec<FileCheck>, ModelError> {
    let models: Vec<&str> = match profile {
        Some(name) => {
            let models = manifest.profile(name)?.models();
            models.map(|(_, model)| model).collect()
        }
        None => manifest.model.keys().map(String::as_str).collect(),
    };
    let (build, file) = manifest.runtime()?;
    let library = home.join("lib").join(file);
    let mut checks = vec![FileCheck {
        name: "onnxruntime".into(),
        state: state_of(hash_file(&library, &build.file_sha256, MAX_LIBRARY_BYTES)),
        path: library,
    }];
    for name in models {
        let entry = manifest.model(name)?;
        let path = model_path(home, entry);
        let state = state_of(read_checked(&path, &entry.onnx.sha256, entry.onnx.bytes));
        checks.push(FileCheck {
            name: name.into(),
            path,
            state,
        });
    }
    Ok(checks)
}

fn state_of<T>(result: Result<T, ModelError>) -> FileState {
    match result {
        Ok(_) => FileState::Ok,
        Err(ModelError::FileMissing { .. }) => FileState::Missing,
        Err(ModelError::WrongHash { .. }) => FileState::WrongHash,
        Err(error) => FileState::Unreadable(error.to_string()),
    }
}

/// The library's path and sha256, checked.
pub(crate) fn checked_library(
    manifest: &Manifest,
    home: &Path,
) -> Result<(PathBuf, String), ModelError> {
    let (build, file) = manifest.runtime()?;
    let path = home.join("lib").join(file);
    hash_file(&path, &build.file_sha256, MAX_LIBRARY_BYTES)?;
    Ok((path, build.file_sha256.clone()))
}

/// The file's bytes, once length and hash are the manifest's: what was hashed is what is loaded.
pub(crate) fn read_checked(path: &Path, sha256: &str, bytes: u64) -> Result<Vec<u8>, ModelError> {
    let (file, length) = open(path)?;
    if length != bytes {
        let found = format!("not computed ({length} bytes instead of {bytes})");
        return Err(wrong(path, sha256, found));
    }
    let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
    file.take(bytes + 1)
        .read_to_end(&mut content)
        .map_err(|error| unreadable(path, &error))?;
    let found = hex(&Sha256::digest(&content));
    if found == sha256 {
        Ok(content)
    } else {
        Err(wrong(path, sha256, found))
    }
}

fn hash_file(path: &Path, sha256: &str, max_bytes: u64) -> Result<(), ModelError> {
    let (mut file, length) = open(path)?;
    if length > max_bytes {
        return Err(wrong(
            path,
            sha256,
            format!("not computed ({length} bytes)"),
        ));
    }
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file
            .read(&mut buffer)
            .map_err(|error| unreadable(path, &error))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    let found = hex(&hasher.finalize());
    if found == sha256 {
        Ok(())
    } else {
        Err(wrong(path, sha256, found))
    }
}

fn open(path: &Path) -> Result<(File, u64), ModelError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ModelError::FileMissing { path: path.into() },
        _ => unreadable(path, &error),
    })?;
    let length = file
        .metadata()
        .map_err(|error| unreadable(path, &error))?
        .len();
    Ok((file, length))
}

fn unreadable(path: &Path, error: &std::io::Error) -> ModelError {
    ModelError::FileUnreadable {
        path: path.into(),
        why: error.to_string(),
    }
}

fn wrong(path: &Path, wanted: &str, found: String) -> ModelError {
    ModelError::WrongHash {
        path: path.into(),
        wanted: wanted.into(),
        found,
    }
}

/// sha256 of bytes, hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text file of at most `max_bytes`; else what is wrong with it.
pub(crate) fn read_text(path: &Path, max_bytes: u64) -> Result<String, String> {
    let length = std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .len();
    if length > max_bytes {
        return Err(format!("has {length} bytes, more than {max_bytes}"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}
