//! `shiren dead-letters`.

use std::process::ExitCode;

use anyhow::ensure;
use clap::{Args, Subcommand};
use shiren_schemas::Id;
use shiren_schemas::records::DeadLetterContent;

use super::{Place, print_line};
use crate::dead_letters::{self, Filter, Found};
use crate::utc;

/// Bytes on a line of a dump.
const DUMP_WIDTH: usize = 16;

#[derive(Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List them, oldest origin first
    List(ListArgs),
    /// Show all that one says; what it keeps of the record stays sealed unless --open
    Show(ShowArgs),
    /// Publish the original requests again, each as a new case that names the old one
    Replay(ReplayArgs),
}

#[derive(Args)]
struct Which {
    /// Tenant; default: the topology's first
    #[arg(long)]
    tenant: Option<String>,
    /// Refused by this stage
    #[arg(long)]
    stage: Option<String>,
    /// With this code
    #[arg(long)]
    code: Option<String>,
    /// Written then or later: 2026-11-28, 2026-11-28T13:00:00Z or Unix seconds
    #[arg(long, value_parser = utc::parse)]
    since: Option<i64>,
    /// At most so many, the newest
    #[arg(long, default_value_t = 100)]
    max: usize,
    /// Print one JSON object each
    #[arg(long)]
    json: bool,
}

impl Which {
    fn filter(&self, ids: &[Id]) -> Filter {
        Filter {
            ids: ids.to_vec(),
            stage: self.stage.clone(),
            code: self.code.clone(),
            since_us: self.since.map(|seconds| seconds.saturating_mul(1_000_000)),
        }
    }
}

#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// The dead letter's id
    id: Id,
    /// Tenant; default: the topology's first
    #[arg(long)]
    tenant: Option<String>,
    /// Open its head and headers by the vault: they may show a person
    #[arg(long)]
    open: bool,
}

#[derive(Args)]
pub(crate) struct ReplayArgs {
    /// Ids; none: all that the options choose
    ids: Vec<Id>,
    #[command(flatten)]
    which: Which,
}

pub(crate) fn dead_letters(
    place: &Place,
    command: &DeadLettersCommand,
) -> anyhow::Result<ExitCode> {
    match command {
        DeadLettersCommand::List(args) => list(place, &args.which),
        DeadLettersCommand::Show(args) => show(place, args),
        DeadLettersCommand::Replay(args) => replay(place, args),
    }
}

fn list(place: &Place, which: &Which) -> anyhow::Result<ExitCode> {
    let (site, log) = place.log()?;
    let tenant = site.tenant(which.tenant.as_deref())?;
    let filter = which.filter(&[]);
    let (found, left_out) = dead_letters::find(log.as_ref(), &tenant, &filter, which.max)?;
    for found in &found {
        print_line(&if which.json {
            json(found).to_string()
        } else {
            line(found)
        })?;
    }
    if left_out > 0 {
        eprintln!("{left_out} older one(s) left out; raise --max or choose by --since");
    }
    Ok(ExitCode::SUCCESS)
}

fn show(place: &Place, args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let (site, log) = place.log()?;
    let tenant = site.tenant(args.tenant.as_deref())?;
    let found = dead_letters::one(log.as_ref(), &tenant, args.id)?;
    let fields = json(&found);
    for (name, value) in fields.as_object().into_iter().flatten() {
        let text = value.as_str().map(str::to_owned);
        print_line(&format!("{name}: {}", text.unwrap_or(value.to_string())))?;
    }
    if args.open {
        let vault = site.vault()?;
        match dead_letters::open(&found.letter, vault.as_deref())? {
            Some(content) => print_content(&content)?,
            None => print_line("it keeps nothing of the record: it was written without a vault")?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Exit code 0: all were replayed; 1: some were not, each with its reason.
fn replay(place: &Place, args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let which = &args.which;
    let chosen = which.stage.is_some() || which.code.is_some() || which.since.is_some();
    ensure!(
        chosen || !args.ids.is_empty(),
        "name the dead letters to replay by id, or choose them by --stage, --code or --since"
    );
    let (site, log) = place.log()?;
    let tenant = site.tenant(which.tenant.as_deref())?;
    let vault = site.vault()?;
    let filter = which.filter(&args.ids);
    let (found, left_out) = dead_letters::find(log.as_ref(), &tenant, &filter, which.max)?;
    let known = |id: &&Id| found.iter().any(|found| found.letter.id == **id);
    let mut failed = args.ids.iter().filter(|id| !known(id)).count();
    for id in args.ids.iter().filter(|id| !known(id)) {
        eprintln!("shiren: [dead_letter_unknown] {id} of tenant {tenant}");
    }
    for found in &found {
        match dead_letters::replay(log.as_ref(), &found.letter, vault.as_deref()) {
            Ok(done) => print_line(&if which.json {
                serde_json::json!({ "dead_letter": done.letter, "request_id": done.request_id, "case_id": done.case })
                    .to_string()
            } else {
                format!(
                    "{} replayed as {}, case {}",
                    done.letter, done.request_id, done.case
                )
            })?,
            Err(error) => {
                failed += 1;
                eprintln!("shiren: {error:#}");
            }
        }
    }
    if left_out > 0 {
        eprintln!("{left_out} older one(s) left out; raise --max");
    }
    Ok(if failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn line(found: &Found) -> String {
    let letter = &found.letter;
    format!(
        "{} {} {} [{}] {}/{}@{} {}",
        letter.id,
        utc::text(found.written_us / 1_000_000),
        letter.stage,
        letter.code,
        letter.origin_topic,
        letter.origin_partition,
        letter.origin_offset,
        letter.detail,
    )
}

fn json(found: &Found) -> serde_json::Value {
    let letter = &found.letter;
    let key = letter.key.as_deref().map(String::from_utf8_lossy);
    serde_json::json!({
        "id": letter.id,
        "written": utc::text(found.written_us / 1_000_000),
        "tenant": letter.tenant,
        "origin_topic": letter.origin_topic,
        "origin_partition": letter.origin_partition,
        "origin_offset": letter.origin_offset,
        "origin_time": utc::text(letter.origin_time / 1_000_000),
        "key": key,
        "stage": letter.stage,
        "code": letter.code,
        "detail": letter.detail,
        "case_id": letter.case_id,
        "attempts": letter.attempts,
        "traceparent": letter.traceparent,
        "value_bytes": letter.value_bytes,
        "value_sha256": letter.value_sha256,
        "framing": hex(&letter.head),
        "sealed_under": letter.content.as_ref().map(|sealed| &sealed.key_id),
    })
}

fn print_content(content: &DeadLetterContent) -> anyhow::Result<()> {
    for header in &content.headers {
        let value = header.value.as_deref().map(text);
        print_line(&format!(
            "header {}: {}",
            header.name,
            value.as_deref().unwrap_or("(none)")
        ))?;
    }
    print_line(&format!("head, {} bytes:", content.head.len()))?;
    for (index, bytes) in content.head.chunks(DUMP_WIDTH).enumerate() {
        let at = index * DUMP_WIDTH;
        let width = DUMP_WIDTH * 3;
        print_line(&format!("{at:06x}  {:width$} {}", hex(bytes), text(bytes)))?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(" ")
}

/// What a terminal may be given of any bytes.
fn text(bytes: &[u8]) -> String {
    let shown = |character: char| match character {
        char::REPLACEMENT_CHARACTER => '.',
        other if other.is_control() => '.',
        other => other,
    };
    String::from_utf8_lossy(bytes).chars().map(shown).collect()
}
