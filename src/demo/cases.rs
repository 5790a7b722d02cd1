//! What the demo publishes: recipes for pictures, read from `examples/demo/cases.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use image::ImageEncoder;
use serde::Deserialize;
use shiren_contract::still::{Pixels, StillLimits};
use shiren_log::NewRecord;
use shiren_schemas::Id;
use shiren_schemas::records::{
    IdentityClaim, Lane, LibraryOperation, PersonalText, Request, RequestKind, SearchQuestion,
};
use shiren_stills::StillDecoder;

use super::degrade;
use crate::requests;

/// Events of one request at most.
const MAX_EVENTS: u32 = 5;
/// Candidates that a search asks for.
const PERSONS_MAX: i32 = 5;

/// One case of the demo.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name, unique; the request_id ends in it.
    pub id: String,
    /// What it shows, for people.
    pub title: String,
    /// The request.
    pub request: Request,
    /// Probe and reference as published.
    pub pictures: Vec<Vec<u8>>,
    /// How many times the event is published.
    pub events: u32,
    /// Published only when all cases before it have ended.
    pub waits: bool,
    /// The event.
    pub record: NewRecord,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    title: String,
    kind: String,
    probe: Option<Recipe>,
    reference: Option<Recipe>,
    events: Option<u32>,
    /// Wait until all cases before it have ended.
    #[serde(default)]
    waits: bool,
    command: Option<Command>,
    claim: Option<Claim>,
    /// Kind search: libraries by the name that a command before gave them.
    libraries: Option<Vec<String>>,
}

/// A library command.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    operation: LibraryOperation,
    library: String,
    person: Option<String>,
}

/// Who a person says they are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    name: String,
    number: String,
}

/// Libraries that the cases make, by name.
type Libraries = BTreeMap<String, Id>;

/// How a picture is made: exactly one of `file`, `beside`, `declared_px`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    /// A picture that set-up fetched.
    file: Option<String>,
    /// Keep this share of the file's bytes.
    keep_share: Option<f64>,
    /// Make its longer side this long.
    long_px: Option<u32>,
    /// Put it out of focus: deviation of a Gaussian.
    blur_sigma_px: Option<f32>,
    /// Print it in black dots, a square of this side each (simulated).
    dots_px: Option<u32>,
    /// Two pictures side by side, at one height.
    beside: Option<[String; 2]>,
    /// A PNG that declares this size and holds nothing.
    declared_px: Option<[u32; 2]>,
}

/// Reads the cases and makes their pictures from `pictures`, the folder that set-up filled.
///
/// # Errors
/// The file is wrong, or a picture is not there.
pub fn load(
    file: &Path,
    pictures: &Path,
    prefix: &str,
    tenant: &str,
    limits: &StillLimits,
) -> anyhow::Result<Vec<Case>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let entries: File = toml::from_str(&text).with_context(|| file.display().to_string())?;
    let mut maker = Maker {
        folder: pictures,
        prefix,
        tenant,
        limits,
        libraries: Libraries::new(),
    };
    entries
        .case
        .into_iter()
        .map(|entry| {
            let id = entry.id.clone();
            let place = || format!("{}: {id}", file.display());
            maker.case(entry).with_context(place)
        })
        .collect()
}

/// Makes cases out of entries.
struct Maker<'a> {
    folder: &'a Path,
    prefix: &'a str,
    tenant: &'a str,
    limits: &'a StillLimits,
    libraries: Libraries,
}

impl Maker<'_> {
    fn case(&mut self, entry: Entry) -> anyhow::Result<Case> {
        let kind: RequestKind = entry.kind.parse().map_err(anyhow::Error::msg)?;
        let events = entry.events.unwrap_or(1);
        if !(1..=MAX_EVENTS).contains(&events) {
            bail!("events is not within 1..={MAX_EVENTS}");
        }
        let mut request = Request::new(&format!("{}{}", self.prefix, entry.id), kind);
        let mut pictures = Vec::new();
        if let Some(probe) = &entry.probe {
            pictures.push(make(probe, self.folder, self.limits)?);
            request.probe = Some(requests::inline(pictures[0].clone(), None));
        }
        if let Some(reference) = &entry.reference {
            let bytes = make(reference, self.folder, self.limits)?;
            request.reference = Some(requests::inline(bytes.clone(), None));
            pictures.push(bytes);
        }
        if let Some(names) = &entry.libraries {
            let libraries = names.iter().map(|name| self.library(name));
            request.search = Some(SearchQuestion {
                libraries: libraries.collect::<Result<_, _>>()?,
                persons_max: PERSONS_MAX,
            });
        }
        request.claim = entry.claim.map(|claim| IdentityClaim {
            name: PersonalText::new(claim.name),
            number: PersonalText::new(claim.number),
            valid_from: None,
            valid_to: None,
        });
        let record = match &entry.command {
            Some(command) => self.command(command, &mut request)?,
            None => requests::record(self.tenant, Lane::Interactive, &request)?.0,
        };
        Ok(Case {
            id: entry.id,
            title: entry.title,
            request,
            pictures,
            events,
            waits: entry.waits,
            record,
        })
    }

    fn library(&self, name: &str) -> anyhow::Result<Id> {
        let known = self.libraries.get(name).copied();
        known.with_context(|| format!("no case before it makes the library {name}"))
    }

    fn command(&mut self, command: &Command, request: &mut Request) -> anyhow::Result<NewRecord> {
        let library = match command.operation {
            // Its id follows from the case.
            LibraryOperation::Create => Id([0; 16]),
            _ => self.library(&command.library)?,
        };
        let person = command.person.clone().unwrap_or_default();
        let mut made = requests::of_library(&request.request_id, command.operation, library);
        if let Some(made) = &mut made.command {
            made.label.clone_from(&command.library);
            made.person_id = person;
        }
        request.command = made.command;
        request.purpose = Some("demo".to_owned());
        request.consent_ref = Some("examples/demo".to_owned());
        let (record, case_id) = requests::command(self.tenant, request.clone())?;
        if command.operation == LibraryOperation::Create {
            let made = shiren_schemas::ids::library(self.tenant, case_id);
            self.libraries.insert(command.library.clone(), made);
        }
        Ok(record)
    }
}

