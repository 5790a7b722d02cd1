//! What a large register costs; not run with the others.

use std::fmt::Write;
use std::time::Instant;

use shiren_authority::{IdentityReply, Import, LocalRegister, Template};

use crate::support::{Place, TODAY, ask, id_number, model, number};

const PERSONS: u64 = 20_000;

/// `cargo test -p shiren-authority -- --ignored --nocapture cost`
#[test]
#[ignore = "a measurement, not a check"]
fn cost_of_twenty_thousand_persons() {
    let place = Place::new();
    let mut table = "name,number,portrait\n".to_owned();
    for at in 0..PERSONS {
        let parts = format!("110199 19{:02}0101 {:03}", at / 1_000, at % 1_000);
        writeln!(table, "样本{at},{},one.jpg", number(&parts)).unwrap();
    }
    // A template of a usual size.
    let values: Vec<f32> = (0_u8..=255)
        .chain(0..=255)
        .map(|n| f32::from(n) - 100.0)
        .collect();
    let register = LocalRegister::init(place.options()).unwrap();
    let timed = |what: &str, start: Instant| println!("{what}: {:?}", start.elapsed());
    let start = Instant::now();
    let import = Import {
        rows: &mut table.as_bytes(),
        portraits: &place.portraits(),
        model: &model(1),
        embed: &mut |_| Ok(Template::new(model(1), values.clone()).unwrap()),
        progress: &mut |_| {},
        today: TODAY,
    };
    assert_eq!(register.import(import).unwrap().added, PERSONS);
    timed("import, without embedding", start);
    println!("{:?}", register.summary().unwrap());
    let start = Instant::now();
    let again = LocalRegister::open(place.options()).unwrap();
    timed("open", start);
    let start = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(
            ask(&again, "样本7", "110199 19000101 007"),
            Ok(IdentityReply::Agrees)
        );
    }
    timed("1,000 questions", start);
    let start = Instant::now();
    assert_eq!(again.remove(&id_number("110199 19000101 007")), Ok(true));
    timed("remove", start);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!(
        "{}",
        status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap()
    );
}
