//! Text as the weights' manifest: a manifest whose profiles name models that it has, or an error that says where.
//!
//! The modules themselves, and not their crate: that would bring ONNX Runtime and minutes to build.
#![no_main]
#![allow(dead_code, reason = "the rest of the modules is for the crate that they belong to")]

#[path = "../../models/src/error.rs"]
mod error;
#[path = "../../models/src/files.rs"]
mod files;
#[path = "../../models/src/manifest.rs"]
mod manifest;
#[path = "../../models/src/recording.rs"]
mod recording;

use error::ModelError;
use libfuzzer_sys::{Corpus, fuzz_target};
use manifest::Manifest;
use shiren_fuzz::seed;

fuzz_target!(init: seed([include_bytes!("../../models/manifest.toml").to_vec()]), |data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else {
        return Corpus::Reject;
    };
    match Manifest::parse(text) {
        Ok(manifest) => {
            for (name, profile) in &manifest.profile {
                for (role, model) in profile.models() {
                    let found = manifest.model_for(model, role);
                    assert!(found.is_ok(), "profile {name}: {model} is missing");
                }
            }
        }
        Err(ModelError::Manifest { place, what }) => assert!(!place.is_empty() && !what.is_empty()),
        Err(other) => panic!("another error than one of the manifest: {other}"),
    }
    Corpus::Keep
});
