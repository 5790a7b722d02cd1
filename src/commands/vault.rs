//! `shiren vault`: the key store that pictures are sealed under.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shiren_runtime::now_us;
use shiren_vault::{
    DestroyedBy, EpochKey, FileVault, KekSource, KeyId, KeyState, LibraryKeys, LibraryState,
};

use super::{Place, print_line};
use crate::site::Site;
use crate::utc;
use crate::vault::{self, KEK_VARIABLE, coded};

const US_A_SECOND: i64 = 1_000_000;

#[derive(Subcommand)]
pub(crate) enum VaultCommand {
    /// Make the key store, and a key-encryption key where its file is not there
    Init,
    /// The keys: epochs, when they were made, expire or were destroyed; libraries and their persons' number
    List(ListArgs),
    /// Destroy keys before their time: what they sealed is erased for good
    Destroy(DestroyArgs),
    /// Wrap all keys by another key-encryption key
    RotateKek(RotateArgs),
    /// Write a new random key into a file of its own, for its owner alone; one that is there is never overwritten
    MakeKey(MakeKeyArgs),
}

#[derive(Args)]
pub(crate) struct ListArgs {
    /// One tenant's; none: all
    #[arg(long)]
    tenant: Option<String>,
    /// Print one JSON object a key or library
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct DestroyArgs {
    /// Whose keys
    #[arg(long)]
    tenant: String,
    #[command(flatten)]
    which: Which,
    /// Do it; without this it only says what would be destroyed
    #[arg(long)]
    yes: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// One epoch: a key id (`default/1795860000`), or its start in Unix seconds
    #[arg(long)]
    epoch: Option<String>,
    /// Epochs that start before: 2026-11-28, 2026-11-28T13:00:00Z (UTC) or Unix seconds
    #[arg(long, value_parser = utc::parse, allow_hyphen_values = true)]
    before: Option<i64>,
    /// Every epoch, the running one too
    #[arg(long)]
    all: bool,
}

#[derive(Args)]
pub(crate) struct RotateArgs {
    /// File of the new key-encryption key: 32 bytes, or 64 hexadecimal digits, for its owner alone
    #[arg(long)]
    new_kek_file: PathBuf,
}

#[derive(Args)]
pub(crate) struct MakeKeyArgs {
    /// The file, as `identity_limit.key_file` or `--new-kek-file` names it
    file: PathBuf,
}

pub(crate) fn vault(place: &Place, command: &VaultCommand) -> anyhow::Result<ExitCode> {
    if let VaultCommand::MakeKey(args) = command {
        return make_key(args);
    }
    let site = place.site()?;
    match command {
        VaultCommand::MakeKey(args) => make_key(args),
        VaultCommand::Init => init(&site),
        VaultCommand::List(args) => list(&open(&site)?, args),
        VaultCommand::Destroy(args) => destroy(&open(&site)?, args),
        VaultCommand::RotateKek(args) => rotate(&site, args),
    }
}

/// The store that is there: a command that looks or destroys makes none.
fn open(site: &Site) -> anyhow::Result<FileVault> {
    FileVault::open(vault::options(site)).map_err(coded)
}

fn init(site: &Site) -> anyhow::Result<ExitCode> {
    let options = vault::options(site);
    let kek = match &options.kek {
        KekSource::File(file) => file.display().to_string(),
        _ => KEK_VARIABLE.to_owned(),
    };
    let made = FileVault::init(options).map_err(coded)?;
    print_line(&format!(
        "made {}; key-encryption key: {kek}. Keep a copy of that key apart from copies of the folder.",
        made.dir().display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn list(vault: &FileVault, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let keys = vault.list(args.tenant.as_deref()).map_err(coded)?;
    for key in &keys {
        print_line(&if args.json {
            as_json(key).to_string()
        } else {
            as_text(key)
        })?;
    }
    let libraries = vault
        .list_libraries(args.tenant.as_deref())
        .map_err(coded)?;
    for library in &libraries {
        print_line(&if args.json {
            library_as_json(library).to_string()
        } else {
            library_as_text(library)
        })?;
    }
    if keys.is_empty() && libraries.is_empty() && !args.json {
        print_line("no keys: nothing was sealed yet")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Microseconds since the Unix epoch, as text to the second.
fn moment(us: i64) -> String {
    utc::text(us.div_euclid(US_A_SECOND))
}

fn word(by: DestroyedBy) -> &'static str {
    match by {
        DestroyedBy::Expiry => "expiry",
        DestroyedBy::Operator => "operator",
    }
}

fn as_text(key: &EpochKey) -> String {
    let state = match &key.state {
        KeyState::Live {
            created_us,
            ends_us,
            expires_us,
            ..
        } => format!(
            "live      made {}, epoch ends {}, expires {}",
            moment(*created_us),
            moment(*ends_us),
            moment(*expires_us)
        ),
        KeyState::Destroyed { destroyed_us, by } => {
            format!("destroyed {} by {}", moment(*destroyed_us), word(*by))
        }
        KeyState::Damaged { what } => format!("damaged   {what}"),
    };
    let starts = utc::text(key.id.epoch());
    format!("{:32} {starts} {state}", key.id.to_string())
}

fn as_json(key: &EpochKey) -> Value {
    let mut object = json!({
        "key_id": key.id.to_string(), "tenant": key.id.tenant(), "epoch": key.id.epoch(),
    });
    let state = match &key.state {
        KeyState::Live {
            created_us,
            starts_us,
            ends_us,
            expires_us,
        } => json!({
            "state": "live", "created": moment(*created_us), "starts": moment(*starts_us),
            "ends": moment(*ends_us), "expires": moment(*expires_us),
        }),
        KeyState::Destroyed { destroyed_us, by } => {
            json!({ "state": "destroyed", "destroyed": moment(*destroyed_us), "by": word(*by) })
        }
        KeyState::Damaged { what } => json!({ "state": "damaged", "what": what }),
    };
    if let (Some(object), Value::Object(state)) = (object.as_object_mut(), state) {
        object.extend(state);
    }
    object
}

fn library_as_text(library: &LibraryKeys) -> String {
    let state = match &library.state {
        LibraryState::Live { persons } => format!("live      {persons} person(s) with a key"),
        LibraryState::Destroyed => "destroyed".to_owned(),
        LibraryState::Damaged { what } => format!("damaged   {what}"),
    };
    format!("{}/{} library {state}", library.tenant, library.library)
}

fn library_as_json(library: &LibraryKeys) -> Value {
    let (state, persons, what) = match &library.state {
        LibraryState::Live { persons } => ("live", Some(persons), None),
        LibraryState::Destroyed => ("destroyed", None, None),
        LibraryState::Damaged { what } => ("damaged", None, Some(what)),
    };
    json!({
        "tenant": library.tenant, "library": library.library.to_string(), "state": state,
        "persons": persons, "what": what,
    })
}

fn destroy(vault: &FileVault, args: &DestroyArgs) -> anyhow::Result<ExitCode> {
    let epochs = epochs(args)?;
    let keys = vault.list(Some(&args.tenant)).map_err(coded)?;
    let meant = keys.iter().filter(|key| {
        !matches!(key.state, KeyState::Destroyed { .. }) && epochs.contains(&key.id.epoch())
    });
    let count = meant.count();
    if count == 0 {
        bail!(
            "no live key of tenant {} is meant; `shiren vault list --tenant {}` shows them",
            args.tenant,
            args.tenant
        );
    }
    if !args.yes {
        bail!(
            "this would destroy {count} key(s) of tenant {} and erase for good what they sealed; repeat it with --yes",
            args.tenant
        );
    }
    let destroyed = vault
        .destroy(&args.tenant, epochs, now_us())
        .map_err(coded)?;
    print_line(&format!(
        "destroyed {} key(s) of tenant {}",
        destroyed.count, args.tenant
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Starts of the epochs that are meant, Unix seconds.
fn epochs(args: &DestroyArgs) -> anyhow::Result<RangeInclusive<i64>> {
    if let Some(before) = args.which.before {
        return Ok(i64::MIN..=before.saturating_sub(1));
    }
    let Some(text) = &args.which.epoch else {
        return Ok(i64::MIN..=i64::MAX);
    };
    let id = match text.contains('/') {
        true => KeyId::parse(text),
        false => KeyId::parse(&format!("{}/{text}", args.tenant)),
    };
    let id = id.with_context(|| {
        format!("{text:?} is no epoch: write a key id of `shiren vault list`, or Unix seconds")
    })?;
    if id.tenant() != args.tenant {
        bail!("{id} is a key of another tenant than {}", args.tenant);
    }
    Ok(id.epoch()..=id.epoch())
}

fn rotate(site: &Site, args: &RotateArgs) -> anyhow::Result<ExitCode> {
    let options = vault::options(site);
    let rotated = FileVault::rotate_kek(&options, &args.new_kek_file).map_err(coded)?;
    let new = args.new_kek_file.display();
    let then = match &options.kek {
        KekSource::File(file) => format!(
            "{} holds the new one; running workers have it already. Keep a copy of it, and destroy every copy of the old one and {new}",
            file.display()
        ),
        _ => format!("put the digits of {new} into {KEK_VARIABLE} and start the workers again"),
    };
    print_line(&format!(
        "{} key(s) wrapped by key-encryption key {}; {then}",
        rotated.rewrapped, rotated.kek_id
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn make_key(args: &MakeKeyArgs) -> anyhow::Result<ExitCode> {
    let file = &args.file;
    if file
        .try_exists()
        .with_context(|| format!("{}", file.display()))?
    {
        bail!("{} is there already; it is not overwritten", file.display());
    }
    KekSource::File(file.clone())
        .make_missing()
        .map_err(coded)?;
    print_line(&format!(
        "made {}; keep a copy of it apart, and give it to every host",
        file.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}
