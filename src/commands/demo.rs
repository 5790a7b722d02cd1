//! `shiren demo`: the main job on real faces, from publishing to verdicts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use shiren_authority::LocalRegister;
use shiren_log::{Log, Start};
use shiren_runtime::{Drain, Runtime};
use shiren_schemas::records::{Mode, RequestKind, Verdict};
use shiren_topology::{LibraryEngine, LogSettings};

use super::{Place, print_line};
use crate::case_reader::{self, VerdictReader};
use crate::demo::cases::{self, Case};
use crate::demo::judge::{self, Outcome};
use crate::demo::report;
use crate::site::Site;
use crate::{register, stages};

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Print one JSON object at the end
    #[arg(long)]
    json: bool,
    /// What is published
    #[arg(long, default_value = "examples/demo/cases.toml")]
    cases: PathBuf,
    /// The SPECIMEN persons of the demo's own register
    #[arg(long, default_value = "examples/demo/register.csv")]
    register: PathBuf,
    /// What it should come to
    #[arg(long, default_value = "examples/demo/expected.toml")]
    expected: PathBuf,
    /// The chain runs in other processes: publish and read only, without the cases of kind verify
    #[arg(long)]
    external: bool,
    /// Longest wait for all verdicts
    #[arg(long, default_value_t = 60_000)]
    max_wait_ms: u64,
}

/// What came of a run.
struct Done {
    outcomes: Vec<Outcome>,
    duplicates: u64,
    contradictions: u64,
    wall: Duration,
}

