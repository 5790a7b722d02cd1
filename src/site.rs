//! A site: topology.toml, SHIREN_HOME and what is built from them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use shiren_contract::policies::Policies;
use shiren_contract::seal::Vault;
use shiren_contract::stage::StageDescriptor;
use shiren_contract::still::StillLimits;
use shiren_log::{Applied, Log, TopicSpec};
use shiren_models::{Manifest, ModelError};
use shiren_runtime::{
    Health, Instruments, Options, PolicySource, SegmentOptions, WatchBounds, WorkerBounds,
};
use shiren_schemas::records::{Lane, Mode};
use shiren_schemas::topics::Topic;
use shiren_topology::{LogSettings, Problem, Topology};

use crate::policy;

/// Times in a row that a worker is built anew before its process stops.
const REBUILD_MAX_ATTEMPTS: u32 = 20;

/// A site as its files say.
pub struct Site {
    /// The wiring.
    pub topology: Topology,
    /// Folder of weights, libraries and the embedded log.
    pub home: PathBuf,
    /// Folder of topology.toml; relative paths in it start there.
    pub root: PathBuf,
    /// The stages that the topology may name: Shiren's own, and those of the program.
    pub stages: Vec<StageDescriptor>,
    /// What cases are judged by: filled from the log by what runs the chain on one, else by
    /// [`Site::judge_by_seed`].
    pub policies: Policies,
}

