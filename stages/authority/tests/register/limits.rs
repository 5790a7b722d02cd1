//! Bounds: what exceeds one is refused as a whole, and leaves the register as it was.

use shiren_authority::{LocalRegister, RegisterOptions};

use crate::support::{Place, filled, names};

const NEW: &str =
    "name,number,portrait\n样本九,{110199 19990909 100},one.jpg\n样本十,{110199 19990909 102},\n";

fn refused(change: impl Fn(&mut RegisterOptions, u64)) {
    let (place, register) = Place::with_persons();
    let bytes = register.summary().unwrap().bytes;
    drop(register);
    let mut options = place.options();
    change(&mut options, bytes);
    let register = LocalRegister::open(options).unwrap();
    let error = place.import(&register, NEW).unwrap_err();
    assert_eq!(error.code().id, "register_over_limit", "{error}");
    assert!(error.to_string().contains("register_"), "{error}");
    let summary = register.summary().unwrap();
    assert_eq!((summary.persons, summary.bytes), (8, bytes));
    let dir = place.file().parent().unwrap().to_owned();
    assert_eq!(names(&dir), ["register.bin", "register.bin.lock"]);
}

#[test]
fn persons() {
    refused(|options, _| options.register_max_persons = 9);
}

#[test]
fn bytes() {
    refused(|options, bytes| options.register_max_bytes = bytes + 600);
}

#[test]
fn rows() {
    refused(|options, _| options.register_import_max_rows = 1);
}

#[test]
fn bytes_of_the_table() {
    let length = filled(NEW).len() as u64;
    refused(|options, _| options.register_import_max_bytes = length - 1);
}

#[test]
fn what_just_fits_is_taken() {
    let (place, register) = Place::with_persons();
    drop(register);
    let mut options = place.options();
    options.register_max_persons = 10;
    options.register_import_max_rows = 2;
    options.register_import_max_bytes = filled(NEW).len() as u64;
    let register = LocalRegister::open(options).unwrap();
    assert_eq!(place.import(&register, NEW).unwrap().added, 2);
}

#[test]
fn a_register_over_the_limit_is_not_read() {
    let (place, _register) = Place::with_persons();
    let mut few = place.options();
    few.register_max_persons = 7;
    let mut small = place.options();
    small.register_max_bytes = 1_000;
    for options in [few, small] {
        let error = LocalRegister::open(options).err().unwrap();
        assert_eq!(error.code().id, "register_over_limit");
    }
}