fn make(recipe: &Recipe, folder: &Path, limits: &StillLimits) -> anyhow::Result<Vec<u8>> {
    let read = |name: &String| {
        std::fs::read(folder.join(name)).with_context(|| {
            format!(
                "{}: not there; run scripts/setup",
                folder.join(name).display()
            )
        })
    };
    let mut bytes = match (&recipe.file, &recipe.beside, recipe.declared_px) {
        (Some(name), None, None) => read(name)?,
        (None, Some([left, right]), None) => beside(
            &decode(&read(left)?, limits)?,
            &decode(&read(right)?, limits)?,
        )?,
        (None, None, Some([width, height])) => declared_png(width, height),
        _ => bail!("a picture takes exactly one of file, beside, declared_px"),
    };
    if recipe.long_px.is_some() || recipe.blur_sigma_px.is_some() || recipe.dots_px.is_some() {
        bytes = degraded(recipe, bytes, limits)?;
    }
    if let Some(share) = recipe.keep_share {
        let keep = (bytes.len() as f64 * share.clamp(0.0, 1.0)) as usize;
        bytes.truncate(keep);
    }
    Ok(bytes)
}

fn decode(bytes: &[u8], limits: &StillLimits) -> anyhow::Result<image::RgbImage> {
    let picture = StillDecoder::new()
        .decode(bytes, limits)
        .map_err(|error| anyhow::anyhow!("[{}] {}", error.code, error.detail))?;
    let (width, height) = (picture.width(), picture.height());
    image::RgbImage::from_raw(width, height, picture.into_data())
        .context("a raster of another size")
}

/// The recipe's degradations in turn, as PNG.
fn degraded(recipe: &Recipe, bytes: Vec<u8>, limits: &StillLimits) -> anyhow::Result<Vec<u8>> {
    let mut picture = decode(&bytes, limits)?;
    if let Some(long_px) = recipe.long_px {
        picture = degrade::resized(&picture, long_px);
    }
    if let Some(sigma_px) = recipe.blur_sigma_px {
        picture = degrade::blurred(&picture, sigma_px);
    }
    if let Some(cell_px) = recipe.dots_px {
        picture = degrade::printed(&picture, cell_px)?;
    }
    png(&picture)
}

/// Both pictures at the lower one's height, as PNG.
fn beside(left: &image::RgbImage, right: &image::RgbImage) -> anyhow::Result<Vec<u8>> {
    let height = left.height().min(right.height());
    let scaled = |picture: &image::RgbImage| -> anyhow::Result<image::RgbImage> {
        let width =
            (u64::from(picture.width()) * u64::from(height) / u64::from(picture.height())).max(1);
        let width = u32::try_from(width)?;
        Ok(image::imageops::thumbnail(picture, width, height))
    };
    let (left, right) = (scaled(left)?, scaled(right)?);
    let mut both = image::RgbImage::new(left.width() + right.width(), height);
    image::imageops::replace(&mut both, &left, 0, 0);
    image::imageops::replace(&mut both, &right, i64::from(left.width()), 0);
    png(&both)
}

fn png(picture: &image::RgbImage) -> anyhow::Result<Vec<u8>> {
    let mut png = Vec::new();
    image::codecs::png::PngEncoder::new(&mut png).write_image(
        picture.as_raw(),
        picture.width(),
        picture.height(),
        image::ExtendedColorType::Rgb8,
    )?;
    Ok(png)
}

/// Signature, IHDR and IEND, each with its CRC; no pixel follows.
fn declared_png(width: u32, height: u32) -> Vec<u8> {
    let mut header = Vec::with_capacity(17);
    header.extend(b"IHDR");
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for chunk in [header.as_slice(), b"IEND"] {
        png.extend(u32::try_from(chunk.len() - 4).unwrap_or(0).to_be_bytes());
        png.extend(chunk);
        png.extend(crc32fast::hash(chunk).to_be_bytes());
    }
    png
}
