//! A manifest by hand; the shipped one is read in tests/shipped.rs.

use super::*;

const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub(crate) fn text() -> String {
    let common = format!(
        r#"licence = "MIT"
        licence_source = "its LICENSE file"
        training_data = "unknown"
        source = {{ registry = "pypi", package = "p", version = "1", file = "f", sha256 = "{HASH}", archive_sha256 = "{HASH}" }}
        conversion = "none"
        "#
    );
    format!(
        r#"version = 1
        [onnxruntime]
        package = "onnxruntime"
        version = "1.0.0"
        [onnxruntime.x86_64]
        wheel = "w.whl"
        sha256 = "{HASH}"
        file = "a/b.so"
        file_sha256 = "{HASH}"
        [onnxruntime.aarch64]
        wheel = "w.whl"
        sha256 = "{HASH}"
        file = "a/b.so"
        file_sha256 = "{HASH}"
        [profile]
        open = {{ detector = "finder", embedder = "maker" }}
        [model.finder]
        architecture = "centerface"
        {common}
        onnx = {{ file = "finder.onnx", sha256 = "{HASH}", bytes = 3 }}
        input = {{ name = "in", layout = "nchw", colour = "rgb", size = [0, 0], mean = [0.0, 0.0, 0.0], scale = 1.0 }}
        output = {{ names = ["a", "b", "c", "d"], decoding = "centerface-stride4" }}
        [model.maker]
        architecture = "arcface-112"
        {common}
        onnx = {{ file = "maker.onnx", sha256 = "{HASH}", bytes = 3 }}
        input = {{ name = "in", layout = "nchw", colour = "bgr", size = [112, 112], mean = [127.5, 127.5, 127.5], scale = 0.0078125 }}
        output = {{ names = ["out"], decoding = "embedding", embedding_size = 512, metric = "cosine" }}
        "#
    )
}

#[test]
fn a_model_of_the_operators_own_needs_only_an_entry() {
    let manifest = Manifest::parse(&text()).unwrap();
    let profile = manifest.profile("open").unwrap();
    assert_eq!(
        (profile.detector.as_str(), profile.embedder.as_str()),
        ("finder", "maker")
    );
    let architecture = manifest.model("maker").unwrap().architecture;
    assert_eq!(architecture.role(), Role::Embedder);
    assert_eq!(
        manifest.calibration_path("maker").unwrap_err().code().id,
        "calibration_missing"
    );
}

#[test]
fn unknown_names_are_answered_with_the_known_ones() {
    let manifest = Manifest::parse(&text()).unwrap();
    assert!(
        manifest
            .profile("opne")
            .unwrap_err()
            .to_string()
            .contains("there are: open")
    );
    assert!(
        manifest
            .model("x")
            .unwrap_err()
            .to_string()
            .contains("finder, maker")
    );
}

#[test]
fn contradictions_are_refused_with_their_key() {
    for (from, to, word) in [
        ("version = 1\n", "version = 2\n", "version"),
        (
            "detector = \"finder\"",
            "detector = \"maker\"",
            "no detector",
        ),
        ("embedder = \"maker\"", "embedder = \"nobody\"", "nobody"),
        ("bytes = 3", "bytes = 0", "bytes"),
        ("\"finder.onnx\"", "\"../finder.onnx\"", "bare file name"),
        ("embedding_size = 512, ", "", "embedding_size"),
        ("metric = \"cosine\"", "metric = \"cosinus\"", "cosinus"),
        ("size = [112, 112]", "size = [112, 96]", "square"),
        ("size = [0, 0]", "size = [640, 640]", "any size"),
        ("\"a\", \"b\", \"c\", \"d\"", "\"a\"", "four outputs"),
        ("scale = 1.0", "scale = 0.0", "scale"),
        ("layout = \"nchw\"", "layout = \"nhwc\"", "layout"),
        ("colour = \"bgr\"", "colour = \"grey\"", "colour"),
        ("colour = \"bgr\"", "colour = \"gray\"", "gray"),
        (
            "conversion = \"none\"",
            "conversion = \"none\"\nsurprise = 1",
            "surprise",
        ),
        (&HASH[..8], "not hex!", "sha256"),
    ] {
        let changed = text().replace(from, to);
        assert_ne!(changed, text(), "{from}");
        let error = Manifest::parse(&changed).unwrap_err();
        assert_eq!(error.code().id, "manifest_invalid");
        assert!(error.to_string().contains(word), "{to}: {error}");
    }
}

