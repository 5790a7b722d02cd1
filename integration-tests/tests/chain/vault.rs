//! `shiren vault` and the site's key store, as an operator meets them.

use std::path::{Path, PathBuf};
use std::process::Command;

use shiren::checks;
use shiren::site::Site;
use shiren_contract::seal::{Vault, VaultError};
use shiren_integration_tests::{processes, site};
use shiren_runtime::now_us;
use shiren_topology::LogSettings;
use tempfile::TempDir;

const DIGITS: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const DAY_US: i64 = 86_400_000_000;

/// A site of its own, with its key store in its folder.
struct Operator {
    folder: TempDir,
    site: Site,
}

impl Operator {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = std::sync::Arc::into_inner(site::embedded(folder.path(), &[])).unwrap();
        Self { folder, site }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shiren(&self) -> Command {
        processes::on_embedded(&self.path("topology.toml"))
    }

    /// Whether `shiren vault` did it, and what it said on either stream.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        said(self.shiren().arg("vault").args(arguments))
    }

    fn vault(&self) -> std::sync::Arc<dyn Vault> {
        self.site.vault().unwrap().expect("it is enabled")
    }
}

fn said(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// A file for its owner alone.
fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn an_operator_makes_lists_and_destroys() {
    let operator = Operator::new();
    for arguments in [
        &["list"][..],
        &["destroy", "--tenant", "default", "--all", "--yes"],
    ] {
        let (ok, text) = operator.run(arguments);
        assert!(!ok && text.contains("[key_store_missing]"), "{text}");
    }
    assert!(!operator.path("vault").exists(), "a look has made a store");
    let (ok, text) = operator.run(&["init"]);
    assert!(ok && operator.path("kek").exists(), "{text}");
    let (ok, text) = operator.run(&["init"]);
    assert!(!ok && text.contains("[key_store_exists]"), "{text}");
    let (ok, text) = operator.run(&["list"]);
    assert!(ok && text.contains("no keys"), "{text}");

    let now = now_us();
    let seal = |days_ago: i64| {
        let at = now - days_ago * DAY_US;
        operator.vault().seal("default", at, b"", b"face").unwrap()
    };
    let [old, older, new] = [2, 3, 0].map(seal);
    let list = || -> Vec<(String, String)> {
        let (ok, text) = operator.run(&["list", "--tenant", "default", "--json"]);
        assert!(ok, "{text}");
        let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        text.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|key| (word(&key["key_id"]), word(&key["state"])))
            .collect()
    };
    let state = |key_id: &str, state: &str| (key_id.to_owned(), state.to_owned());
    let live = [&older, &old, &new].map(|sealed| state(&sealed.key_id, "live"));
    assert_eq!(list(), live);
    let (_, text) = operator.run(&["list"]);
    assert!(
        text.contains(&old.key_id) && text.contains("expires 20"),
        "{text}"
    );

    // Nothing without a choice, without --yes, or of another tenant.
    let epoch = old.key_id.split('/').nth(1).unwrap();
    let day = format!("{}", (now - DAY_US) / 1_000_000);
    for (refused, why) in [
        (&["--tenant", "default", "--yes"][..], "required"),
        (
            &["--tenant", "default", "--all", "--epoch", epoch, "--yes"],
            "cannot be used with",
        ),
        (&["--tenant", "default", "--all"], "--yes"),
        (&["--tenant", "bank", "--all", "--yes"], "no live key"),
        (
            &["--tenant", "bank", "--epoch", &old.key_id, "--yes"],
            "another tenant",
        ),
        (
            &["--tenant", "default", "--epoch", "soon", "--yes"],
            "is no epoch",
        ),
        (
            &["--tenant", "default", "--before", "soon", "--yes"],
            "is no time",
        ),
    ] {
        let (ok, text) = operator.run(&[&["destroy"], refused].concat());
        assert!(!ok && text.contains(why), "{refused:?}: {text}");
    }
    assert_eq!(list(), live);

    let destroy = |which: &[&str]| {
        let (ok, text) =
            operator.run(&[&["destroy", "--tenant", "default", "--yes"], which].concat());
        assert!(ok && text.contains("destroyed 1 key(s)"), "{text}");
    };
    // A worker has them open.
    let worker = operator.vault();
    let opens = |sealed| match worker.open("default", b"", sealed) {
        Ok(plain) => plain == b"face",
        Err(VaultError::KeyDestroyed { .. }) => false,
        Err(error) => panic!("{error}"),
    };
    assert_eq!([&older, &old, &new].map(opens), [true; 3]);
    destroy(&["--epoch", epoch]);
    assert_eq!([&older, &old, &new].map(opens), [true, false, true]);
    destroy(&["--before", &day]);
    assert_eq!([&older, &old, &new].map(opens), [false, false, true]);
    destroy(&["--all"]);
    assert_eq!([&older, &old, &new].map(opens), [false; 3]);
    let gone = [&older, &old, &new].map(|sealed| state(&sealed.key_id, "destroyed"));
    assert_eq!(list(), gone);
}

