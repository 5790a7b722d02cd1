//! What the chain writes of pictures is sealed; once a key is destroyed, it is erased.

use bytes::Bytes;
use shiren::site::Site;
use shiren_contract::seal::{Vault, VaultError};
use shiren_contract::sealing::{self, Sealable};
use shiren_integration_tests::policy::comparison;
use shiren_integration_tests::{run, site};
use shiren_log::{Log, Record, Start};
use shiren_runtime::now_us;
use shiren_schemas::records::{
    AdmittedCase, Decision, Evidence, FaceCase, PictureContent, StillCase, TemplateCase,
};
use shiren_schemas::{Id, Wire};
use shiren_vault::FileVault;

const HOUR_US: i64 = 3_600_000_000;
/// Run of a picture's file that no sealed record may hold.
const TELLTALE_BYTES: usize = 24;

fn records(log: &dyn Log, topic: &str) -> Vec<Record> {
    let mut reader = log.reader(topic, Start::Beginning).unwrap();
    let mut all = Vec::new();
    while !reader.at_end().unwrap() {
        all.extend(
            reader
                .read(100, std::time::Duration::from_millis(50))
                .unwrap(),
        );
    }
    all
}

/// Tries to read every picture and template that the records of a topic hold: how many could be read, and
/// how many are erased.
fn readable<T: Wire + Sealable>(
    records: &[Record],
    case: impl Fn(&T) -> Id,
    vault: &dyn Vault,
) -> (usize, usize) {
    let (mut read, mut erased) = (0, 0);
    for record in records {
        let mut value = T::decode(record.value.as_ref().unwrap()).unwrap();
        let held = value.secrets().len();
        assert!(held > 0, "a record without a picture");
        assert!(sealing::is_sealed(&mut value));
        let case = case(&value);
        match sealing::open(&mut value, vault, "default", case) {
            Ok(()) => read += held,
            Err(VaultError::KeyDestroyed { .. }) => erased += held,
            Err(error) => panic!("{error}"),
        }
    }
    (read, erased)
}

/// Over all topics that the chain itself writes.
fn all_readable(log: &dyn Log, vault: &dyn Vault) -> (usize, usize) {
    let of = |topic: &str| records(log, topic);
    let parts = [
        readable::<AdmittedCase>(
            &of("shiren.decode.interactive"),
            |c| c.envelope.case_id,
            vault,
        ),
        readable::<StillCase>(
            &of("shiren.detect.interactive"),
            |c| c.envelope.case_id,
            vault,
        ),
        readable::<FaceCase>(
            &of("shiren.embed.interactive"),
            |c| c.envelope.case_id,
            vault,
        ),
        readable::<TemplateCase>(
            &of("shiren.match.interactive"),
            |c| c.envelope.case_id,
            vault,
        ),
        readable::<Evidence>(&of("shiren.default.evidence"), |e| e.case_id, vault),
    ];
    for (read, erased) in parts {
        assert!(read + erased > 0, "a topic without pictures: {parts:?}");
    }
    let sum = |of: fn(&(usize, usize)) -> usize| parts.iter().map(of).sum();
    (sum(|part| part.0), sum(|part| part.1))
}

/// A short run out of the middle of each picture that was published.
fn telltales() -> Vec<Bytes> {
    let request = comparison("");
    let pictures = [request.probe, request.reference].into_iter().flatten();
    pictures
        .map(|picture| {
            let PictureContent::Inline(inline) = picture.content else {
                panic!("inline");
            };
            let middle = inline.bytes.len() / 2;
            Bytes::copy_from_slice(&inline.bytes[middle..middle + TELLTALE_BYTES])
        })
        .collect()
}

fn holds(records: &[Record], telltale: &[u8]) -> bool {
    let values = records.iter().filter_map(|record| record.value.as_ref());
    values
        .flat_map(|value| value.windows(telltale.len()))
        .any(|window| window == telltale)
}

