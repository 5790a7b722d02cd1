//! `shiren bench memory`: how much memory a worker process holds that is given more than it can do.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::json;
use shiren_log::{Log, Publisher, Start};
use shiren_runtime::peak_resident_bytes;
use shiren_schemas::records::{Lane, Mode, Request, RequestKind};
use shiren_topology::LogSettings;

use super::{Place, print_line};
use crate::bench::pictures::Recipes;
use crate::bench::worker_process::WorkerProcess;
use crate::case_reader::VerdictReader;
use crate::requests;
use crate::site::Site;

/// Cases before anything is measured: every buffer of the worker is then as large as it gets.
const WARM_CASES: usize = 4;
/// Cases by which the sustainable rate is measured.
const RATE_CASES: usize = 12;
/// Longest wait for one more verdict.
const VERDICT_MAX_WAIT: Duration = Duration::from_secs(60);
/// Least share of the wanted rate that must have been published.
const MIN_PACE: f64 = 0.9;
/// One look for more verdicts.
const LOOK: Duration = Duration::from_millis(50);
const MIB: u64 = 1024 * 1024;

#[derive(Args)]
pub(crate) struct MemoryArgs {
    /// Recipes of the pictures
    #[arg(long, default_value = "benches/chain.toml")]
    list: PathBuf,
    /// Which of them is sent, by kinds `detect` and `compare` in turn
    #[arg(long, default_value = "phone, 12 MP, EXIF 6")]
    picture: String,
    /// Requests are published at so many times the rate that the worker keeps up with
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=100))]
    rate_factor: u16,
    /// For so long
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=60))]
    seconds: u16,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The requests' end of the bench's own log.
struct Cases {
    tenant: String,
    /// One of each kind.
    requests: Vec<Request>,
    publisher: Box<dyn Publisher>,
    verdicts: VerdictReader,
    answered: usize,
}

