//! ONNX Runtime: one environment a process, one checked session a model.

use std::path::Path;
use std::sync::Mutex;

use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session, SessionOutputs};
use ort::value::{Outlet, TensorElementType, TensorRef};

use crate::error::ModelError;
use crate::files;
use crate::manifest::{Layout, Manifest, ModelEntry};
use crate::recording::{self, Recording};

/// The runtime can be loaded once a process, and lives as long.
/// Known by the library's sha256, so that copies of one file are one.
static RUNTIME: Mutex<Option<(String, Environment)>> = Mutex::new(None);

fn environment(library: &Path, sha256: &str) -> Result<Environment, ModelError> {
    let mut loaded = RUNTIME
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((loaded, environment)) = loaded.as_ref() {
        if loaded == sha256 {
            return Ok(environment.clone());
        }
        let library = library.display();
        return Err(ModelError::Runtime {
            what: format!("another library than {library} is loaded; use a process for each"),
        });
    }
    let fail = |error: &dyn std::fmt::Display| ModelError::Runtime {
        what: format!("{} cannot be loaded: {error}", library.display()),
    };
    let environment = ort::init_from(library)
        .map_err(|error| fail(&error))?
        .with_name("shiren")
        .with_telemetry(false)
        .build()
        .map_err(|error| fail(&error))?;
    *loaded = Some((sha256.into(), environment.clone()));
    Ok(environment)
}

/// Target of the event that tells of each run: `model`, and `width` and `height` of its input.
pub const RUN: &str = "shiren_models::run";

/// A network with its name, its output names in decoding order, and its hash.
#[derive(Debug)]
pub(crate) struct Net {
    pub name: String,
    pub sha256: String,
    /// `None`: its outputs are played.
    session: Option<Session>,
    recording: Option<Recording>,
    input: String,
    layout: Layout,
    planes: usize,
    outputs: Vec<String>,
}

impl Net {
    /// Loads model `name` of the manifest from `home`, checked against the entry.
    pub fn open(
        manifest: &Manifest,
        home: &Path,
        name: &str,
        threads: usize,
    ) -> Result<Self, ModelError> {
        let entry = manifest.model(name)?;
        let recording = manifest.recording.clone();
        let session = if recording.as_ref().is_some_and(Recording::plays) {
            None
        } else {
            let onnx = files::read_checked(
                &files::model_path(home, entry),
                &entry.onnx.sha256,
                entry.onnx.bytes,
            )?;
            let session = load(manifest, home, name, &onnx, threads)?;
            check_shapes(name, entry, &session)?;
            Some(session)
        };
        Ok(Self {
            name: name.into(),
            sha256: entry.onnx.sha256.clone(),
            session,
            recording,
            input: entry.input.name.clone(),
            layout: entry.input.layout,
            planes: entry.input.colour.planes(),
            outputs: entry.output.names.clone(),
        })
    }

    /// A network that no manifest knows yet.
    pub fn unknown(name: &str, session: Session, input: String, output: String) -> Self {
        Self {
            name: name.into(),
            sha256: String::new(),
            session: Some(session),
            recording: None,
            input,
            layout: Layout::Nchw,
            planes: 3,
            outputs: vec![output],
        }
    }

    /// Runs on the values of one picture, in the manifest's layout, and hands each output's shape and values, in
    /// the manifest's order, to `read`.
    pub fn run<T>(
        &mut self,
        values: &[f32],
        (width, height): (u32, u32),
        read: impl FnOnce(&[Values<'_>]) -> Result<T, ModelError>,
    ) -> Result<T, ModelError> {
        let (model, names) = (&self.name, &self.outputs);
        tracing::trace!(target: RUN, model = model.as_str(), width, height);
        let fail = |error: ort::Error| ModelError::Failed {
            model: model.clone(),
            what: error.to_string(),
        };
        let recorded = self.recording.as_ref();
        let recorded =
            recorded.map(|it| (it, recording::key(&self.sha256, values, (width, height))));
        let Some(session) = &mut self.session else {
            let found = recorded.and_then(|(recording, key)| recording.find(&key));
            let found = found.ok_or_else(|| ModelError::Failed {
                model: model.clone(),
                what: format!("its outputs for this input of {width} x {height} were not recorded"),
            })?;
            let found: Vec<Values<'_>> = found.iter().map(Values::from).collect();
            return read(&found);
        };
        let shape = shape(self.layout, self.planes, height as usize, width as usize);
        let tensor = TensorRef::from_array_view((shape, values)).map_err(fail)?;
        let outputs = session
            .run(ort::inputs![self.input.as_str() => tensor])
            .map_err(fail)?;
        let read_out = names
            .iter()
            .map(|name| values_of(&outputs, name).map_err(fail))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some((recording, key)) = recorded {
            let kept = read_out.iter().map(|v| (v.shape.to_vec(), v.data.to_vec()));
            recording.keep(key, std::sync::Arc::new(kept.collect()));
        }
        read(&read_out)
    }
}

/// Axes of one picture's tensor.
fn shape<T: From<u8>>(layout: Layout, planes: T, height: T, width: T) -> [T; 4] {
    match layout {
        Layout::Nchw => [T::from(1), planes, height, width],
        Layout::Nhwc => [T::from(1), height, width, planes],
    }
}

/// A session of the bytes of an ONNX file, by the runtime that the manifest names.
pub(crate) fn load(
    manifest: &Manifest,
    home: &Path,
    name: &str,
    onnx: &[u8],
    threads: usize,
) -> Result<Session, ModelError> {
    let (library, library_sha256) = files::checked_library(manifest, home)?;
    let environment = environment(&library, &library_sha256)?;
    build(&environment, onnx, threads.max(1)).map_err(|error| ModelError::Runtime {
        what: format!("model {name} cannot be loaded: {error}"),
    })
}

/// One output.
pub(crate) struct Values<'a> {
    pub shape: &'a [i64],
    pub data: &'a [f32],
}

impl<'a> From<&'a (Vec<i64>, Vec<f32>)> for Values<'a> {
    fn from((shape, data): &'a (Vec<i64>, Vec<f32>)) -> Self {
        Self { shape, data }
    }
}