/// `text()` with a profile that names a mesh and two models of liveness.
fn text_with_roles() -> String {
    let entry = |name: &str, architecture: &str, rest: &str| {
        format!(
            r#"
        [model.{name}]
        architecture = "{architecture}"
        licence = "MIT"
        licence_source = "its LICENSE file"
        training_data = "unknown"
        source = {{ registry = "npm", package = "p", version = "1", file = "f", sha256 = "{HASH}", beside = {{ file = "g", sha256 = "{HASH}" }} }}
        conversion = "none"
        onnx = {{ file = "{name}.onnx", sha256 = "{HASH}", bytes = 3 }}
        {rest}
        "#
        )
    };
    let input = |layout: &str, side: u32| {
        format!(
            r#"input = {{ name = "in", layout = "{layout}", colour = "rgb", size = [{side}, {side}], mean = [0.0, 0.0, 0.0], scale = 1.0 }}"#
        )
    };
    let mesh = format!(
        "{}\noutput = {{ names = [\"mesh\", \"flag\"], decoding = \"face-mesh\" }}",
        input("nchw", 192)
    );
    let liveness = |layout, side, context| {
        format!(
            "{}\noutput = {{ names = [\"prob\"], decoding = \"classes\" }}\ncontext = {context:?}",
            input(layout, side)
        )
    };
    text().replace(
        "embedder = \"maker\"",
        "embedder = \"maker\", mesh = \"net\", liveness = [\"small\", \"wide\"]",
    ) + &entry("net", "face-mesh-468", &mesh)
        + &entry("small", "liveness-32", &liveness("nhwc", 32, 1.4))
        + &entry("wide", "minifasnet-80", &liveness("nchw", 80, 4.0))
}

#[test]
fn a_profile_names_a_model_for_each_role_that_it_fills() {
    let manifest = Manifest::parse(&text_with_roles()).unwrap();
    let profile = manifest.profile("open").unwrap();
    let roles: Vec<(Role, &str)> = profile.models().collect();
    assert_eq!(
        roles,
        [
            (Role::Detector, "finder"),
            (Role::Embedder, "maker"),
            (Role::Mesh, "net"),
            (Role::Liveness, "small"),
            (Role::Liveness, "wide"),
        ]
    );
    assert_eq!(profile.sex, None);
    assert_eq!(manifest.model("wide").unwrap().context, Some(4.0));
    let beside = manifest.model("small").unwrap().source.beside.clone();
    assert_eq!(beside.unwrap().file, "g");
}

#[test]
fn roles_are_filled_by_models_made_for_them() {
    for (from, to, word) in [
        ("mesh = \"net\"", "mesh = \"small\"", "no mesh"),
        ("mesh = \"net\"", "sex = \"net\"", "no sex"),
        ("[\"small\", \"wide\"]", "[\"net\"]", "no liveness"),
        ("[\"small\", \"wide\"]", "[\"nobody\"]", "nobody"),
        ("[192, 192]", "[224, 224]", "192 x 192"),
        ("[\"mesh\", \"flag\"]", "[\"mesh\"]", "2 outputs"),
        ("\"classes\"", "\"embedding\"", "Classes"),
        ("context = 4.0", "context = 0.5", "1 to 6"),
        ("context = 4.0", "", "1 to 6"),
        (
            "\"face-mesh\" }",
            "\"face-mesh\" }\ncontext = 2.0",
            "liveness only",
        ),
    ] {
        let changed = text_with_roles().replace(from, to);
        assert_ne!(changed, text_with_roles(), "{from}");
        let error = Manifest::parse(&changed).unwrap_err().to_string();
        assert!(error.contains(word), "{to}: {error}");
    }
    let names = ["\"small\""; 9].join(", ");
    let many = text_with_roles().replace("\"small\", \"wide\"", &names);
    assert!(
        Manifest::parse(&many)
            .unwrap_err()
            .to_string()
            .contains("more than 8")
    );
}
