//! `shiren policy`: what scenes ask for, while the chain runs.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use shiren_contract::policy::Scene;
use shiren_log::Log;
use shiren_schemas::records::{PolicyVersion, ScenePolicy};
use shiren_topology::{did_you_mean, parse_scene};

use super::{Place, print_line};
use crate::policy::{self, Change};
use crate::site::Site;
use crate::{checks, utc};

#[derive(Subcommand)]
pub(crate) enum PolicyCommand {
    /// Scenes with the settings in force
    Show(ShowArgs),
    /// Change settings of a scene, or make a new one; running workers take it over by themselves
    Set(SetArgs),
    /// Who changed a scene when and why; the versions that are kept
    History(SceneArgs),
    /// What differs between two versions
    Diff(DiffArgs),
}

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// Tenant; the first of the topology
    #[arg(long)]
    tenant: Option<String>,
    /// This scene only
    #[arg(long)]
    scene: Option<String>,
    /// Print one JSON object a scene
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct SceneArgs {
    /// Tenant; the first of the topology
    #[arg(long)]
    tenant: Option<String>,
    /// Scene
    #[arg(long, default_value = "default")]
    scene: String,
    /// Print one JSON object a version
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct DiffArgs {
    /// Tenant; the first of the topology
    #[arg(long)]
    tenant: Option<String>,
    /// Scene
    #[arg(long, default_value = "default")]
    scene: String,
    /// Older version; the one before the newest
    #[arg(long)]
    from: Option<i64>,
    /// Newer version; the newest
    #[arg(long)]
    to: Option<i64>,
}

#[derive(Args)]
pub(crate) struct SetArgs {
    /// Tenant; the first of the topology
    #[arg(long)]
    tenant: Option<String>,
    /// Scene; one that is not there yet is made
    #[arg(long, default_value = "default")]
    scene: String,
    /// Why: it stands in the history
    #[arg(long)]
    why: String,
    /// Who; $USER
    #[arg(long, env = "USER", default_value = "operator")]
    by: String,
    /// SETTING=VALUE as in [scene.*] of topology.toml, for example target_fmr=0.0001
    /// 'requires=["comparison","liveness"]'; SETTING= takes the default again
    #[arg(required = true)]
    settings: Vec<String>,
}

pub(crate) fn policy(place: &Place, command: &PolicyCommand) -> anyhow::Result<ExitCode> {
    let (site, log) = place.log()?;
    match command {
        PolicyCommand::Show(args) => show(&site, log.as_ref(), args)?,
        PolicyCommand::Set(args) => set(site, log.as_ref(), args)?,
        PolicyCommand::History(args) => history(&site, log.as_ref(), args)?,
        PolicyCommand::Diff(args) => diff(&site, log.as_ref(), args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(site: &Site, log: &dyn Log, args: &ShowArgs) -> anyhow::Result<()> {
    let tenant = site.tenant(args.tenant.as_deref())?;
    let of_tenant = policy::read(log)?.into_iter();
    let scenes: Vec<ScenePolicy> = of_tenant
        .filter(|((owner, scene), _)| {
            *owner == tenant && args.scene.as_ref().is_none_or(|wanted| wanted == scene)
        })
        .map(|(_, policy)| policy)
        .collect();
    if let (Some(scene), true) = (&args.scene, scenes.is_empty()) {
        bail!("scene_unknown: {tenant} has no scene {scene}; `shiren policy show` lists them");
    }
    for policy in scenes {
        let Some(version) = policy.versions.last() else {
            continue;
        };
        if args.json {
            print_line(&json(&policy, version)?.to_string())?;
        } else {
            let when = utc::text(version.changed_time.div_euclid(1_000_000));
            print_line(&format!(
                "# {}, version {} since {when}\n[scene.{}]\n{}",
                policy.tenant, version.version, policy.scene, version.settings
            ))?;
        }
    }
    Ok(())
}

fn history(site: &Site, log: &dyn Log, args: &SceneArgs) -> anyhow::Result<()> {
    let policy = scene(site, log, args.tenant.as_deref(), &args.scene)?;
    for version in &policy.versions {
        print_line(&if args.json {
            json(&policy, version)?.to_string()
        } else {
            let when = utc::text(version.changed_time.div_euclid(1_000_000));
            format!(
                "{:>4}  {when}  {}: {}",
                version.version, version.changed_by, version.why
            )
        })?;
    }
    Ok(())
}

fn diff(site: &Site, log: &dyn Log, args: &DiffArgs) -> anyhow::Result<()> {
    let policy = scene(site, log, args.tenant.as_deref(), &args.scene)?;
    let known: Vec<i64> = policy.versions.iter().map(|v| v.version).collect();
    let find = |wanted: i64| {
        let found = policy.versions.iter().find(|v| v.version == wanted);
        found.with_context(|| format!("version {wanted} is not kept; there are {known:?}"))
    };
    let newest = known.last().copied().unwrap_or_default();
    let to = find(args.to.unwrap_or(newest))?;
    let from = find(args.from.unwrap_or(to.version - 1))?;
    let lines = |version: &PolicyVersion| -> Vec<String> {
        version.settings.lines().map(str::to_owned).collect()
    };
    let (old, new) = (lines(from), lines(to));
    print_line(&format!(
        "version {} -> {}: {}",
        from.version, to.version, to.why
    ))?;
    for line in old.iter().filter(|line| !new.contains(line)) {
        print_line(&format!("- {line}"))?;
    }
    for line in new.iter().filter(|line| !old.contains(line)) {
        print_line(&format!("+ {line}"))?;
    }
    Ok(())
}

fn set(site: Arc<Site>, log: &dyn Log, args: &SetArgs) -> anyhow::Result<()> {
    let tenant = site.tenant(args.tenant.as_deref())?;
    let mut table = policy::read(log)?;
    let known = table.remove(&(tenant.clone(), args.scene.clone()));
    let newest = known.as_ref().and_then(|policy| policy.versions.last());
    let text = changed(
        newest.map_or("", |version| &version.settings),
        &args.settings,
    )?;
    let settings = parse_scene(&text).map_err(|problems| {
        let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("refused, nothing was changed:\n{}", list.join("\n"))
    })?;
    let seen = newest.map(|version| version.version);
    let versions_max = site.topology.policy.versions_max;
    check(site, &args.scene, &settings)?;
    let version = policy::change(
        log,
        &Change {
            tenant: &tenant,
            scene: &args.scene,
            settings: &settings,
            by: &args.by,
            why: &args.why,
            versions_max,
            seen,
        },
    )?;
    print_line(&format!(
        "{tenant}/{}: version {version}; running workers take it over by themselves",
        args.scene
    ))
}

/// The settings with these changes, as TOML.
fn changed(settings: &str, changes: &[String]) -> anyhow::Result<String> {
    let mut table: toml::Table = settings.parse().context("the settings in force")?;
    for change in changes {
        let (name, value) = change
            .split_once('=')
            .with_context(|| format!("{change:?} is not SETTING=VALUE"))?;
        if value.is_empty() {
            table.remove(name);
            continue;
        }
        // A text needs no quotes here: what is no other value is one.
        let parsed = format!("value = {value}").parse::<toml::Table>();
        let value = parsed.ok().and_then(|mut table| table.remove("value"));
        let text = || toml::Value::String(change[name.len() + 1..].to_owned());
        table.insert(name.to_owned(), value.unwrap_or_else(text));
    }
    Ok(table.to_string())
}

/// What `shiren validate` would say of the scene: checks that nothing answers, rates that no table supports.
fn check(mut site: Arc<Site>, name: &str, scene: &Scene) -> anyhow::Result<()> {
    let answered: Vec<&str> = site
        .stages
        .iter()
        .filter(|stage| site.topology.chain.iter().any(|name| name == stage.name))
        .flat_map(|stage| stage.checks.iter().copied())
        .collect();
    if let Some(check) = scene
        .requires
        .iter()
        .find(|c| !answered.contains(&c.as_str()))
    {
        let hint = did_you_mean(check, answered.iter().copied(), 0.6).unwrap_or_default();
        bail!(
            "check_unprovided: no stage of the chain answers {check:?}, so {name} could never accept; nothing was changed. {hint}"
        );
    }
    let alone = Arc::get_mut(&mut site).context("the site is in use")?;
    alone.topology.scenes = [(name.to_owned(), scene.clone())].into();
    let problems = checks::models(alone, "", "policy");
    if problems.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
    bail!("refused, nothing was changed:\n{}", list.join("\n"))
}

fn scene(
    site: &Site,
    log: &dyn Log,
    tenant: Option<&str>,
    scene: &str,
) -> anyhow::Result<ScenePolicy> {
    let tenant = site.tenant(tenant)?;
    let mut table = policy::read(log)?;
    let found = table.remove(&(tenant.clone(), scene.to_owned()));
    found.with_context(|| {
        format!("scene_unknown: {tenant} has no scene {scene}; `shiren policy show` lists them")
    })
}

fn json(policy: &ScenePolicy, version: &PolicyVersion) -> anyhow::Result<serde_json::Value> {
    let settings: toml::Table = version.settings.parse()?;
    Ok(serde_json::json!({
        "tenant": policy.tenant, "scene": policy.scene, "version": version.version,
        "changed_time": version.changed_time, "changed_by": version.changed_by, "why": version.why,
        "settings": settings,
    }))
}
