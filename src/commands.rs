//! The command line: one module a command, one way to fail.

mod accuracy;
mod answer;
mod bench_attributes;
mod bench_chain;
mod bench_identification;
mod bench_memory;
mod bench_pad;
mod bench_record;
mod bench_search;
mod calibrate;
mod dead_letters;
mod demo;
mod docs;
mod explain;
mod graph;
mod library;
mod models;
mod policy;
mod publish;
mod register;
mod run;
mod topics;
mod validate;
mod vault;
mod verdicts;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use shiren_log::Log;
use shiren_schemas::records::RequestKind;

use crate::site::{self, Site};
use crate::{stages, telemetry};

/// Real-person verification: pictures in, verdicts out.
#[derive(Parser)]
#[command(name = "shiren", version, about)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Where a site's files are.
#[derive(Args, Clone)]
pub(crate) struct Place {
    /// The wiring document.
    #[arg(
        long,
        global = true,
        env = "SHIREN_TOPOLOGY",
        default_value = "topology.toml"
    )]
    topology: PathBuf,
}

impl Place {
    /// Reads and checks the topology; its warnings go to standard error.
    pub(crate) fn site(&self) -> anyhow::Result<Arc<Site>> {
        self.site_with_profile(None)
    }

    /// As [`Place::site`], with another profile of weights.
    pub(crate) fn site_with_profile(&self, profile: Option<&str>) -> anyhow::Result<Arc<Site>> {
        let mut site = Site::open(&self.topology, &site::home(), &stages::descriptors())?;
        for warning in &site.topology.warnings {
            eprintln!("{warning}");
        }
        if let Some(profile) = profile {
            profile.clone_into(&mut site.topology.models.profile);
        }
        Ok(Arc::new(site))
    }

    /// The wiring document.
    pub(crate) fn topology(&self) -> &Path {
        &self.topology
    }

    /// The site and its log.
    pub(crate) fn log(&self) -> anyhow::Result<(Arc<Site>, Arc<dyn Log>)> {
        let site = self.site()?;
        let log = site.open_log()?;
        Ok((site, log))
    }
}

#[derive(Subcommand)]
enum Command {
    /// Publish a mix of cases, run the chain on them, show the verdicts and write a report
    Demo(demo::DemoArgs),
    /// Run segments of the chain until SIGTERM or Ctrl-C
    Run(run::RunArgs),
    /// Check topology.toml; every problem at once
    Validate(validate::ValidateArgs),
    /// What a code means, and what to do about it; without one, a list of all
    Explain(explain::ExplainArgs),
    /// Draw stages, segments and topics, for each kind of request
    Graph(graph::GraphArgs),
    /// Create the topics, or bring their settings up to date
    #[command(subcommand)]
    Topics(topics::TopicsCommand),
    /// What scenes ask for: show it, change it while the chain runs, see who changed it
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Publish one request
    Publish(publish::PublishArgs),
    /// Print verdicts, each id once
    Verdicts(verdicts::VerdictsArgs),
    /// Records that were refused or failed, and replaying them
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// Are these two pictures of one person? (through the chain, without a log)
    Compare(answer::CompareArgs),
    /// Find every face of a picture (through the chain, without a log)
    Detect(answer::PictureArgs),
    /// What a face is fit for and what it shows (through the chain, without a log)
    Attributes(answer::PictureArgs),
    /// Is this a person before the camera? Passive and advisory (through the chain, without a log)
    Liveness(answer::PictureArgs),
    /// Weights: what they are, where they come from, whether they are whole
    #[command(subcommand)]
    Models(models::ModelsCommand),
    /// The key store that pictures are sealed under
    #[command(subcommand)]
    Vault(vault::VaultCommand),
    /// The persons that the local register vouches for
    #[command(subcommand)]
    Register(register::RegisterCommand),
    /// Libraries of faces, and who is in them
    #[command(subcommand)]
    Library(library::LibraryCommand),
    /// Make a calibration table from pairs of your own, or from the persons of a library
    Calibrate(calibrate::CalibrateArgs),
    /// Measure
    #[command(subcommand)]
    Bench(BenchCommand),
    /// The pages of docs/ that are generated
    #[command(subcommand, hide = true)]
    Docs(docs::DocsCommand),
}

#[derive(Subcommand)]
enum BenchCommand {
    /// Error rates of 1:1 comparison over a list of pairs
    Accuracy(accuracy::AccuracyArgs),
    /// Attributes and quality over the pictures that set-up fetches
    Attributes(bench_attributes::AttributesArgs),
    /// CPU of the fused chain against floors measured beside it
    Chain(bench_chain::ChainArgs),
    /// Open-set identification (1:N) over pictures of known persons, by ISO/IEC 19795-1
    Identification(bench_identification::IdentificationArgs),
    /// Presentation attack detection over a list of pictures, by ISO/IEC 30107-3
    Pad(bench_pad::PadArgs),
    /// Peak memory of a worker process that gets more than it can do
    Memory(bench_memory::MemoryArgs),
    /// The face library: inserts, search times and recall against exact search, on templates made from numbers
    Search(bench_search::SearchArgs),
    /// Keep a result in benches/results; scripts/bench calls it
    #[command(hide = true)]
    Record(bench_record::RecordArgs),
}

/// Parses the command line and runs the command. Exit code 1: it failed; 2: its words are wrong.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let telemetry = match telemetry::start() {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("shiren: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let place = cli.place;
    let done = match cli.command {
        Command::Demo(args) => demo::demo(&place, &args),
        Command::Run(args) => run::run(&place, &args),
        Command::Validate(args) => validate::validate(&place, &args),
        Command::Explain(args) => explain::explain(&args),
        Command::Graph(args) => graph::graph(&place, &args),
        Command::Topics(command) => topics::topics(&place, &command),
        Command::Policy(command) => policy::policy(&place, &command),
        Command::Publish(args) => publish::publish(&place, &args),
        Command::Verdicts(args) => verdicts::verdicts(&place, &args),
        Command::DeadLetters(command) => dead_letters::dead_letters(&place, &command),
        Command::Compare(args) => answer::compare(&place, &args),
        Command::Detect(args) => answer::picture(&place, RequestKind::Detect, &args),
        Command::Attributes(args) => answer::picture(&place, RequestKind::Attributes, &args),
        Command::Liveness(args) => answer::picture(&place, RequestKind::Liveness, &args),
        Command::Models(command) => models::models(&place, &command),
        Command::Vault(command) => vault::vault(&place, &command),
        Command::Register(command) => register::register(&place, &command),
        Command::Library(command) => library::library(&place, &command),
        Command::Calibrate(args) => calibrate::calibrate(&place, &args),
        Command::Bench(BenchCommand::Accuracy(args)) => accuracy::accuracy(&place, &args),
        Command::Bench(BenchCommand::Attributes(args)) => {
            bench_attributes::attributes(&place, &args)
        }
        Command::Bench(BenchCommand::Chain(args)) => bench_chain::chain(&place, &args),
        Command::Bench(BenchCommand::Identification(args)) => {
            bench_identification::identification(&place, &args)
        }
        Command::Bench(BenchCommand::Memory(args)) => bench_memory::memory(&place, &args),
        Command::Bench(BenchCommand::Pad(args)) => bench_pad::pad(&place, &args),
        Command::Bench(BenchCommand::Search(args)) => bench_search::search(&args),
        Command::Bench(BenchCommand::Record(args)) => bench_record::record(&args),
        Command::Docs(command) => docs::docs(&command),
    };
    drop(telemetry);
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("shiren: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints one line, and takes a closed pipe for the reader's wish to stop.
pub(crate) fn print_line(line: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}
