//! An operator's own liveness net of the MiniFASNet kind, as an entry of the manifest.
//!
//! In goes the face with surroundings, 80 x 80 pixels, blue first, 0 to 255; out come three probabilities, of which the
//! second is that of a live face.

use std::path::Path;

use ort::session::Session;

use super::{check_name, wrong};
use crate::error::ModelError;
use crate::files;
use crate::manifest::Manifest;
use crate::session::{self, Net};

/// Width and height of the input, pixels.
const SIDE: u32 = 80;
/// Classes; they are probabilities that sum to 1.
const CLASSES: usize = 3;
/// Name of the output that is taken where there are several.
const PROBABILITIES: &str = "prob";
/// Largest distance from 1 of a sum of probabilities.
const ROUNDING: f32 = 1e-3;

/// What the file does not say.
#[derive(Debug, Clone)]
pub struct LivenessOptions {
    /// Name in the manifest, `[a-z0-9-]{1,32}`; new there.
    pub name: String,
    /// Name of the file, for the record.
    pub origin: String,
    /// Sides of the face's box that it was trained to see, 1 to 6.
    pub context: f32,
    /// Licence of the weights, in the operator's words.
    pub licence: String,
    /// What is known of the training data, in the operator's words.
    pub training_data: String,
}

/// A net that was tried.
#[derive(Debug)]
pub struct ImportedLiveness {
    /// What is to be appended to the manifest.
    pub entry: String,
    /// The manifest with the entry.
    pub manifest: Manifest,
}

/// Tries the network in `onnx` on an even picture, and describes it. `text` is the manifest that the entry will be
/// appended to, `home` the cache folder with ONNX Runtime. Writes nothing.
///
/// # Errors
/// [`ModelError::Manifest`] for a name that is taken or malformed, or a context out of range, [`ModelError::Runtime`]
/// where ONNX Runtime refuses the file, [`ModelError::WrongShape`] for anything but one 80-px picture in and three
/// probabilities out.
pub fn import_liveness(
    onnx: &[u8],
    text: &str,
    home: &Path,
    options: &LivenessOptions,
) -> Result<ImportedLiveness, ModelError> {
    let manifest = Manifest::parse(text)?;
    let name = &options.name;
    check_name(&manifest, name)?;
    let session = session::load(&manifest, home, name, onnx, 1)?;
    let (input, output) = ends(name, &session)?;
    let mut net = Net::unknown(name, session, input.clone(), output.clone());
    try_out(name, &mut net)?;
    let entry = entry(options, &files::sha256(onnx), onnx.len(), &input, &output);
    Ok(ImportedLiveness {
        manifest: Manifest::parse(&format!("{text}{entry}"))?,
        entry,
    })
}

/// Names of the one input and of the output that holds the probabilities.
fn ends(name: &str, session: &Session) -> Result<(String, String), ModelError> {
    let outputs = session.outputs();
    let named = outputs.iter().find(|output| output.name() == PROBABILITIES);
    let output = named.or(match outputs {
        [only] => Some(only),
        _ => None,
    });
    let ([input], Some(output)) = (session.inputs(), output) else {
        let what = format!(
            "has {} inputs and {} outputs; wanted are one input and one output, or one that is named `{PROBABILITIES}`",
            session.inputs().len(),
            outputs.len()
        );
        return Err(wrong(name, what));
    };
    let dims = session::float_shape(name, input)?;
    let side = i64::from(SIDE);
    let fits = |dim: i64| dim < 0 || dim == side;
    if !matches!(dims, [-1 | 1, 3, h, w] if fits(*h) && fits(*w)) {
        let what = format!("its input is {dims:?}; a MiniFASNet takes [1, 3, {side}, {side}]");
        return Err(wrong(name, what));
    }
    session::float_shape(name, output)?;
    Ok((input.name().into(), output.name().into()))
}

fn try_out(name: &str, net: &mut Net) -> Result<(), ModelError> {
    let even = vec![128.0; (SIDE * SIDE * 3) as usize];
    net.run(&even, (SIDE, SIDE), |outputs| {
        let values: Vec<f32> = outputs.iter().flat_map(|o| o.data.to_vec()).collect();
        let is_share = |value: &f32| (0.0..=1.0).contains(value);
        let sums_to_1 = (values.iter().sum::<f32>() - 1.0).abs() < ROUNDING;
        if values.len() == CLASSES && values.iter().all(is_share) && sums_to_1 {
            return Ok(());
        }
        let what = format!("gave {values:?}; a MiniFASNet gives {CLASSES} probabilities");
        Err(wrong(name, what))
    })
}

fn entry(
    options: &LivenessOptions,
    sha256: &str,
    bytes: usize,
    input: &str,
    output: &str,
) -> String {
    let text = |text: &str| toml::Value::from(text).to_string();
    let LivenessOptions { name, context, .. } = options;
    let (licence, training_data) = (text(&options.licence), text(&options.training_data));
    let (origin, input, output) = (text(&options.origin), text(input), text(output));
    format!(
        r#"
# Imported. A profile lists it under `liveness`; a fusion table must be for exactly the nets of that list.
[model.{name}]
architecture = "minifasnet-80"
licence = {licence}
licence_source = "stated by the operator who imported the file"
training_data = {training_data}
source = {{ registry = "file", package = {origin}, version = "", file = {origin}, sha256 = "{sha256}" }}
conversion = "none"
onnx = {{ file = "{name}.onnx", sha256 = "{sha256}", bytes = {bytes} }}
input = {{ name = {input}, layout = "nchw", colour = "bgr", size = [{SIDE}, {SIDE}], mean = [0.0, 0.0, 0.0], scale = 1.0 }}
output = {{ names = [{output}], decoding = "classes" }}
context = {context:?}
"#
    )
}