impl Site {
    /// Reads and checks `file`; all problems at once.
    ///
    /// # Errors
    /// The file cannot be read, or the topology has problems.
    pub fn open(file: &Path, home: &Path, stages: &[StageDescriptor]) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| {
            format!(
                "{} cannot be read; name another with --topology",
                file.display()
            )
        })?;
        Self::read(&text, file, home, stages).map_err(|problems| {
            let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("{}", list.join("\n"))
        })
    }

    /// As [`Site::open`], of a `text` that was read from `file`.
    ///
    /// # Errors
    /// Every problem of the topology.
    pub fn read(
        text: &str,
        file: &Path,
        home: &Path,
        stages: &[StageDescriptor],
    ) -> Result<Self, Vec<Problem>> {
        let name = file.display().to_string();
        let topology = shiren_topology::parse(text, &name, environment(), stages)?;
        Ok(Self {
            topology,
            home: home.to_owned(),
            root: file.parent().map(Path::to_owned).unwrap_or_default(),
            stages: stages.to_vec(),
            policies: Policies::new(),
        })
    }

    /// The log that the topology names.
    ///
    /// # Errors
    /// It cannot be opened or reached.
    pub fn open_log(&self) -> anyhow::Result<Arc<dyn Log>> {
        Ok(match &self.topology.log {
            LogSettings::Embedded(settings) => {
                let dir = self.home.join(&settings.dir);
                let options = shiren_log_embedded::EmbeddedOptions {
                    max_mib: settings.max_mib,
                    retention_sweep_ms: settings.retention_sweep_ms,
                    write_lock_max_wait_ms: settings.write_lock_max_wait_ms,
                    ..shiren_log_embedded::EmbeddedOptions::new(dir)
                };
                Arc::new(shiren_log_embedded::EmbeddedLog::open(options)?)
            }
            LogSettings::Kafka(settings) => {
                let options = shiren_log_kafka::KafkaOptions {
                    properties: settings.properties.clone(),
                    transaction_timeout_ms: settings.transaction_timeout_ms,
                    session_timeout_ms: settings.session_timeout_ms,
                    static_membership: settings.static_membership,
                    delivery_max_wait_ms: settings.delivery_max_wait_ms,
                    request_max_wait_ms: settings.request_max_wait_ms,
                    bootstrap_servers: settings.bootstrap_servers.clone(),
                };
                Arc::new(shiren_log_kafka::KafkaLog::open(options)?)
            }
        })
    }

    /// Makes or mends the topics, and seeds the policy of scenes that it does not have yet.
    ///
    /// # Errors
    /// See [`Log::apply_topics`]; the policy cannot be read or written.
    pub fn set_up(&self, log: &dyn Log) -> anyhow::Result<Vec<Applied>> {
        let applied = log.apply_topics(&self.topics())?;
        policy::seed(self, log)?;
        Ok(applied)
    }

    /// Without a log: scenes are as `topology.toml` has them.
    pub fn judge_by_seed(&self) {
        let (tenants, scenes) = (&self.topology.tenants, &self.topology.scenes);
        self.policies.seed(tenants, scenes);
    }

    /// The vault that pictures are sealed by, or `None` where `vault.enabled` is false. To be opened
    /// once a process; see [`crate::vault::open`] for the store itself.
    ///
    /// # Errors
    /// The store is missing (on Kafka), cannot be read, or has another key-encryption key; the
    /// [`shiren_contract::seal::VaultError`] is in it.
    pub fn vault(&self) -> anyhow::Result<Option<Arc<dyn Vault>>> {
        let vault = crate::vault::open(self).map_err(crate::vault::coded)?;
        Ok(vault.map(|vault| vault as Arc<dyn Vault>))
    }

    /// The tenant named, or the first.
    ///
    /// # Errors
    /// The topology does not have it.
    pub fn tenant(&self, named: Option<&str>) -> anyhow::Result<String> {
        let tenants = &self.topology.tenants;
        let found = match named {
            Some(name) => tenants.iter().find(|tenant| *tenant == name),
            None => tenants.first(),
        };
        found.cloned().with_context(|| {
            format!(
                "no tenant {}; the topology has {}",
                named.unwrap_or(""),
                tenants.join(", ")
            )
        })
    }

    /// Limits on stills.
    #[must_use]
    pub fn still_limits(&self) -> StillLimits {
        self.topology.stills.into()
    }

    /// The lane whose workers read library commands: bulk, which waits for the library, or else the first.
    #[must_use]
    pub fn commands_lane(&self) -> Option<Lane> {
        let t = &self.topology;
        t.chain.iter().find(|stage| *stage == "enrol")?;
        let bulk = t.lanes.iter().find(|lane| **lane == Lane::Bulk);
        bulk.or(t.lanes.first()).copied()
    }

    /// Every topic of the site, as it should be.
    #[must_use]
    pub fn topics(&self) -> Vec<TopicSpec> {
        let t = &self.topology;
        let spec = |topic: Topic, retention_ms: u64| TopicSpec {
            name: topic.to_string(),
            partitions: t.topics.partitions,
            retention_ms: i64::try_from(retention_ms).unwrap_or(i64::MAX),
            max_record_bytes: t.topics.max_record_bytes,
            compacted: false,
        };
        // All of it in one order, so that the versions of a scene have one too.
        let policy = TopicSpec {
            partitions: 1,
            compacted: true,
            ..spec(Topic::Policy, t.topics.requests_retention_ms)
        };
        let mut topics = vec![policy];
        for segment in &t.segments {
            let stage = segment.stages.first().cloned().unwrap_or_default();
            topics.push(TopicSpec {
                partitions: 1,
                compacted: true,
                ..spec(Topic::Attempts { stage }, t.topics.requests_retention_ms)
            });
        }
        if self.commands_lane().is_some() {
            topics.push(TopicSpec {
                compacted: true,
                ..spec(Topic::Library, t.topics.requests_retention_ms)
            });
        }
        for tenant in &t.tenants {
            let tenant = || tenant.clone();
            for lane in &t.lanes {
                let requests = Topic::Requests {
                    tenant: tenant(),
                    lane: *lane,
                };
                topics.push(spec(requests, t.topics.requests_retention_ms));
            }
            if self.commands_lane().is_some() {
                let commands = Topic::LibraryCommands { tenant: tenant() };
                topics.push(spec(commands, t.topics.library_commands_retention_ms));
            }
            for mode in Mode::ALL {
                let verdicts = Topic::Verdicts {
                    tenant: tenant(),
                    mode: *mode,
                };
                topics.push(spec(verdicts, t.topics.verdicts_retention_ms));
            }
            topics.push(spec(
                Topic::Results { tenant: tenant() },
                t.topics.results_retention_ms,
            ));
            topics.push(spec(
                Topic::Evidence { tenant: tenant() },
                t.topics.evidence_retention_ms,
            ));
            let dead_letters = Topic::DeadLetters { tenant: tenant() };
            topics.push(spec(dead_letters, t.topics.dead_letters_retention_ms));
        }
        for descriptor in &self.stages {
            let keeps = descriptor.state.is_some() && t.chain.iter().any(|s| s == descriptor.name);
            for lane in t.lanes.iter().filter(|_| keeps) {
                let topic = Topic::State {
                    stage: descriptor.name.to_owned(),
                    lane: *lane,
                };
                topics.push(TopicSpec {
                    compacted: true,
                    ..spec(topic, t.topics.stages_retention_ms)
                });
            }
        }
        for segment in t.segments.iter().skip(1) {
            for (stage, lane) in segment
                .stages
                .iter()
                .take(1)
                .flat_map(|s| t.lanes.iter().map(move |l| (s, l)))
            {
                let topic = Topic::Stage {
                    stage: stage.clone(),
                    lane: *lane,
                };
                topics.push(spec(topic, t.topics.stages_retention_ms));
            }
        }
        topics
    }

    /// Runtime options for the segments named, or for all.
    ///
    /// # Errors
    /// A segment that the topology does not have; the key store cannot be used.
    pub fn runtime_options(&self, segments: &[String], first_slot: u32) -> anyhow::Result<Options> {
        crate::identity_limit::check(self).map_err(crate::vault::coded)?;
        self.options(segments, first_slot, self.vault()?)
    }

    /// As [`Site::runtime_options`], with this vault; without one nothing may be written to a log.
    pub(crate) fn options(
        &self,
        segments: &[String],
        first_slot: u32,
        vault: Option<Arc<dyn Vault>>,
    ) -> anyhow::Result<Options> {
        let t = &self.topology;
        if let Some(unknown) = segments.iter().find(|name| t.segment(name).is_none()) {
            let known: Vec<_> = t
                .segments
                .iter()
                .map(|segment| segment.name.as_str())
                .collect();
            bail!(
                "no segment named {unknown}; the topology has {}",
                known.join(", ")
            );
        }
        let chosen = t
            .segments
            .iter()
            .filter(|s| segments.is_empty() || segments.contains(&s.name));
        Ok(Options {
            chain: t.chain.clone(),
            segments: chosen
                .map(|segment| SegmentOptions {
                    name: segment.name.clone(),
                    stages: segment.stages.clone(),
                    workers: segment.workers,
                    first_slot,
                })
                .collect(),
            tenants: t.tenants.clone(),
            lanes: t.lanes.clone(),
            commands_lane: self.commands_lane(),
            nice: t.runtime.nice,
            bulk_nice: t.runtime.bulk_nice,
            bundle_max_records: t.bundle.max_records,
            bundle_max_bytes: t.bundle.max_bytes,
            poll_max_wait: Duration::from_millis(t.bundle.poll_max_wait_ms),
            queue_max_bytes: t.bundle.queue_max_bytes,
            bounds: WorkerBounds {
                commit_max_attempts: t.runtime.rerun_max_attempts,
                rebuild_max_attempts: REBUILD_MAX_ATTEMPTS,
                dead_letters_max_consecutive: t.runtime.dead_letters_max_consecutive,
                dead_letters_max_ratio: t.runtime.dead_letters_max_ratio,
                dead_letters_window_records: t.runtime.dead_letters_window_records,
                crash_max_attempts: t.runtime.crash_max_attempts,
                record_max: Duration::from_millis(t.runtime.record_max_ms),
                clock_max_skew: Duration::from_millis(t.runtime.clock_max_skew_ms),
                clock_max_off: Duration::from_millis(t.runtime.clock_max_off_ms),
                max_resident_mib: t.runtime.max_resident_mib,
                tick: Duration::from_millis(t.state.tick_ms),
            },
            vault,
            policy: PolicySource {
                policies: self.policies.clone(),
                table: policy::table(&self.policies),
                version_max_wait: Duration::from_millis(t.policy.version_max_wait_ms),
            },
            capture_max_skew_ms: t.runtime.capture_max_skew_ms,
            default_expires_after_ms: t
                .scenes
                .get("default")
                .map_or(0, |scene| scene.expires_after_ms),
            max_record_bytes: t.topics.max_record_bytes,
            dead_letters_head_max_bytes: t.runtime.dead_letters_head_max_bytes,
            host: host(),
            instruments: Instruments::default(),
            health: Health::new(),
            watch: WatchBounds {
                recent_verdicts_max: t.telemetry.recent_verdicts_max,
                lag_every: Duration::from_millis(t.telemetry.lag_every_ms),
            },
        })
    }

    /// Where the weights' manifest lies.
    #[must_use]
    pub fn manifest_path(&self) -> PathBuf {
        self.root.join(&self.topology.models.manifest)
    }

    /// The weights' manifest.
    ///
    /// # Errors
    /// It cannot be read, or contradicts itself.
    pub fn manifest(&self) -> Result<Manifest, ModelError> {
        Manifest::load(&self.manifest_path())
    }
}

/// `SHIREN_HOME`, or `.shiren` in this folder.
#[must_use]
pub fn home() -> PathBuf {
    std::env::var_os("SHIREN_HOME").map_or_else(|| PathBuf::from(".shiren"), PathBuf::from)
}

/// The environment's readable variables.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
}

fn host() -> String {
    let from_file = || std::fs::read_to_string("/etc/hostname").ok();
    let name = std::env::var("HOSTNAME")
        .ok()
        .or_else(from_file)
        .unwrap_or_default();
    name.trim().to_owned()
}
