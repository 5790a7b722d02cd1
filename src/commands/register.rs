//! `shiren register`: the persons that the local register vouches for.

use std::io::{BufRead, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use shiren_authority::{ImportReport, LocalRegister, Progress};
use shiren_idcard::IdNumber;
use shiren_vault::KekSource;

use super::{Place, print_line};
use crate::register::{self, KEK_VARIABLE, coded};
use crate::site::Site;

/// Exit status of an import that refused rows: the others are in the register.
const SOME_ROWS_REFUSED: u8 = 3;

#[derive(Subcommand)]
pub(crate) enum RegisterCommand {
    /// Make an empty register, and a key where its file is not there
    Init,
    /// Take persons over from a table: columns name, number, and where wanted portrait, valid_from, valid_to
    Import(ImportArgs),
    /// Forget the holder of a number, which is read from standard input
    Remove,
    /// How many persons, portraits and templates it holds
    Show(ShowArgs),
}

#[derive(Args)]
pub(crate) struct ImportArgs {
    /// CSV in UTF-8
    table: PathBuf,
    /// Folder of the portraits; default: the table's
    #[arg(long)]
    portraits: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn register(place: &Place, command: &RegisterCommand) -> anyhow::Result<ExitCode> {
    let site = place.site()?;
    match command {
        RegisterCommand::Init => init(&site),
        RegisterCommand::Import(args) => import(site, args),
        RegisterCommand::Remove => remove(&site),
        RegisterCommand::Show(args) => show(&site, args),
    }
}

fn open(site: &Site) -> anyhow::Result<LocalRegister> {
    LocalRegister::open(register::options(site)?).map_err(coded)
}

fn init(site: &Site) -> anyhow::Result<ExitCode> {
    let options = register::options(site)?;
    let kek = match &options.kek {
        KekSource::File(file) => file.display().to_string(),
        _ => KEK_VARIABLE.to_owned(),
    };
    let made = LocalRegister::init(options).map_err(coded)?;
    print_line(&format!(
        "made {}; key: {kek}. Keep a copy of that key apart from copies of the file.",
        made.options().file.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn import(site: Arc<Site>, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let register = open(&site)?;
    let beside = args.table.parent().unwrap_or(Path::new("")).to_owned();
    let portraits = args.portraits.clone().unwrap_or(beside);
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
        "{bar:30} {bytes}/{total_bytes} of the table, {eta} to go",
    )?);
    let mut progress = |Progress { done, total }: Progress| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let report = register::import(&site, &register, &args.table, &portraits, &mut progress);
    bar.finish_and_clear();
    let report = report?;
    print_report(&report, args.json)?;
    Ok(if report.refused.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(SOME_ROWS_REFUSED)
    })
}

fn print_report(report: &ImportReport, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let refused: Vec<_> = report
            .refused
            .iter()
            .map(|row| json!({ "line": row.line, "code": row.code.id, "what": row.what }))
            .collect();
        let object = json!({
            "rows": report.rows, "added": report.added, "replaced": report.replaced,
            "renamed": report.renamed, "unchanged": report.unchanged, "refused": refused,
        });
        return print_line(&object.to_string());
    }
    for row in &report.refused {
        print_line(&row.to_string())?;
    }
    print_line(&format!(
        "{} rows: {} added, {} replaced ({} of them under another name), {} unchanged, {} refused",
        report.rows,
        report.added,
        report.replaced,
        report.renamed,
        report.unchanged,
        report.refused.len()
    ))
}

fn remove(site: &Site) -> anyhow::Result<ExitCode> {
    let register = open(site)?;
    // Not an argument: those are seen by every user of the machine, and kept in histories.
    let mut line = zeroize::Zeroizing::new(String::new());
    stdin().lock().read_line(&mut line)?;
    let number = IdNumber::parse(line.trim(), register::today()?);
    let number =
        number.map_err(|error| anyhow::anyhow!("the number on standard input: {error}"))?;
    if !register.remove(&number).map_err(coded)? {
        bail!("nobody has {number}: nothing was removed");
    }
    print_line(&format!("removed the holder of {number}"))?;
    Ok(ExitCode::SUCCESS)
}

fn show(site: &Site, args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let summary = open(site)?.summary().map_err(coded)?;
    let current = register::model(site)?;
    if args.json {
        let templates: Vec<_> = summary
            .templates
            .iter()
            .map(|(model, persons)| {
                json!({ "model": model.name, "persons": persons, "in_use": *model == current })
            })
            .collect();
        let object = json!({
            "persons": summary.persons, "portraits": summary.portraits, "bytes": summary.bytes, "templates": templates,
        });
        print_line(&object.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    print_line(&format!(
        "{} persons, {} with a portrait; {} bytes",
        summary.persons, summary.portraits, summary.bytes
    ))?;
    for (model, persons) in &summary.templates {
        let in_use = if *model == current {
            "in use"
        } else {
            "not in use: embed anew"
        };
        print_line(&format!("{persons} templates of {}, {in_use}", model.name))?;
    }
    Ok(ExitCode::SUCCESS)
}