/// Exit code 1: a case came to something else than expected, or to nothing.
pub(crate) fn demo(place: &Place, args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let mut site = Arc::into_inner(place.site()?).context("the site is in use")?;
    let folder = site.home.join("demo");
    if let LogSettings::Embedded(settings) = &mut site.topology.log
        && !args.external
    {
        // A log of its own, new each time: the operator's is not touched.
        let log = folder.join("log");
        if log.exists() {
            std::fs::remove_dir_all(&log).with_context(|| log.display().to_string())?;
        }
        settings.dir = "demo/log".to_owned();
        let library = folder.join("library");
        if library.exists() {
            std::fs::remove_dir_all(&library).with_context(|| library.display().to_string())?;
        }
        if let LibraryEngine::Embedded { dir } = &mut site.topology.library.engine {
            *dir = "demo/library".to_owned();
        }
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    if !args.external {
        site.topology.register.file = "demo/register".to_owned();
        site.topology.register.kek_file = "demo/register.kek".to_owned();
    }
    let site = Arc::new(site);
    if !args.external {
        vouch(&site, args)?;
    }
    let prefix = format!("demo-{}-", shiren_runtime::now_us());
    let mut cases = cases::load(
        &args.cases,
        &site.home.join("pictures"),
        &prefix,
        &site.tenant(None)?,
        &site.still_limits(),
    )?;
    if args.external {
        // The register of that chain is its operator's, and knows nothing of the demo's person.
        cases.retain(|case| case.request.kind != RequestKind::Verify);
    }
    let expected = judge::load(&args.expected)?;
    let done = process(&site, &cases, args)?;

    let misses: Vec<Vec<String>> = done
        .outcomes
        .iter()
        .map(|outcome| judge::misses(outcome, expected.get(&outcome.id)))
        .collect();
    let terminal = done
        .outcomes
        .iter()
        .filter(|outcome| outcome.verdict.is_some())
        .count();
    let frames: usize = done
        .outcomes
        .iter()
        .filter_map(|o| o.evidence.as_ref())
        .map(|e| e.pictures.len())
        .sum();
    let unexpected = misses.iter().filter(|misses| !misses.is_empty()).count();
    let words = format!(
        "{} cases published, {terminal} verdicts, {unexpected} not as expected, {frames} pictures decoded, \
         {} duplicate record(s), {} ms from publishing to the last verdict",
        cases.len(),
        done.duplicates,
        done.wall.as_millis()
    );
    let page = folder.join("report.html");
    write_report(&page, &words, &cases, &done.outcomes, &misses)?;
    if !args.json {
        print_table(&cases, &done.outcomes, &misses)?;
        print_line(&words)?;
        print_line(&format!("report: {}", page.display()))?;
    } else {
        print_line(
            &serde_json::json!({
                "published": cases.len(),
                "terminal": terminal,
                "unexpected": unexpected,
                "frames": frames,
                "events": cases.iter().map(|case| case.events).sum::<u32>(),
                "duplicates": done.duplicates,
                "contradictions": done.contradictions,
                "wall_ms": u64::try_from(done.wall.as_millis())?,
                "report": page,
            })
            .to_string(),
        )?;
    }
    let ok = unexpected == 0 && terminal == cases.len() && done.contradictions == 0;
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Makes a register of its own, new each time.
fn vouch(site: &Arc<Site>, args: &DemoArgs) -> anyhow::Result<()> {
    let options = register::options(site)?;
    for old in [
        &site.topology.register.file,
        &site.topology.register.kek_file,
    ] {
        let old = site.home.join(old);
        if old.exists() {
            std::fs::remove_file(&old).with_context(|| old.display().to_string())?;
        }
    }
    let made = LocalRegister::init(options).map_err(register::coded)?;
    let portraits = site.home.join("pictures");
    let report = register::import(site, &made, &args.register, &portraits, &mut |_| {})?;
    match report.refused.first() {
        Some(refused) => bail!("{}: {refused}", args.register.display()),
        None => Ok(()),
    }
}

/// Publishes, runs the chain beside it, and waits for the verdicts.
fn process(site: &Arc<Site>, cases: &[Case], args: &DemoArgs) -> anyhow::Result<Done> {
    let log = site.open_log()?;
    site.set_up(log.as_ref())?;
    let drain = Drain::new();
    if args.external {
        return publish_and_await(site, log.as_ref(), cases, args);
    }
    let runtime = Runtime::build(
        site.runtime_options(&[], 0)?,
        stages::registry(site),
        log.clone(),
    )?;
    std::thread::scope(|scope| {
        let chain = scope.spawn(|| runtime.run(&drain, || {}));
        let done = publish_and_await(site, log.as_ref(), cases, args);
        drain.request();
        let ran = chain
            .join()
            .map_err(|_| anyhow::anyhow!("the chain panicked"))?;
        // The chain's own error explains missing verdicts better than their absence.
        ran?;
        done
    })
}

fn publish_and_await(
    site: &Site,
    log: &dyn Log,
    cases: &[Case],
    args: &DemoArgs,
) -> anyhow::Result<Done> {
    let tenant = &site.tenant(None)?;
    let mut reader = VerdictReader::open(log, tenant, Mode::Live, Start::End)?;
    let started = Instant::now();
    let mut publisher = log.publisher()?;
    // Not by case: a request that admit refuses becomes one by its place.
    let ids: Vec<&str> = cases
        .iter()
        .map(|case| case.request.request_id.as_str())
        .collect();
    let max_wait = Duration::from_millis(args.max_wait_ms);
    let mut verdicts = HashMap::new();
    for (published, case) in cases.iter().enumerate() {
        if case.waits {
            await_verdicts(&mut reader, &ids[..published], max_wait, &mut verdicts)?;
        }
        for _ in 0..case.events {
            publisher.publish(vec![case.record.clone()])?;
        }
    }
    await_verdicts(&mut reader, &ids, max_wait, &mut verdicts)?;
    let wall = started.elapsed();
    let mut evidence = case_reader::evidence(log, tenant)?;
    let mut results = case_reader::results(log, tenant)?;
    let outcomes = cases.iter().map(|case| {
        let verdict = verdicts.remove(&case.request.request_id);
        let case_id = verdict
            .as_ref()
            .map(|verdict: &Verdict| verdict.canonical.case_id);
        Outcome {
            id: case.id.clone(),
            verdict,
            results: case_id.and_then(|id| results.remove(&id)),
            evidence: case_id.and_then(|id| evidence.remove(&id)),
        }
    });
    let outcomes = outcomes.collect();
    Ok(Done {
        outcomes,
        duplicates: reader.duplicates,
        contradictions: reader.contradictions,
        wall,
    })
}

/// Until every case has its verdict: an event that comes again has none of its own.
fn await_verdicts(
    reader: &mut VerdictReader,
    ids: &[&str],
    max_wait: Duration,
    verdicts: &mut HashMap<String, Verdict>,
) -> anyhow::Result<()> {
    let bar = ProgressBar::new(ids.len() as u64).with_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} verdicts",
    )?);
    let until = Instant::now() + max_wait;
    while verdicts.len() < ids.len() {
        if Instant::now() > until {
            bar.finish_and_clear();
            bail!(
                "{} of {} verdicts within {max_wait:?}; is the chain running?",
                verdicts.len(),
                ids.len()
            );
        }
        for verdict in reader.next(Duration::from_millis(50))? {
            let id = &verdict.observed.request_id;
            if ids.contains(&id.as_str()) {
                verdicts.insert(id.clone(), verdict);
            }
        }
        bar.set_position(verdicts.len() as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

fn write_report(
    page: &Path,
    words: &str,
    cases: &[Case],
    outcomes: &[Outcome],
    misses: &[Vec<String>],
) -> anyhow::Result<()> {
    let entries: Vec<report::Entry<'_>> = cases
        .iter()
        .zip(outcomes)
        .zip(misses)
        .map(|((case, outcome), misses)| report::Entry {
            case,
            outcome,
            misses,
        })
        .collect();
    std::fs::write(page, report::html(words, &entries)).with_context(|| page.display().to_string())
}

fn print_table(cases: &[Case], outcomes: &[Outcome], misses: &[Vec<String>]) -> anyhow::Result<()> {
    print_line(&format!(
        "{:24} {:10} {:8} {:>8} {:>8}  reasons",
        "case", "kind", "decision", "score", "thresh."
    ))?;
    for ((case, outcome), misses) in cases.iter().zip(outcomes).zip(misses) {
        let canonical = outcome.verdict.as_ref().map(|verdict| &verdict.canonical);
        let compared = outcome
            .evidence
            .as_ref()
            .and_then(|evidence| evidence.comparison.as_ref());
        let number =
            |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
        print_line(&format!(
            "{:24} {:10} {:8} {:>8} {:>8}  {}",
            case.id,
            case.request.kind.as_str(),
            canonical.map_or("none", |c| c.decision.as_str()),
            number(compared.map(|c| c.score)),
            number(compared.map(|c| c.threshold)),
            canonical.map_or(String::new(), |c| c.reason_codes.join(", ")),
        ))?;
        for miss in misses {
            print_line(&format!("  NOT AS EXPECTED: {miss}"))?;
        }
    }
    Ok(())
}