pub(crate) fn memory(place: &Place, args: &MemoryArgs) -> anyhow::Result<ExitCode> {
    let site = place.site()?;
    let recipes = Recipes::load(&args.list)?.picture;
    let recipe = recipes.iter().find(|recipe| recipe.name == args.picture);
    let recipe = recipe
        .with_context(|| format!("{}: no picture {:?}", args.list.display(), args.picture))?;
    let jpeg = recipe.make(&site.home.join("pictures"))?;
    let [width, height] = recipe.size;

    let folder = tempfile::tempdir().context("no temporary folder")?;
    let own = own_site(&site, folder.path())?;
    let log = own.open_log()?;
    own.set_up(log.as_ref())?;
    let mut worker = WorkerProcess::start(place.topology(), folder.path())?;
    let mut cases = Cases::new(&own, log.as_ref(), &jpeg)?;

    cases.publish(0..WARM_CASES)?;
    cases.await_verdicts(WARM_CASES)?;
    let start = Instant::now();
    let known = WARM_CASES + RATE_CASES;
    cases.publish(WARM_CASES..known)?;
    cases.await_verdicts(known)?;
    let sustainable = RATE_CASES as f64 / start.elapsed().as_secs_f64();

    let rate = sustainable * f64::from(args.rate_factor);
    let burst = (rate * f64::from(args.seconds)).ceil() as usize;
    let start = Instant::now();
    let mut backlog_peak = 0;
    for number in 0..burst {
        let due = Duration::from_secs_f64(number as f64 / rate);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        cases.publish(known + number..known + number + 1)?;
        cases.look(Duration::ZERO)?;
        backlog_peak = backlog_peak.max(known + number + 1 - cases.answered);
    }
    let published = burst as f64 / start.elapsed().as_secs_f64();
    ensure!(
        published >= rate * MIN_PACE,
        "{published:.1} cases a second were published instead of {rate:.1}: that is no overload of {} times; \
         lower --rate-factor, or use a faster disk",
        args.rate_factor
    );
    cases.await_verdicts(known + burst)?;
    let peak = peak_resident_bytes(worker.pid()).context("the worker's memory cannot be read")?;
    worker.stop()?;

    let peak_mib = peak.div_ceil(MIB);
    let max_mib = own.topology.runtime.max_resident_mib;
    if args.json {
        let report = json!({
            "max_resident_mib": max_mib,
            "peak_resident_mib": peak_mib,
            "rate_factor": published / sustainable,
            "sustainable_cases_per_s": sustainable,
            "published_cases_per_s": published,
            "cases": known + burst,
            "verdicts": cases.answered,
            "backlog_peak_records": backlog_peak,
            "picture_megapixels": f64::from(width) * f64::from(height) / 1e6,
            "picture_bytes": jpeg.len(),
        });
        print_line(&report.to_string())?;
    } else {
        print_line(&format!(
            "peak {peak_mib} MiB resident, runtime.max_resident_mib is {max_mib}\n\
             {} cases of {:.0} MP, {published:.1} a second published, {sustainable:.1} a second sustainable, \
             {backlog_peak} waiting at most, {} verdicts",
            known + burst,
            f64::from(width) * f64::from(height) / 1e6,
            cases.answered,
        ))?;
    }
    Ok(if peak_mib <= max_mib {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The site with an embedded log in `folder`, and the same weights.
fn own_site(site: &Site, folder: &Path) -> anyhow::Result<Site> {
    let LogSettings::Embedded(log) = &site.topology.log else {
        anyhow::bail!(
            "this bench runs on an embedded log of its own: set SHIREN_LOG_ENGINE=embedded"
        );
    };
    ensure!(
        Path::new(&log.dir).is_relative(),
        "log.embedded.dir = {:?} is absolute: this bench would write into that log; make it relative",
        log.dir
    );
    let home = std::fs::canonicalize(&site.home)?;
    for entry in std::fs::read_dir(&home)? {
        let name = entry?.file_name();
        if Path::new(&log.dir).iter().next() != Some(&name) {
            std::os::unix::fs::symlink(home.join(&name), folder.join(&name))?;
        }
    }
    Ok(Site {
        topology: site.topology.clone(),
        home: folder.to_owned(),
        root: site.root.clone(),
        stages: site.stages.clone(),
        policies: site.policies.clone(),
    })
}

impl Cases {
    fn new(site: &Site, log: &dyn Log, jpeg: &[u8]) -> anyhow::Result<Self> {
        let tenant = site.tenant(None)?;
        let mut kinds = Vec::new();
        for kind in [RequestKind::Detect, RequestKind::Compare] {
            let mut request = Request::new("", kind);
            request.probe = Some(requests::inline(jpeg.to_vec(), None));
            if kind == RequestKind::Compare {
                request.reference = Some(requests::inline(jpeg.to_vec(), None));
            }
            kinds.push(request);
        }
        Ok(Self {
            publisher: log.publisher()?,
            verdicts: VerdictReader::open(log, &tenant, Mode::Live, Start::Beginning)?,
            requests: kinds,
            tenant,
            answered: 0,
        })
    }

    fn publish(&mut self, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
        for number in numbers {
            let kinds = self.requests.len();
            let request = &mut self.requests[number % kinds];
            request.request_id = format!("memory-{number}");
            let (record, _) = requests::record(&self.tenant, Lane::Interactive, request)?;
            self.publisher.publish(vec![record])?;
        }
        Ok(())
    }

    fn look(&mut self, wait: Duration) -> anyhow::Result<()> {
        self.answered += self.verdicts.next(wait)?.len();
        Ok(())
    }

    fn await_verdicts(&mut self, count: usize) -> anyhow::Result<()> {
        let mut last = Instant::now();
        while self.answered < count {
            let before = self.answered;
            self.look(LOOK)?;
            if self.answered > before {
                last = Instant::now();
            }
            ensure!(
                last.elapsed() < VERDICT_MAX_WAIT,
                "{before} of {count} verdicts, and no other within {VERDICT_MAX_WAIT:?}: the worker's own messages say why"
            );
        }
        Ok(())
    }
}
