//! The policy topic: seeded from topology.toml, read into every worker, changed while the chain runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use shiren_contract::policies::{Policies, SEED_VERSION};
use shiren_contract::policy::Scene;
use shiren_log::{Log, NewRecord, Record, Start};
use shiren_runtime::{GlobalTable, now_us};
use shiren_schemas::records::{PolicyVersion, ScenePolicy};
use shiren_schemas::topics::Topic;
use shiren_schemas::{Wire, keys};
use shiren_topology::{parse_scene, scene_settings};

use crate::site::Site;

/// Who seeds, as a version's `changed_by` says it.
const SEEDED_BY: &str = "topology.toml";
/// Records read at once.
const READ_MAX_RECORDS: usize = 256;
/// Longest wait for a record of a topic that is not read to its end.
const READ_MAX_WAIT: Duration = Duration::from_millis(100);

/// Every scene's policy, by tenant and scene.
pub type Table = BTreeMap<(String, String), ScenePolicy>;

/// The table that keeps `policies` up to date.
#[must_use]
pub fn table(policies: &Policies) -> GlobalTable {
    let policies = policies.clone();
    GlobalTable::new(Topic::Policy.to_string(), move |record| {
        apply(&policies, record)
    })
}

/// A version whose settings this program cannot read stays unknown: its cases end as errors.
fn apply(policies: &Policies, record: &Record) -> Result<(), String> {
    let Some(value) = &record.value else {
        let key = record.key.as_deref().and_then(keys::split);
        let (tenant, scene) = key.ok_or("a tombstone without a key")?;
        policies.replace(tenant, scene, []);
        return Ok(());
    };
    let policy = ScenePolicy::decode(value).map_err(|error| error.to_string())?;
    let mut unread = Vec::new();
    let mut versions = Vec::new();
    for version in &policy.versions {
        match parse_scene(&version.settings) {
            Ok(scene) => versions.push((version.version, scene)),
            Err(problems) => unread.push((version.version, problems)),
        }
    }
    policies.replace(&policy.tenant, &policy.scene, versions);
    if unread.is_empty() {
        return Ok(());
    }
    Err(format!("{}/{}: {unread:?}", policy.tenant, policy.scene))
}

/// The policy as the log has it now.
///
/// # Errors
/// The topic does not exist, the log does not answer, or a record is none of ours.
pub fn read(log: &dyn Log) -> anyhow::Result<Table> {
    let mut reader = log.reader(&Topic::Policy.to_string(), Start::Beginning)?;
    let mut table = Table::new();
    while !reader.at_end()? {
        for record in reader.read(READ_MAX_RECORDS, READ_MAX_WAIT)? {
            take(&mut table, &record)?;
        }
    }
    Ok(table)
}

fn take(table: &mut Table, record: &Record) -> anyhow::Result<()> {
    let Some(value) = &record.value else {
        if let Some((tenant, scene)) = record.key.as_deref().and_then(keys::split) {
            table.remove(&(tenant.to_owned(), scene.to_owned()));
        }
        return Ok(());
    };
    let policy = ScenePolicy::decode(value)?;
    table.insert((policy.tenant.clone(), policy.scene.clone()), policy);
    Ok(())
}

/// Writes version 1 of every scene of topology.toml that the policy does not have. Two processes that
/// do so at once write the same settings.
///
/// # Errors
/// As [`read`]; the topic cannot be written.
pub fn seed(site: &Site, log: &dyn Log) -> anyhow::Result<()> {
    let known = read(log).context("the policy cannot be read")?;
    let mut records = Vec::new();
    for tenant in &site.topology.tenants {
        for (name, scene) in &site.topology.scenes {
            if known.contains_key(&(tenant.clone(), name.clone())) {
                continue;
            }
            let version = PolicyVersion {
                version: SEED_VERSION,
                changed_time: now_us(),
                changed_by: SEEDED_BY.to_owned(),
                why: "the seed".to_owned(),
                settings: scene_settings(scene),
            };
            records.push(record(&ScenePolicy {
                tenant: tenant.clone(),
                scene: name.clone(),
                versions: vec![version],
            })?);
        }
    }
    if !records.is_empty() {
        log.publisher()?.publish(records)?;
    }
    Ok(())
}