#[test]
fn the_key_encryption_key_is_rotated_by_command() {
    let operator = Operator::new();
    let worker = operator.vault();
    let now = now_us();
    let sealed = worker.seal("default", now, b"", b"face").unwrap();
    let new = operator.path("new-kek");
    std::fs::write(&new, DIGITS).unwrap();
    let rotate = || operator.run(&["rotate-kek", "--new-kek-file", new.to_str().unwrap()]);
    let (ok, text) = rotate();
    assert!(!ok && text.contains("chmod 600"), "{text}");
    write_private(&new, DIGITS);
    let (ok, text) = rotate();
    assert!(ok && text.starts_with("1 key(s) wrapped"), "{text}");
    assert!(!text.contains(DIGITS), "{text}");
    let kek = std::fs::read_to_string(operator.path("kek")).unwrap();
    assert_eq!(kek.trim(), DIGITS);
    let later = worker.seal("default", now + DAY_US, b"", b"face").unwrap();
    for sealed in [&sealed, &later] {
        assert_eq!(
            operator.vault().open("default", b"", sealed).unwrap(),
            b"face"
        );
    }

    // From the environment, which wins over the file.
    std::fs::remove_file(operator.path("kek")).unwrap();
    let list = |digits: &str| {
        let mut shiren = operator.shiren();
        said(
            shiren
                .args(["vault", "list"])
                .env("SHIREN_VAULT_KEK", digits),
        )
    };
    let (ok, text) = list(DIGITS);
    assert!(ok && text.contains(&sealed.key_id), "{text}");
    let (ok, text) = list(&DIGITS.replace('f', "e"));
    assert!(
        !ok && text.contains("[key_wrong]") && text.contains("SHIREN_VAULT_KEK"),
        "{text}"
    );
    let (ok, text) = list("");
    assert!(!ok && text.contains("[key_store_unreadable]"), "{text}");
}

#[test]
fn a_store_is_made_for_one_process_and_demanded_for_many() {
    let mut operator = Operator::new();
    let found = |site: &Site| -> Vec<&'static str> {
        let problems = checks::live(site);
        let of_the_vault = problems.iter().filter(|p| p.path == "vault.dir");
        of_the_vault.map(|p| p.code).collect()
    };
    assert_eq!(found(&operator.site), [""; 0]);
    assert!(!operator.path("vault").exists(), "a check has made a store");

    let kafka = site::topology(&[("[log]\nengine = \"embedded\"", "[log]\nengine = \"kafka\"")])
        .replace(
            "[log.kafka]\n",
            "[log.kafka]\nbootstrap_servers = \"127.0.0.1:1\"\n",
        );
    let file = operator.path("kafka.toml");
    let stages = shiren::stages::descriptors();
    let kafka = Site::read(&kafka, &file, operator.folder.path(), &stages).unwrap();
    let embedded = std::mem::replace(&mut operator.site.topology.log, kafka.topology.log);
    assert!(matches!(operator.site.topology.log, LogSettings::Kafka(_)));
    let error = operator.site.vault().map(|_| ()).unwrap_err();
    let missing = |error: &VaultError| matches!(error, VaultError::StoreMissing { .. });
    assert!(error.downcast_ref().is_some_and(missing), "{error:#}");
    operator.site.topology.log = embedded;
    operator.vault();
    assert_eq!(found(&operator.site), [""; 0]);

    std::fs::write(operator.path("vault/check"), "{").unwrap();
    assert_eq!(found(&operator.site), ["key_store_unreadable"]);
    write_private(&operator.path("kek"), "short");
    assert_eq!(found(&operator.site), ["key_store_unreadable"]);
    operator.site.topology.vault.enabled = false;
    assert_eq!(found(&operator.site), [""; 0]);
    assert!(operator.site.vault().unwrap().is_none());
}
