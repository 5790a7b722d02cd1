//! Bytes as any record: refused, or one whole record that is written and read again as the same bytes.
//!
//! Byte 0 picks the record; byte 1 is 0 where the rest holds the frame too, else the current schema's is put before it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiren_fuzz::{request, seed};
use shiren_schemas::Wire;
use shiren_schemas::records::*;

fn framed<T: Wire>(frame: u8, rest: &[u8]) -> Vec<u8> {
    if frame == 0 {
        return rest.to_vec();
    }
    let fingerprint = T::schemas().fingerprint();
    [&[0xC3, 0x01][..], &fingerprint, rest].concat()
}

fn check<T: Wire>(frame: u8, rest: &[u8]) {
    let Ok(record) = T::decode(&framed::<T>(frame, rest)) else {
        return;
    };
    let written = record.encode().expect("what was read can be written");
    let again = T::decode(&written).expect("what was written can be read");
    assert!(
        again.encode().expect("written") == written,
        "{} changes",
        T::NAME
    );
}

const RECORDS: [fn(u8, &[u8]); 12] = [
    check::<Request>,
    check::<AdmittedCase>,
    check::<StillCase>,
    check::<FaceCase>,
    check::<TemplateCase>,
    check::<CanonicalVerdict>,
    check::<Verdict>,
    check::<Results>,
    check::<Evidence>,
    check::<DeadLetter>,
    check::<LibraryChange>,
    check::<ScenePolicy>,
];

fn seeds() -> Vec<Vec<u8>> {
    let requests = RequestKind::ALL
        .iter()
        .map(|kind| request(*kind).encode_body().expect("a record"));
    let framed = requests.map(|body| [&[0, 1][..], &body].concat());
    // A short body of each record in each of its frames.
    let others = (0..RECORDS.len())
        .flat_map(|record| (0..2).map(move |frame| vec![record as u8, frame, 0, 0, 0, 0]));
    framed.chain(others).collect()
}

fuzz_target!(init: seed(seeds()), |data: &[u8]| {
    if let [record, frame, rest @ ..] = data {
        RECORDS[usize::from(*record) % RECORDS.len()](*frame, rest);
    }
});
