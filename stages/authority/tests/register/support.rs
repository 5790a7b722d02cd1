//! Registers of SPECIMEN persons in temporary folders.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use shiren_authority::{
    Authority, AuthorityError, Check, IdempotencyKey, IdentityClaim, IdentityReply, Import,
    ImportError, ImportReport, LocalRegister, ModelId, PortraitRefused, RegisterOptions, Template,
    Validity,
};
use shiren_contract::codes;
use shiren_idcard::{Date, IdNumber, Name, check_digit};
use shiren_schemas::{Id, Sha256};
use shiren_vault::KekSource;
use tempfile::TempDir;

pub const TODAY: Date = Date::new(2026, 11, 28).unwrap();

/// The table that each register begins with.
pub const PERSONS: &str = "\
name,number,portrait,valid_from,valid_to
样本一,{110199 19900307 123},one.jpg,2020-05-01,2040-05-01
样本二,{110199 19900307 121},folder/two.jpg,,
样本,{110199 19851224 002},,,
样本三,{110199 19950815 010},,2016-01-01,2026-11-27
样本四,{110199 19950815 012},,2026-11-29,
𠮷样本验,{110199 20000229 004},,,
样本·测试,{110199 19700101 006},,,
Specimen Person,{830099 19600606 008},,,
";

/// Portraits' files: a text that `embed` understands, and what an image would hold besides.
pub const ONE: &str = "3,4,SPECIMEN PORTRAIT ONE, bytes that must not be found in a register";
pub const TWO: &str = "5,12,SPECIMEN PORTRAIT TWO, bytes that must not be found in a register";

/// Completes `region birth sequence` by the check character.
pub fn number(parts: &str) -> String {
    let body: String = parts.split(' ').collect();
    let check = check_digit(body.as_bytes().try_into().unwrap()).unwrap();
    format!("{body}{}", char::from(check))
}

/// Completes every `{region birth sequence}` of a table.
pub fn filled(table: &str) -> String {
    let mut text = String::new();
    let mut rest = table;
    while let Some((before, after)) = rest.split_once('{') {
        let (parts, after) = after.split_once('}').unwrap();
        text.push_str(before);
        text.push_str(&number(parts));
        rest = after;
    }
    text + rest
}

pub fn id_number(parts: &str) -> IdNumber {
    IdNumber::parse(&number(parts), TODAY).unwrap()
}

pub fn model(weights: u8) -> ModelId {
    ModelId {
        name: format!("net{weights}"),
        sha256: Sha256([weights; 32]),
    }
}

/// The two numbers at the beginning of a portrait's file; a file without them has no face.
pub fn embed(weights: u8) -> impl FnMut(&[u8]) -> Result<Template, PortraitRefused> {
    move |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let numbers: Vec<f32> = text.split(',').map_while(|n| n.parse().ok()).collect();
        Template::new(model(weights), numbers).map_err(|error| PortraitRefused {
            code: codes::NO_FACE,
            what: error.to_string(),
        })
    }
}

pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

pub fn key() -> IdempotencyKey {
    IdempotencyKey::derive("default", Id([1; 16]), Check::Identity)
}

/// A folder for one register, removed with this.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let portraits = place.portraits();
        std::fs::create_dir_all(portraits.join("folder")).unwrap();
        let large = format!("1,1,{}", "x".repeat(300));
        let files = [
            ("one.jpg", ONE),
            ("folder/two.jpg", TWO),
            ("no_face.jpg", "no numbers"),
            ("empty.jpg", ""),
            ("large.jpg", &large),
            ("../secret.jpg", ONE),
        ];
        for (name, text) in files {
            std::fs::write(portraits.join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("../secret.jpg", portraits.join("link.jpg")).unwrap();
        place
    }

    /// With the register of [`PERSONS`].
    pub fn with_persons() -> (Self, LocalRegister) {
        let place = Self::new();
        let register = LocalRegister::init(place.options()).unwrap();
        let report = place.import(&register, PERSONS).unwrap();
        assert_eq!(report.refused, []);
        assert_eq!(report.added, 8);
        (place, register)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn file(&self) -> PathBuf {
        self.path("register/register.bin")
    }

    pub fn portraits(&self) -> PathBuf {
        self.path("portraits")
    }

    pub fn options(&self) -> RegisterOptions {
        let mut options = RegisterOptions::new(self.file(), KekSource::File(self.path("key")));
        options.register_portrait_max_bytes = 200;
        options
    }

    pub fn import(
        &self,
        register: &LocalRegister,
        table: &str,
    ) -> Result<ImportReport, ImportError> {
        self.import_by(1, register, filled(table).as_bytes())
    }

    pub fn import_by(
        &self,
        weights: u8,
        register: &LocalRegister,
        table: &[u8],
    ) -> Result<ImportReport, ImportError> {
        register.import(Import {
            rows: &mut &*table,
            portraits: &self.portraits(),
            model: &model(weights),
            embed: &mut embed(weights),
            progress: &mut |_| {},
            today: TODAY,
        })
    }
}

pub fn ask(
    register: &LocalRegister,
    name: &str,
    parts: &str,
) -> Result<IdentityReply, AuthorityError> {
    let claim = claim(name, parts, None);
    register.check_identity(&claim, &key(), soon())
}

pub fn claim(name: &str, parts: &str, validity: Option<Validity>) -> IdentityClaim {
    IdentityClaim {
        name: Name::new(name).unwrap(),
        number: id_number(parts),
        validity,
        today: TODAY,
    }
}

/// Names of the files in a folder.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
