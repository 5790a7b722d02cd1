//! `shiren publish`: one request, as any producer would send it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use shiren_schemas::records::{IdentityClaim, Lane, Mode, ReferenceKind, Request, RequestKind};

use zeroize::Zeroizing;

use super::{Place, print_line};
use crate::requests;

#[derive(Args)]
pub(crate) struct PublishArgs {
    /// Kind of request: detect, attributes, liveness, compare, verify
    #[arg(long)]
    kind: RequestKind,
    /// The picture asked about
    #[arg(long)]
    probe: PathBuf,
    /// compare: the picture it is compared with
    #[arg(long)]
    reference: Option<PathBuf>,
    /// Where the reference comes from: live, on_file, card_print, chip
    #[arg(long)]
    reference_kind: Option<ReferenceKind>,
    /// verify: file with `{"name": ..., "number": ..., "valid_from": ..., "valid_to": ...}`, the days may be left out;
    /// `-` reads standard input. Not arguments: those are seen by every user of the machine
    #[arg(long)]
    claim: Option<PathBuf>,
    /// Idempotency key; default: made from the pictures and the time
    #[arg(long)]
    request_id: Option<String>,
    /// Scene whose policy applies
    #[arg(long, default_value = "default")]
    scene: String,
    /// Tenant; default: the topology's first
    #[arg(long)]
    tenant: Option<String>,
    /// Lane
    #[arg(long, default_value_t = Lane::Interactive)]
    lane: Lane,
    /// live, shadow or backfill
    #[arg(long, default_value_t = Mode::Live)]
    mode: Mode,
    /// Give up this long after the record was appended
    #[arg(long)]
    deadline_ms: Option<i32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn publish(place: &Place, args: &PublishArgs) -> anyhow::Result<ExitCode> {
    let (site, log) = place.log()?;
    let tenant = site.tenant(args.tenant.as_deref())?;
    if !site.topology.lanes.contains(&args.lane) {
        bail!("lane {} is not in the topology's lanes", args.lane);
    }
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| path.display().to_string());
    let request_id = args
        .request_id
        .clone()
        .unwrap_or_else(|| format!("cli-{}-{}", shiren_runtime::now_us(), std::process::id()));
    let mut request = Request::new(&request_id, args.kind);
    request.scene.clone_from(&args.scene);
    request.mode = args.mode;
    request.deadline_ms = args.deadline_ms;
    request.probe = Some(requests::inline(read(&args.probe)?, None));
    if let Some(reference) = &args.reference {
        request.reference = Some(requests::inline(read(reference)?, args.reference_kind));
    }
    request.claim = args.claim.as_deref().map(claim).transpose()?;
    let (record, case_id) = requests::record(&tenant, args.lane, &request)?;
    let topic = record.topic.clone();
    log.publisher()?.publish(vec![record])?;
    print_line(&if args.json {
        serde_json::json!({ "topic": &*topic, "request_id": request_id, "case_id": case_id })
            .to_string()
    } else {
        format!("published {request_id} to {topic}; case {case_id}")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Largest file of a claim, bytes: a name and a number with room to spare.
const CLAIM_MAX_BYTES: u64 = 16 * 1024;

fn claim(path: &Path) -> anyhow::Result<IdentityClaim> {
    let shown = path.display();
    let mut text = Zeroizing::new(String::new());
    let file: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).with_context(|| shown.to_string())?)
    };
    // What is wrong with bytes that are no text is not told by the bytes.
    let read = file.take(CLAIM_MAX_BYTES).read_to_string(&mut text);
    read.map_err(|error| anyhow::anyhow!("{shown}: {}", error.kind()))?;
    requests::claim(&text).with_context(|| shown.to_string())
}