fn values_of<'a>(outputs: &'a SessionOutputs<'_>, name: &str) -> Result<Values<'a>, ort::Error> {
    let value = outputs
        .get(name)
        .ok_or_else(|| ort::Error::new(format!("output {name} is not there")))?;
    let (shape, data) = value.try_extract_tensor::<f32>()?;
    Ok(Values { shape, data })
}

fn build(environment: &Environment, onnx: &[u8], threads: usize) -> Result<Session, ort::Error> {
    configure(environment, threads)?.commit_from_memory(onnx)
}

fn configure(environment: &Environment, threads: usize) -> Result<SessionBuilder, ort::Error> {
    // Level 3 halves the time of level 2. Spinning threads burn a shared core for nothing.
    Ok(Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::Level3)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_deterministic_compute(true)?)
}

fn check_shapes(name: &str, entry: &ModelEntry, session: &Session) -> Result<(), ModelError> {
    let [width, height] = entry.input.size.map(i64::from);
    let [input] = session.inputs() else {
        return Err(differs(
            name,
            format!("has {} inputs, not one", session.inputs().len()),
        ));
    };
    if input.name() != entry.input.name {
        return Err(differs(
            name,
            format!(
                "its input is `{}`, the manifest says `{}`",
                input.name(),
                entry.input.name
            ),
        ));
    }
    let dims = float_shape(name, input)?;
    // A side that the file leaves open takes the manifest's.
    let fits = |dim: i64, wanted: i64| dim < 0 || (wanted != 0 && dim == wanted);
    let planes = i64::try_from(entry.input.colour.planes()).unwrap_or(i64::MAX);
    let wanted = shape(entry.input.layout, planes, height, width);
    let sound = dims.len() == wanted.len()
        && matches!(dims[0], -1 | 1)
        && dims[1..]
            .iter()
            .zip(&wanted[1..])
            .all(|(dim, wanted)| fits(*dim, *wanted));
    if !sound {
        return Err(differs(
            name,
            format!("its input is {dims:?}, the manifest says {wanted:?} (0 = any)"),
        ));
    }
    for wanted in &entry.output.names {
        let found = session
            .outputs()
            .iter()
            .find(|output| output.name() == wanted);
        let output = found.ok_or_else(|| differs(name, format!("has no output `{wanted}`")))?;
        let dims = float_shape(name, output)?;
        let size = entry
            .output
            .embedding_size
            .and_then(|size| i64::try_from(size).ok());
        if let (Some(size), Some(&last)) = (size, dims.last())
            && last != size
            && last >= 0
        {
            return Err(differs(
                name,
                format!("output `{wanted}` is {dims:?}, the manifest says {size} numbers"),
            ));
        }
    }
    Ok(())
}

pub(crate) fn float_shape<'a>(name: &str, outlet: &'a Outlet) -> Result<&'a [i64], ModelError> {
    let kind = outlet.dtype();
    match (kind.tensor_type(), kind.tensor_shape()) {
        (Some(TensorElementType::Float32), Some(shape)) => Ok(shape),
        _ => Err(differs(
            name,
            format!("`{}` is no tensor of 32-bit floats", outlet.name()),
        )),
    }
}

fn differs(model: &str, what: String) -> ModelError {
    ModelError::WrongShape {
        model: model.into(),
        what,
    }
}
