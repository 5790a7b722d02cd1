//! Several writers and readers of one register.

use std::sync::atomic::{AtomicBool, Ordering};

use shiren_authority::{AuthorityError, IdentityReply, Import, ImportError, LocalRegister};

use crate::support::{Place, TODAY, ask, embed, filled, id_number, model};

#[test]
fn one_writer_at_a_time() {
    let (place, register) = Place::with_persons();
    let other = LocalRegister::open(place.options()).unwrap();
    let table = filled("name,number,portrait\n样本九,{110199 19990909 100},one.jpg\n");
    let mut first = embed(1);
    let mut tried = 0;
    // While the portrait is embedded the import holds the lock.
    let mut within = |bytes: &[u8]| {
        tried += 1;
        for register in [&register, &other] {
            let removed = register.remove(&id_number("110199 19900307 123"));
            let path = place.file().display().to_string();
            assert_eq!(removed, Err(AuthorityError::RegisterLocked { path }));
            let imported = place.import(register, "name,number\n");
            assert!(
                matches!(&imported, Err(ImportError::Register(e)) if e.is_transient()),
                "{imported:?}"
            );
            // Readers are not kept out.
            assert_eq!(
                ask(register, "样本一", "110199 19900307 123"),
                Ok(IdentityReply::Agrees)
            );
        }
        first(bytes)
    };
    let import = Import {
        rows: &mut table.as_bytes(),
        portraits: &place.portraits(),
        model: &model(1),
        embed: &mut within,
        progress: &mut |_| {},
        today: TODAY,
    };
    assert_eq!(register.import(import).unwrap().added, 1);
    assert_eq!(tried, 1);
    assert_eq!(other.remove(&id_number("110199 19900307 123")), Ok(true));
}

#[test]
fn a_reader_sees_what_another_process_wrote() {
    let (place, writer) = Place::with_persons();
    let reader = LocalRegister::open(place.options()).unwrap();
    let one = "110199 19900307 123";
    assert_eq!(ask(&reader, "样本一", one), Ok(IdentityReply::Agrees));
    writer.remove(&id_number(one)).unwrap();
    assert_eq!(
        ask(&reader, "样本一", one),
        Ok(IdentityReply::NumberUnknown)
    );
    place
        .import(&writer, "name,number\n样本壹,{110199 19900307 123}\n")
        .unwrap();
    assert_eq!(ask(&reader, "样本一", one), Ok(IdentityReply::NameDiffers));
    assert_eq!(ask(&reader, "样本壹", one), Ok(IdentityReply::Agrees));
}

/// Readers in threads while the register is written anew: each sees the old or the new file.
#[test]
fn readers_never_see_half_a_register() {
    let (place, writer) = Place::with_persons();
    let reader = LocalRegister::open(place.options()).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let reply = ask(&reader, "样本二", "110199 19900307 121");
                    assert_eq!(reply, Ok(IdentityReply::Agrees));
                    let reply = ask(&reader, "样本九", "110199 19990909 100").unwrap();
                    assert!(matches!(
                        reply,
                        IdentityReply::Agrees | IdentityReply::NumberUnknown
                    ));
                }
            });
        }
        for _ in 0..20 {
            place
                .import(&writer, "name,number\n样本九,{110199 19990909 100}\n")
                .unwrap();
            assert_eq!(writer.remove(&id_number("110199 19990909 100")), Ok(true));
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
