//! What the register replies: tests/cases/identity.toml and portrait.toml.

use std::time::{Duration, Instant};

use serde::Deserialize;
use shiren_authority::{
    Authority, Picture, PortraitClaim, PortraitReply, Probe, ProbeForm, Template, Validity,
};
use shiren_idcard::Name;

use crate::support::{Place, claim, id_number, key, model, soon};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identities {
    identity: Vec<Identity>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    case: String,
    name: String,
    number: String,
    valid_from: Option<String>,
    valid_to: Option<String>,
    reply: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Portraits {
    portrait: Vec<Portrait>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Portrait {
    case: String,
    name: String,
    number: String,
    template: Vec<f32>,
    #[serde(default = "one")]
    weights: u8,
    score: Option<f64>,
    reply: Option<String>,
    error: Option<String>,
}

fn one() -> u8 {
    1
}

#[test]
fn every_claim_of_identity_has_its_reply() {
    let (_place, register) = Place::with_persons();
    let cases: Identities = toml::from_str(include_str!("../cases/identity.toml")).unwrap();
    assert!(cases.identity.len() >= 20);
    for case in cases.identity {
        let day = |text: &Option<String>| text.as_ref().map(|text| text.parse().unwrap());
        let (from, to) = (day(&case.valid_from), day(&case.valid_to));
        let validity = (from.is_some() || to.is_some()).then_some(Validity { from, to });
        let claim = claim(&case.name, &case.number, validity);
        let reply = register.check_identity(&claim, &key(), soon()).unwrap();
        assert_eq!(reply.word(), case.reply, "{}", case.case);
    }
}

#[test]
fn every_claim_of_a_portrait_has_its_reply() {
    let (_place, register) = Place::with_persons();
    let cases: Portraits = toml::from_str(include_str!("../cases/portrait.toml")).unwrap();
    for case in cases.portrait {
        let claim = PortraitClaim {
            name: Name::new(&case.name).unwrap(),
            number: id_number(&case.number),
            probe: Probe::Template(Template::new(model(case.weights), case.template).unwrap()),
        };
        let word = match register.compare_portrait(&claim, &key(), soon()) {
            Ok(PortraitReply::Score { score, model: by }) => {
                assert_eq!(by, Some(model(1)), "{}", case.case);
                let wanted = case
                    .score
                    .unwrap_or_else(|| panic!("{}: no score wanted", case.case));
                assert!((score - wanted).abs() < 1e-9, "{}: {score}", case.case);
                continue;
            }
            Ok(PortraitReply::NoPortrait) => Ok("no_portrait"),
            Ok(PortraitReply::NameDiffers) => Ok("name_differs"),
            Ok(PortraitReply::NumberUnknown) => Ok("number_unknown"),
            Err(error) => Err(error.code().id),
        };
        assert_eq!(case.score, None, "{}: {word:?}", case.case);
        let wanted = (case.reply.as_deref(), case.error.as_deref());
        assert_eq!((word.ok(), word.err()), wanted, "{}", case.case);
    }
}

#[test]
fn it_says_what_it_is() {
    let (_place, register) = Place::with_persons();
    let authority: Box<dyn Authority> = Box::new(register);
    assert_eq!(authority.source(), "local_register");
    assert_eq!(authority.probe_form(), ProbeForm::Template);
    assert!(authority.honours_idempotency_keys());
}

#[test]
fn a_picture_is_not_compared() {
    let (_place, register) = Place::with_persons();
    let claim = PortraitClaim {
        name: Name::new("样本一").unwrap(),
        number: id_number("110199 19900307 123"),
        probe: Probe::Picture(Picture::new(vec![1, 2, 3])),
    };
    let error = register
        .compare_portrait(&claim, &key(), soon())
        .unwrap_err();
    assert_eq!(error.code().id, "authority_probe_unsupported");
}

#[test]
fn past_the_deadline_there_is_no_reply() {
    let (_place, register) = Place::with_persons();
    let past = Instant::now() - Duration::from_millis(1);
    let claim = claim("样本一", "110199 19900307 123", None);
    let error = register.check_identity(&claim, &key(), past).unwrap_err();
    assert_eq!(error.code().id, "authority_deadline_exceeded");
    assert!(!error.is_transient());
}
