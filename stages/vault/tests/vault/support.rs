//! Stores in temporary folders.

use std::path::{Path, PathBuf};

use shiren_contract::seal::PersonOf;
use shiren_schemas::Id;
use shiren_vault::{FileVault, KekSource, KeyState, LibraryState, VaultOptions};
use tempfile::TempDir;

/// Seconds of an epoch here.
pub const EPOCH_S: i64 = 900;
/// An epoch's start, Unix seconds.
pub const START_S: i64 = 1_795_860_000;
/// A moment in that epoch.
pub const NOW_US: i64 = (START_S + 100) * 1_000_000;
pub const HOUR_US: i64 = 3_600_000_000;
pub const DAY_US: i64 = 24 * HOUR_US;

/// A folder for one store, removed with this.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn dir(&self) -> PathBuf {
        self.0.path().join("vault")
    }

    pub fn kek(&self) -> PathBuf {
        self.0.path().join("kek")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn options(&self) -> VaultOptions {
        VaultOptions::new(self.dir(), KekSource::File(self.kek()))
    }

    pub fn init(&self) -> FileVault {
        FileVault::init(self.options()).unwrap()
    }

    pub fn open(&self) -> FileVault {
        FileVault::open(self.options()).unwrap()
    }

    /// The folder of [`LIBRARY`].
    pub fn library(&self) -> PathBuf {
        self.dir().join(format!("persons/default/{LIBRARY}"))
    }

    /// The file of the only person of [`LIBRARY`].
    pub fn only_person(&self) -> PathBuf {
        let names = std::fs::read_dir(self.library()).unwrap();
        let paths = names.map(|name| name.unwrap().path());
        let is_person = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.ends_with(".key") && name != "library.key"
        };
        let persons: Vec<_> = paths.filter(is_person).collect();
        assert_eq!(persons.len(), 1, "{persons:?}");
        persons.into_iter().next().unwrap()
    }

    /// The file of a key.
    pub fn key(&self, tenant: &str, epoch: i64) -> PathBuf {
        self.dir().join(format!("keys/{tenant}/{epoch}.key"))
    }
}

pub const LIBRARY: Id = Id(*b"library of doors");

/// A person of [`LIBRARY`].
pub fn person(person: &str) -> PersonOf<'_> {
    PersonOf {
        tenant: "default",
        library: LIBRARY,
        person,
    }
}

/// Persons that have a key, by the store's count; `None`: no such library.
pub fn persons(vault: &FileVault) -> Option<LibraryState> {
    let libraries = vault.list_libraries(Some("default")).unwrap();
    let mut states = libraries.into_iter().filter(|l| l.library == LIBRARY);
    states.next().map(|library| library.state)
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Key ids with a word for how they stand.
pub fn states(vault: &FileVault) -> Vec<(String, &'static str)> {
    let word = |state: &KeyState| match state {
        KeyState::Live { .. } => "live",
        KeyState::Destroyed { .. } => "destroyed",
        KeyState::Damaged { .. } => "damaged",
    };
    let keys = vault.list(None).unwrap();
    keys.iter()
        .map(|key| (key.id.to_string(), word(&key.state)))
        .collect()
}