/// A change that an operator wants.
pub struct Change<'a> {
    /// Tenant.
    pub tenant: &'a str,
    /// Scene; one that is not there yet begins with version 1.
    pub scene: &'a str,
    /// What it shall be.
    pub settings: &'a Scene,
    /// Who wants it.
    pub by: &'a str,
    /// Why.
    pub why: &'a str,
    /// Versions that are kept.
    pub versions_max: usize,
    /// The version that the operator saw; `None`: there was none.
    pub seen: Option<i64>,
}

/// Publishes the next version and says which it is.
///
/// # Errors
/// Someone else changed the scene since it was read: nothing of theirs is undone.
pub fn change(log: &dyn Log, change: &Change<'_>) -> anyhow::Result<i64> {
    let place = (change.tenant.to_owned(), change.scene.to_owned());
    let mut versions = read(log)?.remove(&place).map_or(Vec::new(), |p| p.versions);
    let newest = versions.last().map(|version| version.version);
    if newest != change.seen {
        bail!("{}", conflict(change, newest));
    }
    let next = PolicyVersion {
        version: newest.unwrap_or(0) + 1,
        changed_time: now_us(),
        changed_by: change.by.to_owned(),
        why: change.why.to_owned(),
        settings: scene_settings(change.settings),
    };
    versions.push(next.clone());
    let over = versions.len().saturating_sub(change.versions_max);
    versions.drain(..over);
    let policy = ScenePolicy {
        tenant: place.0.clone(),
        scene: place.1.clone(),
        versions,
    };
    log.publisher()?.publish(vec![record(&policy)?])?;
    // Two operators at once: the first record of a version holds, in every worker.
    match first_of_version(log, &place, next.version)? {
        Some(first) if first == next => Ok(next.version),
        first => {
            repair(log, &place, first)?;
            bail!("{}", conflict(change, Some(next.version)))
        }
    }
}

fn conflict(change: &Change<'_>, newest: Option<i64>) -> String {
    format!(
        "policy_conflict: {}/{} was changed by someone else meanwhile (version {} now): look at `shiren policy diff`, then set it again",
        change.tenant,
        change.scene,
        newest.unwrap_or(0)
    )
}

/// The version as the topic's first record of it has it.
fn first_of_version(
    log: &dyn Log,
    place: &(String, String),
    version: i64,
) -> anyhow::Result<Option<PolicyVersion>> {
    let mut reader = log.reader(&Topic::Policy.to_string(), Start::Beginning)?;
    let mut first = None;
    while !reader.at_end()? {
        for record in reader.read(READ_MAX_RECORDS, READ_MAX_WAIT)? {
            let mut table = Table::new();
            take(&mut table, &record)?;
            let found = table.remove(place).and_then(|policy| {
                let mut versions = policy.versions.into_iter();
                versions.find(|known| known.version == version)
            });
            first = first.or(found);
        }
    }
    Ok(first)
}

/// Compaction keeps a key's last record: let that be one with the version that holds.
fn repair(
    log: &dyn Log,
    place: &(String, String),
    first: Option<PolicyVersion>,
) -> anyhow::Result<()> {
    // As it is now: a third change may have come behind ours.
    let newest = read(log)?.remove(place);
    let Some((first, mut policy)) = first.zip(newest) else {
        return Ok(());
    };
    for known in &mut policy.versions {
        if known.version == first.version {
            *known = first.clone();
        }
    }
    log.publisher()?.publish(vec![record(&policy)?])?;
    Ok(())
}

fn record(policy: &ScenePolicy) -> anyhow::Result<NewRecord> {
    Ok(NewRecord {
        topic: Arc::from(Topic::Policy.to_string()),
        partition: None,
        key: Bytes::from(keys::request(&policy.tenant, &policy.scene)),
        value: Some(Bytes::from(policy.encode()?)),
        headers: Vec::new(),
    })
}
