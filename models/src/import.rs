//! An operator's own embedder: what its ONNX file says of itself, as an entry of the manifest.
//!
//! Embedders of the ArcFace kind are taken: in goes one face, aligned by the ArcFace template to
//! 112 x 112 pixels; out comes one vector.

mod liveness;

use std::path::Path;

use ort::session::Session;

use crate::error::ModelError;
use crate::files;
use crate::manifest::{Colour, Manifest, Metric};
use crate::session::{self, Net};

pub use liveness::{ImportedLiveness, LivenessOptions, import_liveness};

/// Longest ONNX file that is taken, bytes.
pub const MAX_ONNX_BYTES: u64 = 1 << 30;
/// Width and height of the input, pixels.
const SIDE: u32 = 112;

/// What the file does not say.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Name in the manifest, `[a-z0-9-]{1,32}`; new there, as a model and as a profile.
    pub name: String,
    /// Name of the file, for the record.
    pub origin: String,
    /// Order of the planes that it was trained with.
    pub colour: Colour,
    /// Subtracted from a byte, in every plane.
    pub mean: f32,
    /// Factor after the mean is subtracted; not 0.
    pub scale: f32,
    /// How its templates are compared.
    pub metric: Metric,
    /// Licence of the weights, in the operator's words.
    pub licence: String,
    /// What is known of the training data, in the operator's words.
    pub training_data: String,
    /// Model of the manifest that finds the faces for it.
    pub detector: String,
}

/// A network that was tried.
#[derive(Debug)]
pub struct Imported {
    /// What is to be appended to the manifest: the model, and a profile of its name.
    pub entry: String,
    /// The manifest with the entry.
    pub manifest: Manifest,
    /// sha256 of the file, hexadecimal.
    pub sha256: String,
    /// Numbers in a template.
    pub embedding_size: usize,
}

/// Tries the network in `onnx` on two pictures, and describes it. `text` is the manifest that the
/// entry will be appended to, `home` the cache folder with ONNX Runtime. Writes nothing.
///
/// # Errors
/// [`ModelError::Manifest`] for a name that is taken or malformed, [`ModelError::Runtime`] where
/// ONNX Runtime refuses the file, [`ModelError::WrongShape`] for anything but one picture in and
/// one vector out, [`ModelError::TemplateInvalid`] for vectors that cannot be compared.
pub fn import(
    onnx: &[u8],
    text: &str,
    home: &Path,
    options: &ImportOptions,
) -> Result<Imported, ModelError> {
    let manifest = Manifest::parse(text)?;
    check_name(&manifest, &options.name)?;
    let name = &options.name;
    let session = session::load(&manifest, home, name, onnx, 1)?;
    let (input, output) = ends(name, &session)?;
    let mut net = Net::unknown(name, session, input.clone(), output.clone());
    let embedding_size = try_out(&mut net, options)?;
    let sha256 = files::sha256(onnx);
    let entry = entry(
        options,
        &sha256,
        onnx.len(),
        &input,
        &output,
        embedding_size,
    );
    Ok(Imported {
        manifest: Manifest::parse(&format!("{text}{entry}"))?,
        entry,
        sha256,
        embedding_size,
    })
}

fn check_name(manifest: &Manifest, name: &str) -> Result<(), ModelError> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let what = if !(1..=32).contains(&name.len()) || !name.bytes().all(is_plain) {
        "a model's name has 1 to 32 of a-z, 0-9 and hyphens; choose one with --name"
    } else if manifest.model.contains_key(name) || manifest.profile.contains_key(name) {
        "the name is taken; choose another with --name: templates of two files must never have one name"
    } else {
        return Ok(());
    };
    Err(ModelError::Manifest {
        place: format!("model.{name}"),
        what: what.into(),
    })
}

