//! What is refused before an engine sees it, and the deadline.

use std::time::Instant;

use super::{DIMENSION, Subject, scaled, soon};
use crate::{FaceQuery, FaceWrite, FacesRequest, LibraryError, Metric};

/// Templates that no engine may see.
fn bad_templates(subject: &Subject) -> Vec<Vec<f32>> {
    let with = |number: f32| {
        let mut bad = subject.template(1);
        bad[3] = number;
        bad
    };
    let by = |by: f32| scaled(&subject.template(1), by);
    let of_metric = match subject.metric {
        Metric::Cosine => vec![by(1e-6), by(0.998), by(1.002)],
        Metric::Euclidean => vec![by(2e6)],
    };
    let of_any = vec![
        with(f32::NAN),
        with(f32::INFINITY),
        with(f32::NEG_INFINITY),
        vec![0.0; DIMENSION],
        vec![],
        vec![1.0],
        subject.template(1)[1..].to_vec(),
        [subject.template(1), vec![0.0]].concat(),
        vec![f32::MAX; DIMENSION],
    ];
    [of_any, of_metric].concat()
}

pub fn refused_templates_never_reach_the_engine(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    subject.put(&[subject.enrol(1, ("ann", 1), 1)]);
    for bad in bad_templates(subject) {
        // A good write before the bad one is not done either.
        let writes = [
            subject.enrol(1, ("bob", 2), 2),
            subject.enrol_as(1, ("eve", 3), 3, &bad),
        ];
        let error = subject.library.write(&writes, soon()).unwrap_err();
        refused(&error, "library_template_refused", "write 1: ");
        let queries = [
            subject.query(&[1], &subject.template(1)),
            subject.query(&[1], &bad),
        ];
        let error = subject.library.search(&queries, soon()).unwrap_err();
        refused(&error, "library_template_refused", "query 1: ");
    }
    assert_eq!((subject.count(1), subject.found(&[1], 1)), (1, vec![1]));
    // As far off as is allowed.
    let by = match subject.metric {
        Metric::Cosine => [0.9995, 1.0005],
        Metric::Euclidean => [1e-3, 5e5],
    };
    for (face, by) in [(5, by[0]), (6, by[1])] {
        let near = scaled(&subject.template(face), by);
        subject.put(&[subject.enrol_as(1, ("ann", face), 9, &near)]);
        assert_eq!(subject.search(subject.query(&[1], &near))[0].sequence, 9);
    }
}

pub fn refused_calls_never_reach_the_engine(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    let good = subject.query(&[1], &subject.template(1));
    let long = "x".repeat(129);
    let queries = [
        (
            FaceQuery {
                libraries: vec![],
                ..good.clone()
            },
            "libraries: 0",
        ),
        (
            FaceQuery {
                tenant: String::new(),
                ..good.clone()
            },
            "tenant's name: 0",
        ),
        (
            FaceQuery {
                tenant: long.clone(),
                ..good.clone()
            },
            "tenant's name: 129",
        ),
        (
            FaceQuery {
                faces_max: 0,
                ..good.clone()
            },
            "faces_max: 0",
        ),
        (
            FaceQuery {
                faces_max: 100_000,
                ..good.clone()
            },
            "faces_max: 100000",
        ),
        (
            FaceQuery {
                libraries: vec![subject.id(1); 10_000],
                ..good.clone()
            },
            "libraries: 10000",
        ),
    ];
    for (query, word) in queries {
        let error = subject.library.search(&[query], soon()).unwrap_err();
        refused(&error, "library_over_limit", word);
    }
    let many = vec![good; 10_000];
    let error = subject.library.search(&many, soon()).unwrap_err();
    refused(&error, "library_over_limit", "queries: 10000");
    let writes = [
        (vec![subject.enrol(1, ("", 1), 1)], "label: 0"),
        (vec![subject.enrol(1, (&long, 1), 1)], "label: 129"),
        (vec![subject.erase_person(1, "", 1)], "label: 0"),
        (vec![subject.create(1, "", 1)], "library's label: 0"),
        (vec![subject.create(1, &long, 1)], "library's label: 129"),
        (vec![subject.create(1, "one", u64::MAX)], "sequence is"),
        (vec![with_model("", subject)], "library's model: 0"),
        (vec![with_model(&long, subject)], "library's model: 129"),
        (vec![subject.enrol(1, ("ann", 1), u64::MAX)], "sequence is"),
        (
            vec![subject.enrol(1, ("ann", 1), 1); 10_000],
            "writes: 10000",
        ),
        (vec![with_tenant("", subject)], "tenant's name: 0"),
    ];
    for (writes, word) in writes {
        let error = subject.library.write(&writes, soon()).unwrap_err();
        refused(&error, "library_over_limit", word);
    }
    let page = |entries_max| FacesRequest {
        tenant: subject.tenant.clone(),
        library: subject.id(1),
        person: None,
        from: None,
        entries_max,
        templates: false,
    };
    for entries_max in [0, 1_000_000] {
        let error = subject
            .library
            .faces(&page(entries_max), soon())
            .unwrap_err();
        refused(&error, "library_over_limit", "entries_max");
    }
    assert_eq!(subject.listed(1, None, 10), []);
}

fn with_tenant(tenant: &str, subject: &Subject) -> FaceWrite {
    subject.of_tenant(tenant).erase_library(1, 1)
}

fn with_model(model: &str, subject: &Subject) -> FaceWrite {
    FaceWrite::Create {
        tenant: subject.tenant.clone(),
        library: subject.id(1),
        label: "one".to_owned(),
        model_sha256: model.to_owned(),
        sequence: 1,
    }
}

fn refused(error: &LibraryError, code: &str, word: &str) {
    let said = error.to_string();
    assert_eq!(error.code(), code, "{said}");
    assert!(said.contains(word), "{said:?} does not say {word:?}");
    assert!(!error.is_transient());
}

pub fn a_deadline_in_the_past_is_kept(subject: &Subject) {
    let past = Instant::now();
    let (library, tenant, id) = (&subject.library, &subject.tenant, subject.id(1));
    let page = FacesRequest {
        tenant: tenant.clone(),
        library: id,
        person: None,
        from: None,
        entries_max: 1,
        templates: false,
    };
    let errors = [
        library
            .search(&[subject.query(&[1], &subject.template(1))], past)
            .err(),
        library
            .write(&[subject.enrol(1, ("ann", 1), 1)], past)
            .err(),
        library.expire_markers(tenant, id, 1, past).err(),
        library.faces(&page, past).err(),
        library.count(tenant, id, past).err(),
        library.head(tenant, id, past).err(),
        library.forget_library(tenant, id, past).err(),
        library.optimise(past).err(),
        library.warm_up(past).err(),
        library.describe(past).err(),
    ];
    for error in errors {
        let error = error.expect("a call that was late was done");
        assert_eq!(error.code(), "library_deadline_exceeded", "{error}");
        assert!(error.is_transient());
    }
    assert_eq!(subject.count(1), 0);
}

pub fn a_library_describes_itself(subject: &Subject) {
    subject.make(&[0, 1, 2]);
    subject.put(&[
        subject.enrol(1, ("ann", 1), 1),
        subject.erase_person(1, "bob", 2),
    ]);
    let said = subject.library.describe(soon()).unwrap();
    assert!(["embedded", "server"].contains(&said.engine), "{said:?}");
    assert_eq!((said.dimension, said.metric), (DIMENSION, subject.metric));
    assert!(said.points >= 2 && !said.place.is_empty(), "{said:?}");
}
