//! A folder or a table of persons, enrolled in bulk.
//!
//! Pictures go through the chain's own stages up to the template, on threads of this process; then the enrolments are
//! published in their order, with their templates. A face's id follows from library, person and picture, so that an import
//! that was broken off goes on: what is enrolled already is passed over.

mod embedding;
mod items;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use shiren_schemas::Id;
use shiren_schemas::records::{Decision, Lane, Template};

use super::asking::{self, Chain};
use super::{AskArgs, ConsentArgs, Place};
use crate::commands::print_line;
use crate::library_truth;
use crate::requests;
use embedding::{Embedded, Embedding};
use items::Item;

/// Enrolments published and awaited at once: the log is not flooded, and a broken import loses little.
const BATCH: usize = 256;
/// Exit status of an import that refused pictures: the others are enrolled.
const SOME_REFUSED: u8 = 3;

#[derive(Args)]
pub(crate) struct ImportArgs {
    /// Library, by name or id
    library: String,
    /// A folder with one folder a person, or a CSV with the columns person and picture
    from: PathBuf,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Threads that look at pictures; each holds its own models
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Write what was refused, with its code, to this CSV
    #[arg(long)]
    report: Option<PathBuf>,
    #[command(flatten)]
    ask: AskArgs,
}

/// A picture that was not enrolled.
struct Refused {
    item: Item,
    codes: String,
}

#[derive(Default)]
struct Report {
    enrolled: usize,
    passed_over: usize,
    refused: Vec<Refused>,
}

pub(crate) fn import(place: &Place, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let mut chain = Chain::open(place, &args.ask)?;
    let max = chain.site.topology.library.import_max_faces;
    let items = items::list(&args.from, max)?;
    let libraries = chain.libraries()?;
    let (library, known) = library_truth::named(&libraries, &args.library)?;
    let enrolled: BTreeSet<Id> = known
        .persons
        .values()
        .flat_map(|faces| faces.keys().copied())
        .collect();
    let embedding = Embedding {
        tenant: chain.cases.tenant().to_owned(),
        library,
        consent: args.consent.consent(),
        enrolled,
    };
    let bar = ProgressBar::new(items.len() as u64).with_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} pictures, {eta} to go",
    )?);
    let mut report = Report::default();
    let mut batch = Vec::new();
    let site = chain.site.clone();
    embedding::in_order(&site, &embedding, &items, args.threads, |item, embedded| {
        bar.inc(1);
        match embedded {
            Embedded::Known => report.passed_over += 1,
            Embedded::Refused(codes) => report.refused.push(Refused { item, codes }),
            Embedded::Template { face, template } => batch.push((item, face, template)),
        }
        if batch.len() == BATCH {
            enrol(
                &mut chain,
                &embedding,
                std::mem::take(&mut batch),
                &mut report,
            )?;
        }
        Ok(())
    })?;
    enrol(&mut chain, &embedding, batch, &mut report)?;
    bar.finish_and_clear();
    tell(&report, args)
}

/// Publishes a batch in its order and waits for its verdicts.
fn enrol(
    chain: &mut Chain,
    embedding: &Embedding,
    batch: Vec<(Item, Id, Template)>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut made = Vec::with_capacity(batch.len());
    let mut items = Vec::with_capacity(batch.len());
    for (item, face, template) in batch {
        let id = format!("{}-{face}", asking::request_id("import"));
        let (library, consent) = (embedding.library, &embedding.consent);
        let mut request = requests::enrolment(&id, library, &item.person, consent);
        if let Some(command) = &mut request.command {
            command.face_id = Some(face);
            command.template = Some(template);
        }
        made.push(request);
        items.push(item);
    }
    let ids = chain.cases.publish(Lane::Bulk, made)?;
    let mut pending: BTreeMap<String, Item> = ids.into_iter().zip(items).collect();
    chain.cases.each_end(pending.len(), |verdict| {
        let canonical = &verdict.canonical;
        let Some(item) = pending.remove(&verdict.observed.request_id) else {
            return false;
        };
        if canonical.decision == Decision::Error {
            let codes = canonical.reason_codes.join(" ");
            report.refused.push(Refused { item, codes });
        } else {
            report.enrolled += 1;
        }
        true
    })
}

fn tell(report: &Report, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.report {
        let shown = || path.display().to_string();
        let mut table = csv::Writer::from_writer(File::create(path).with_context(shown)?);
        table.write_record(["person", "picture", "codes"])?;
        for refused in &report.refused {
            let picture = refused.item.picture.display().to_string();
            table.write_record([&refused.item.person, &picture, &refused.codes])?;
        }
        table.flush()?;
    }
    print_line(&if args.ask.json {
        json!({
            "enrolled": report.enrolled,
            "passed_over": report.passed_over,
            "refused": report.refused.iter().map(|refused| json!({
                "person": refused.item.person,
                "picture": refused.item.picture.display().to_string(),
                "codes": refused.codes,
            })).collect::<Vec<_>>(),
        })
        .to_string()
    } else {
        format!(
            "{} faces enrolled, {} there already, {} refused",
            report.enrolled,
            report.passed_over,
            report.refused.len()
        )
    })?;
    if !args.ask.json && args.report.is_none() {
        for Refused { item, codes } in &report.refused {
            eprintln!("{}: {codes}", item.picture.display());
        }
    }
    Ok(if report.refused.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(SOME_REFUSED)
    })
}
