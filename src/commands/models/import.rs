//! `shiren models import`: an operator's own embedder or liveness net.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use shiren_models::FaceEmbedder;
use shiren_models::Manifest;
use shiren_models::files;
use shiren_models::import::{self, ImportOptions, LivenessOptions, MAX_ONNX_BYTES};
use shiren_models::liveness::LivenessNet;
use shiren_models::manifest::{Colour, Metric};

use crate::commands::{Place, print_line};

#[derive(Args)]
pub(crate) struct ImportArgs {
    /// The ONNX file, weights inside
    file: PathBuf,
    /// What it is for: an embedder of the ArcFace kind, or a liveness net of the MiniFASNet kind
    #[arg(long, value_enum, default_value_t = ForRole::Embedder)]
    role: ForRole,
    /// Liveness only: sides of the face's box that it was trained to see, 1 to 6
    #[arg(long, required_if_eq("role", "liveness"))]
    context: Option<f32>,
    /// Its name in the manifest, and that of its profile; default: the file's
    #[arg(long)]
    name: Option<String>,
    /// Append the entry to the manifest; without it the entry is printed only
    #[arg(long)]
    write: bool,
    /// Order of the colour planes that it was trained with
    #[arg(long, value_enum, default_value_t = Planes::Rgb)]
    colour: Planes,
    /// Subtracted from each byte
    #[arg(long, default_value_t = 127.5)]
    mean: f32,
    /// Factor after the mean is subtracted; default: 1 / 127.5
    #[arg(long, default_value_t = 1.0 / 127.5)]
    scale: f32,
    /// How templates are compared
    #[arg(long, value_enum, default_value_t = Comparison::Cosine)]
    metric: Comparison,
    /// Licence of the weights
    #[arg(long, default_value = "not stated")]
    licence: String,
    /// What is known of the training data
    #[arg(long, default_value = "not stated")]
    training_data: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ForRole {
    Embedder,
    Liveness,
}

#[derive(Clone, Copy, ValueEnum)]
enum Planes {
    Rgb,
    Bgr,
}

#[derive(Clone, Copy, ValueEnum)]
enum Comparison {
    Cosine,
    Euclidean,
}

pub(crate) fn import(place: &Place, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let site = place.site()?;
    let path = site.manifest_path();
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    if args.role == ForRole::Liveness {
        return import_liveness(&path, &text, &site.home, args);
    }
    let manifest = site.manifest()?;
    let detector = &manifest.profile(&site.topology.models.profile)?.detector;
    let onnx = read(&args.file)?;
    let imported = import::import(&onnx, &text, &site.home, &options(args, detector)?)?;
    let name = file_stem(args);
    keep(&onnx, &imported.manifest, &name, &site.home)?;
    FaceEmbedder::open(&imported.manifest, &site.home, &name, 1)?;
    tell(args, &path, &text, &name, &imported.entry)?;
    print_line(&format!(
        "To use it: models.profile = \"{name}\" in topology.toml. It has {} numbers and no calibration table yet: \
         comparisons are refused as calibration_missing until there is one (docs/models.md).",
        imported.embedding_size
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn import_liveness(
    path: &Path,
    text: &str,
    home: &Path,
    args: &ImportArgs,
) -> anyhow::Result<ExitCode> {
    let onnx = read(&args.file)?;
    let name = file_stem(args);
    let origin = args.file.file_name().unwrap_or_default();
    let options = LivenessOptions {
        name: name.clone(),
        origin: origin.to_string_lossy().into_owned(),
        context: args.context.unwrap_or_default(),
        licence: args.licence.clone(),
        training_data: args.training_data.clone(),
    };
    let imported = import::import_liveness(&onnx, text, home, &options)?;
    keep(&onnx, &imported.manifest, &name, home)?;
    LivenessNet::open(&imported.manifest, home, &name, 1)?;
    tell(args, path, text, &name, &imported.entry)?;
    print_line(&format!(
        "To use it: list it in a profile of the manifest, liveness = [\"{name}\"]. Nothing is checked until a fusion table \
         of liveness.tables is for exactly the nets of that list (docs/liveness.md)."
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Appends the entry, or prints it.
fn tell(args: &ImportArgs, path: &Path, text: &str, name: &str, entry: &str) -> anyhow::Result<()> {
    if args.write {
        // The entry begins with the end of a line.
        replace(path, format!("{text}{entry}").as_bytes())?;
        return print_line(&format!("{name} was appended to {}", path.display()));
    }
    print_line(entry)?;
    print_line(&format!(
        "Append this to {}, or run the command with --write.",
        path.display()
    ))
}

fn file_stem(args: &ImportArgs) -> String {
    let stem = || args.file.file_stem().unwrap_or_default().to_string_lossy();
    args.name
        .clone()
        .unwrap_or_else(|| stem().to_lowercase().replace(['_', '.', ' '], "-"))
}

fn options(args: &ImportArgs, detector: &str) -> anyhow::Result<ImportOptions> {
    if !args.mean.is_finite() || !args.scale.is_finite() || args.scale == 0.0 {
        bail!("--mean and --scale are finite numbers, --scale is not 0");
    }
    let origin = args.file.file_name().unwrap_or_default();
    Ok(ImportOptions {
        name: file_stem(args),
        origin: origin.to_string_lossy().into_owned(),
        colour: match args.colour {
            Planes::Rgb => Colour::Rgb,
            Planes::Bgr => Colour::Bgr,
        },
        mean: args.mean,
        scale: args.scale,
        metric: match args.metric {
            Comparison::Cosine => Metric::Cosine,
            Comparison::Euclidean => Metric::Euclidean,
        },
        licence: args.licence.clone(),
        training_data: args.training_data.clone(),
        detector: detector.to_owned(),
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let place = || path.display().to_string();
    let file = std::fs::File::open(path).with_context(place)?;
    let mut onnx = Vec::new();
    file.take(MAX_ONNX_BYTES + 1)
        .read_to_end(&mut onnx)
        .with_context(place)?;
    if onnx.len() as u64 > MAX_ONNX_BYTES {
        bail!("{} has more than {MAX_ONNX_BYTES} bytes", place());
    }
    Ok(onnx)
}

/// Puts the file where the entry says.
fn keep(onnx: &[u8], manifest: &Manifest, name: &str, home: &Path) -> anyhow::Result<()> {
    let path = files::model_path(home, manifest.model(name)?);
    if path.exists() {
        if std::fs::read(&path)? != onnx {
            bail!(
                "{} is there and is another file; choose another --name, or remove it",
                path.display()
            );
        }
    } else {
        replace(&path, onnx)?;
    }
    Ok(())
}

/// Writes the whole file or nothing.
fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let place = || path.display().to_string();
    let folder = path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder).with_context(place)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = folder.join(name);
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write()
        .inspect_err(|_| drop(std::fs::remove_file(&beside)))
        .with_context(place)
}
