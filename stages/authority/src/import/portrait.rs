//! Portraits' files, below one folder.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use shiren_contract::codes::{self, Code};
use zeroize::Zeroizing;

/// Why a portrait gives no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortraitRefused {
    /// The code of what is wrong with the picture, as `no_face`.
    pub code: Code,
    /// The same in words, with nothing of the person.
    pub what: String,
}

/// The folder that portraits may lie in.
pub(super) struct Folder<'a> {
    path: &'a Path,
    max_bytes: u32,
}

/// Code and words. The path is not in them: files are called like persons.
type Refused = (Code, String);

impl<'a> Folder<'a> {
    pub(super) fn new(path: &'a Path, max_bytes: u32) -> Self {
        Self { path, max_bytes }
    }

    /// The bytes of the file at a path below the folder.
    pub(super) fn read(&self, below: &str) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let path = self.find(below)?;
        let failed = |error: io::Error| unreadable(&error.to_string());
        let file = File::open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(unreadable("it is no file"));
        }
        let limit = u64::from(self.max_bytes);
        let mut bytes = Zeroizing::new(Vec::new());
        if found.len() <= limit {
            // Sized first: a vector that grows leaves copies behind.
            bytes.reserve_exact(usize::try_from(found.len()).unwrap_or(0) + 1);
            file.take(limit + 1)
                .read_to_end(&mut bytes)
                .map_err(failed)?;
        }
        if found.len().max(bytes.len() as u64) > limit {
            let what =
                format!("the portrait has more than register_portrait_max_bytes = {limit} bytes");
            return Err((codes::PORTRAIT_TOO_LARGE, what));
        }
        Ok(bytes)
    }

    fn find(&self, below: &str) -> Result<PathBuf, Refused> {
        let outside = || {
            let what = "the portrait's path is absolute or leads out of the folder of portraits";
            (codes::PORTRAIT_OUTSIDE_FOLDER, what.to_owned())
        };
        let is_below = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if !Path::new(below).components().all(is_below) {
            return Err(outside());
        }
        let real = |path: &Path| match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let what = "there is no file at the portrait's path in the folder of portraits";
                Err((codes::PORTRAIT_MISSING, what.to_owned()))
            }
            Err(error) => Err(unreadable(&error.to_string())),
            Ok(path) => Ok(path),
        };
        // Links are followed, but not out of the folder.
        let (folder, path) = (real(self.path)?, real(&self.path.join(below))?);
        match path.starts_with(folder) {
            true => Ok(path),
            false => Err(outside()),
        }
    }
}

fn unreadable(why: &str) -> Refused {
    (
        codes::PORTRAIT_UNREADABLE,
        format!("the portrait cannot be read: {why}"),
    )
}