/// Names of the one input and the one output.
fn ends(name: &str, session: &Session) -> Result<(String, String), ModelError> {
    let ([input], [output]) = (session.inputs(), session.outputs()) else {
        let (inputs, outputs) = (session.inputs().len(), session.outputs().len());
        return Err(wrong(
            name,
            format!("has {inputs} inputs and {outputs} outputs, not one of each"),
        ));
    };
    let dims = session::float_shape(name, input)?;
    let side = i64::from(SIDE);
    let fits = |dim: i64| dim < 0 || dim == side;
    if !matches!(dims, [-1 | 1, 3, h, w] if fits(*h) && fits(*w)) {
        return Err(wrong(
            name,
            format!(
                "its input is {dims:?}; an ArcFace-style embedder takes [1, 3, {side}, {side}]"
            ),
        ));
    }
    session::float_shape(name, output)?;
    Ok((input.name().into(), output.name().into()))
}

/// Runs it on an even picture and on one with a pattern; gives the numbers in a template.
fn try_out(net: &mut Net, options: &ImportOptions) -> Result<usize, ModelError> {
    let pixels = (SIDE * SIDE * 3) as usize;
    let feed = |byte: f32| (byte - options.mean) * options.scale;
    let even = vec![feed(90.0); pixels];
    let pattern: Vec<f32> = (0..pixels)
        .map(|place| feed((place * 7 % 251) as f32))
        .collect();
    let mut run = |values: &[f32]| {
        net.run(values, (SIDE, SIDE), |outputs| {
            Ok(outputs
                .iter()
                .flat_map(|o| o.data.to_vec())
                .collect::<Vec<f32>>())
        })
    };
    let (first, second) = (run(&even)?, run(&pattern)?);
    let name = &options.name;
    if !(8..=4096).contains(&first.len()) {
        let what = format!("gave {} numbers; a template has 8 to 4096", first.len());
        return Err(wrong(name, what));
    }
    let what = if !first.iter().chain(&second).all(|value| value.is_finite()) {
        "not finite"
    } else if first == second {
        "the same for two pictures"
    } else {
        return Ok(first.len());
    };
    Err(ModelError::TemplateInvalid {
        model: name.clone(),
        what: what.into(),
    })
}

fn entry(
    options: &ImportOptions,
    sha256: &str,
    bytes: usize,
    input: &str,
    output: &str,
    size: usize,
) -> String {
    let ImportOptions {
        name,
        origin,
        mean,
        scale,
        licence,
        training_data,
        detector,
        ..
    } = options;
    let colour = match options.colour {
        Colour::Rgb => "rgb",
        Colour::Bgr => "bgr",
        Colour::Grey => "grey",
    };
    let metric = match options.metric {
        Metric::Cosine => "cosine",
        Metric::Euclidean => "euclidean",
    };
    let text = |text: &str| toml::Value::from(text).to_string();
    let (licence, training_data, origin) = (text(licence), text(training_data), text(origin));
    let (input, output) = (text(input), text(output));
    format!(
        r#"
# Imported. Without a calibration table its thresholds are refused (docs/models.md).
[model.{name}]
architecture = "arcface-112"
licence = {licence}
licence_source = "stated by the operator who imported the file"
training_data = {training_data}
source = {{ registry = "file", package = {origin}, version = "", file = {origin}, sha256 = "{sha256}" }}
conversion = "none"
onnx = {{ file = "{name}.onnx", sha256 = "{sha256}", bytes = {bytes} }}
input = {{ name = {input}, layout = "nchw", colour = "{colour}", size = [{SIDE}, {SIDE}], mean = [{mean:?}, {mean:?}, {mean:?}], scale = {scale:?} }}
output = {{ names = [{output}], decoding = "embedding", embedding_size = {size}, metric = "{metric}" }}
# calibration = "calibration/{name}.toml"

[profile.{name}]
detector = "{detector}"
embedder = "{name}"
"#
    )
}

fn wrong(name: &str, what: String) -> ModelError {
    ModelError::WrongShape {
        model: name.into(),
        what,
    }
}
