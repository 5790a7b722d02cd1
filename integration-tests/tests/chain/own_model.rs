//! An operator's own embedder: imported, refused until it is calibrated, then used.

use std::path::Path;
use std::process::Command;

use shiren_integration_tests::site;
use tempfile::TempDir;

/// Protocol-buffer fields, as far as a tiny ONNX file needs them.
mod onnx {
    fn varint(mut value: u64, out: &mut Vec<u8>) {
        while value >= 0x80 {
            out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    fn number(field: u64, value: u64, out: &mut Vec<u8>) {
        varint(field << 3, out);
        varint(value, out);
    }

    fn bytes(field: u64, value: &[u8], out: &mut Vec<u8>) {
        varint(field << 3 | 2, out);
        varint(value.len() as u64, out);
        out.extend(value);
    }

    fn message(fields: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        fields(&mut out);
        out
    }

    /// `name: float[dims]`; a dimension of 0 is left open.
    fn value_info(name: &str, dims: &[u64]) -> Vec<u8> {
        let shape = message(|out| {
            for dim in dims {
                let dim = message(|out| match dim {
                    0 => bytes(2, b"batch", out),
                    n => number(1, *n, out),
                });
                bytes(1, &dim, out);
            }
        });
        let tensor = message(|out| {
            number(1, 1, out); // FLOAT
            bytes(2, &shape, out);
        });
        message(|out| {
            bytes(1, name.as_bytes(), out);
            bytes(2, &message(|out| bytes(1, &tensor, out)), out);
        })
    }

    fn ints(name: &str, values: &[u64]) -> Vec<u8> {
        message(|out| {
            bytes(1, name.as_bytes(), out);
            values.iter().for_each(|value| number(8, *value, out));
            number(20, 7, out); // INTS
        })
    }

    fn node(op: &str, input: &str, output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
        message(|out| {
            bytes(1, input.as_bytes(), out);
            bytes(2, output.as_bytes(), out);
            bytes(4, op.as_bytes(), out);
            attributes.iter().for_each(|a| bytes(5, a, out));
        })
    }

    /// The mean of each `cell` x `cell` pixels of each plane, as one vector: an embedder that tells
    /// pictures apart, without weights. `side`: of its input.
    pub fn embedder(side: u64, cell: u64) -> Vec<u8> {
        let window = [
            ints("kernel_shape", &[cell, cell]),
            ints("strides", &[cell, cell]),
        ];
        let numbers = 3 * (side / cell).pow(2);
        let graph = message(|out| {
            bytes(1, &node("AveragePool", "face", "cells", &window), out);
            bytes(1, &node("Flatten", "cells", "vector", &[]), out);
            bytes(2, b"own", out);
            bytes(11, &value_info("face", &[0, 3, side, side]), out);
            bytes(12, &value_info("vector", &[0, numbers]), out);
        });
        message(|out| {
            number(1, 8, out); // IR version
            bytes(7, &graph, out);
            bytes(8, &message(|out| number(2, 13, out)), out); // operator set
        })
    }
}

/// A home with links to the fetched files, a manifest and a topology of its own.
struct Operator(TempDir);

impl Operator {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::create_dir(path.join("models")).unwrap();
        let link = |from: &Path, to: &Path| std::os::unix::fs::symlink(from, to).unwrap();
        link(&site::home().join("lib"), &path.join("lib"));
        for file in std::fs::read_dir(site::home().join("models")).unwrap() {
            let file = file.unwrap().path();
            link(&file, &path.join("models").join(file.file_name().unwrap()));
        }
        let models = site::root().join("models");
        let manifest = std::fs::read_to_string(models.join("manifest.toml")).unwrap();
        std::fs::write(path.join("manifest.toml"), manifest).unwrap();
        link(&models.join("calibration"), &path.join("calibration"));
        let operator = Self(folder);
        operator.profile("open");
        operator
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// The shipped topology with this manifest and profile.
    fn profile(&self, name: &str) {
        let shipped = site::root().join("models/manifest.toml");
        let text = site::topology(&[
            (
                shipped.to_str().unwrap(),
                self.path("manifest.toml").to_str().unwrap(),
            ),
            ("profile = \"open\"", &format!("profile = {name:?}")),
        ]);
        std::fs::write(self.path("topology.toml"), text).unwrap();
    }

    /// Exit code, standard output and standard error of `shiren`.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(site::program())
            .args(arguments)
            .current_dir(self.0.path())
            .env("SHIREN_HOME", self.0.path())
            .env_remove("SHIREN_LOG_ENGINE")
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    /// `shiren compare` of a face with itself: exit code and verdict.
    fn compare(&self) -> (i32, serde_json::Value) {
        let picture = site::home().join("pictures/obama.jpg");
        let picture = picture.to_str().unwrap();
        let (code, out, err) = self.run(&["compare", picture, picture, "--json"]);
        let answer = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        (code, answer)
    }
}

#[test]
fn an_own_embedder_is_refused_until_it_is_calibrated_and_then_decides() {
    let operator = Operator::new();
    let file = operator.write("My_Net.onnx", &onnx::embedder(112, 28));
    let (code, out, err) = operator.run(&["models", "import", &file, "--write"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.contains("my-net") && out.contains("48 numbers"),
        "{out}"
    );
    operator.profile("my-net");
    let (code, out, _) = operator.run(&["models", "verify"]);
    assert_eq!(code, 0, "{out}");

    let (code, out, _) = operator.run(&["validate", "--json"]);
    let problems: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 1);
    assert_eq!(problems["problems"].as_array().unwrap().len(), 1, "{out}");
    assert_eq!(problems["problems"][0]["code"], "calibration_missing");
    let (code, answer) = operator.compare();
    assert_eq!(code, 3, "{answer}");
    assert!(
        answer.to_string().contains("calibration_missing"),
        "{answer}"
    );
    assert!(!answer.to_string().contains("\"accept\""), "{answer}");

    // The operator's table: few high scores of strangers, all of one person.
    let table = "version = 1\nname = \"own\"\nmodel = \"my-net\"\nreference_kinds = [\"live\", \"on_file\"]\n\
        [population]\ndescription = \"a test\"\npeople = 100\npictures = 200\nmeasured = \"2026\"\nlimits = \"a test\"\n\
        [sample]\ngenuine_pairs = 100\nimpostor_pairs = 100000\nimpostor_identity_pairs = 5000\n\
        [histogram]\nbin_width = 0.01\nbins = [[0.5, 0, 99900], [0.9, 0, 100], [0.99, 100, 0]]\n";
    operator.write("own.toml", table.as_bytes());
    let manifest = std::fs::read_to_string(operator.path("manifest.toml")).unwrap();
    let calibrated = manifest.replace(
        "# calibration = \"calibration/my-net.toml\"",
        "calibration = \"own.toml\"",
    );
    assert_ne!(calibrated, manifest);
    operator.write("manifest.toml", calibrated.as_bytes());
    let (code, out, _) = operator.run(&["validate"]);
    assert_eq!(code, 0, "{out}");
    let (code, answer) = operator.compare();
    assert_eq!(code, 0, "{answer}");
    assert!(answer.to_string().contains("\"accept\""), "{answer}");
    assert!(answer.to_string().contains("my-net:"), "{answer}");

    // Another model's table must not judge its templates.
    operator.write(
        "own.toml",
        table.replace("my-net", "dlib-resnet29").as_bytes(),
    );
    let (code, out, _) = operator.run(&["validate"]);
    assert_eq!(code, 1);
    assert!(out.contains("[embeddings_mixed] models.profile"), "{out}");
    let (code, answer) = operator.compare();
    assert_eq!(code, 3, "{answer}");
}

#[test]
fn what_is_no_such_embedder_is_refused_and_leaves_nothing_behind() {
    let operator = Operator::new();
    let before = std::fs::read_to_string(operator.path("manifest.toml")).unwrap();
    let files = || std::fs::read_dir(operator.path("models")).unwrap().count();
    let linked = files();
    let good = operator.write("good.onnx", &onnx::embedder(112, 28));
    for (bytes, name, wanted) in [
        (onnx::embedder(160, 40), "side", "[1, 3, 112, 112]"),
        (onnx::embedder(112, 112), "short", "3 numbers"),
        (b"not a network".to_vec(), "garbage", "cannot be loaded"),
        (Vec::new(), "empty", "cannot be loaded"),
        (
            onnx::embedder(112, 28),
            "dlib-resnet29",
            "the name is taken",
        ),
        (onnx::embedder(112, 28), "../up", "--name"),
        (onnx::embedder(112, 28), "Big", "--name"),
    ] {
        let file = operator.write("model.onnx", &bytes);
        let (code, out, err) =
            operator.run(&["models", "import", &file, "--name", name, "--write"]);
        assert_eq!(code, 1, "{name}: {out}");
        assert!(err.contains(wanted), "{name}: {err}");
    }
    let after = std::fs::read_to_string(operator.path("manifest.toml")).unwrap();
    assert_eq!(before, after);
    assert_eq!(files(), linked);

    // Without --write the manifest is the operator's to mend; a second file may not take the name.
    let (code, out, err) = operator.run(&["models", "import", &good]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("[model.good]") && out.contains("[profile.good]"),
        "{out}"
    );
    let after = std::fs::read_to_string(operator.path("manifest.toml")).unwrap();
    assert_eq!(before, after);
    let other = operator.write("other.onnx", &onnx::embedder(112, 14));
    let (code, _, err) = operator.run(&["models", "import", &other, "--name", "good"]);
    assert_eq!(code, 1);
    assert!(err.contains("is another file"), "{err}");
}

/// Weights that no registry carries: `SHIREN_TEST_MINIFASNET` names the folder with both files of docs/liveness.md.
#[test]
#[ignore = "needs weights that no registry carries: SHIREN_TEST_MINIFASNET=FOLDER"]
fn minifasnet_is_brought_by_manifest_entries_and_then_judges() {
    let folder = std::env::var("SHIREN_TEST_MINIFASNET").expect("the folder of the weights");
    let operator = Operator::new();
    let nets = [
        ("minifasnet-v2", "minifasnet_v2_2.7_80x80.onnx", "2.7"),
        ("minifasnet-v1se", "minifasnet_v1se_4.0_80x80.onnx", "4.0"),
    ];
    for (name, file, context) in nets {
        let file = format!("{folder}/{file}");
        let words = ["models", "import", &file, "--role", "liveness", "--write"];
        let more = [
            "--context",
            context,
            "--name",
            name,
            "--licence",
            "Apache-2.0",
        ];
        let (code, out, err) = operator.run(&[&words[..], &more[..]].concat());
        assert_eq!(code, 0, "{out}{err}");
    }
    let manifest = std::fs::read_to_string(operator.path("manifest.toml")).unwrap();
    let list =
        "expression = \"human-expression\", liveness = [\"minifasnet-v2\", \"minifasnet-v1se\"] }";
    let manifest = manifest.replace("expression = \"human-expression\" }", list);
    operator.write("manifest.toml", manifest.as_bytes());
    let (code, answer) = operator.compare();
    assert_eq!(code, 0, "{answer}");
    let found = &answer["evidence"]["pictures"][0]["liveness"];
    assert_eq!(found["table"], "liveness-minifasnet", "{found}");
    assert!(
        found["score"]
            .as_f64()
            .is_some_and(|score| score > 0.0 && score < 1.0),
        "{found}"
    );
    let cues = found["cues"].as_array().unwrap();
    for (name, ..) in nets {
        assert!(cues.iter().any(|cue| cue["name"] == name), "{found}");
    }
    let hashes = answer["verdict"]["canonical"]["model_hashes"].to_string();
    assert!(
        nets.iter().all(|(name, ..)| hashes.contains(name)),
        "{hashes}"
    );
}