fn apart(folder: &std::path::Path) -> std::sync::Arc<Site> {
    site::embedded(folder, &[site::LARGE_FACES, site::ONE_STAGE_A_SEGMENT])
}

#[test]
fn after_an_epochs_key_is_destroyed_no_picture_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let site = apart(folder.path());
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    run::publish(log.as_ref(), &[comparison("a"), comparison("b")]);
    let (verdicts, _) = run::beside(&site, &log, || run::verdicts(log.as_ref(), 2));
    assert!(
        verdicts
            .iter()
            .all(|v| v.canonical.decision == Decision::Accept)
    );

    // In no topic that the chain writes do the bytes of a picture stand; in the ingress they do.
    for telltale in telltales() {
        assert!(holds(
            &records(log.as_ref(), "shiren.default.requests.interactive"),
            &telltale
        ));
        for spec in site.topics() {
            let is_ingress = spec.name.contains(".requests.");
            assert!(
                is_ingress || !holds(&records(log.as_ref(), &spec.name), &telltale),
                "{}",
                spec.name
            );
        }
    }
    let vault = FileVault::open(shiren::vault::options(&site)).unwrap();
    let (read, erased) = all_readable(log.as_ref(), &vault);
    assert!(read >= 20 && erased == 0, "{read}, {erased}");

    // A day and an epoch later; and a store that is opened anew knows no more than this one.
    let later = now_us() + 25 * HOUR_US;
    assert!(vault.destroy_expired(later).unwrap().count >= 1);
    assert_eq!(all_readable(log.as_ref(), &vault), (0, read));
    let anew = FileVault::open(shiren::vault::options(&site)).unwrap();
    assert_eq!(all_readable(log.as_ref(), &anew), (0, read));
}

/// A case whose picture is erased while it waits between two stages still ends in its verdict.
#[test]
fn a_case_whose_picture_is_erased_on_its_way_ends_as_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let site = apart(folder.path());
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    run::publish(log.as_ref(), &[comparison("a")]);
    run::segments_beside(&site, &log, &["admit"], || {
        while records(log.as_ref(), "shiren.decode.interactive").is_empty() {}
    });
    let vault = FileVault::open(shiren::vault::options(&site)).unwrap();
    assert!(
        vault
            .destroy_expired(now_us() + 25 * HOUR_US)
            .unwrap()
            .count
            >= 1
    );
    let (verdicts, _) = run::beside(&site, &log, || run::verdicts(log.as_ref(), 1));
    let canonical = &verdicts[0].canonical;
    assert_eq!(canonical.decision, Decision::Error);
    assert_eq!(canonical.reason_codes, ["key_destroyed"]);
}

/// The store vanishes under a running chain: it stops, nothing is written in clear text, and all is answered
/// once the store is back.
#[test]
fn a_store_that_cannot_be_used_stops_the_chain_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let site = apart(folder.path());
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    // Made, so that what follows is about a store that was lost, not one that never was.
    drop(site.vault().unwrap());
    let store = shiren::vault::options(&site).dir;
    let aside = folder.path().join("aside");
    run::publish(log.as_ref(), &[comparison("a")]);
    let options = site.runtime_options(&[], 0).unwrap();
    std::fs::rename(&store, &aside).unwrap();
    let runtime =
        shiren_runtime::Runtime::build(options, shiren::stages::registry(&site), log.clone());
    let error = runtime
        .unwrap()
        .run(&shiren_runtime::Drain::new(), || {})
        .unwrap_err();
    assert!(
        matches!(error, shiren_runtime::RuntimeError::Vault(_)),
        "{error}"
    );
    assert!(records(log.as_ref(), "shiren.decode.interactive").is_empty());
    assert!(records(log.as_ref(), "shiren.default.verdicts").is_empty());

    std::fs::remove_dir_all(&store).ok();
    std::fs::rename(&aside, &store).unwrap();
    let (verdicts, _) = run::beside(&site, &log, || run::verdicts(log.as_ref(), 1));
    assert_eq!(verdicts[0].canonical.decision, Decision::Accept);
}
