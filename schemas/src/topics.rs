//! Topic names, and what a name tells.

use crate::records::{Lane, Mode};

/// What a topic is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    /// `shiren.<tenant>.requests.<lane>`
    Requests {
        /// Tenant.
        tenant: String,
        /// Lane.
        lane: Lane,
    },
    /// `shiren.<tenant>.library-commands`
    LibraryCommands {
        /// Tenant.
        tenant: String,
    },
    /// `shiren.<tenant>.verdicts`, with `.shadow` or `.backfill` behind it for those modes.
    Verdicts {
        /// Tenant.
        tenant: String,
        /// Mode of the cases in it.
        mode: Mode,
    },
    /// `shiren.<tenant>.results`
    Results {
        /// Tenant.
        tenant: String,
    },
    /// `shiren.<tenant>.evidence`
    Evidence {
        /// Tenant.
        tenant: String,
    },
    /// `shiren.<tenant>.dead-letters`
    DeadLetters {
        /// Tenant.
        tenant: String,
    },
    /// `shiren.policy`: every scene's policy, compacted.
    Policy,
    /// `shiren.library`: the truth of the libraries, compacted.
    Library,
    /// `shiren.state.<stage>.<lane>`: what a stage remembers, compacted.
    State {
        /// Stage.
        stage: String,
        /// Lane: each has workers, and so state, of its own.
        lane: Lane,
    },
    /// `shiren.attempts.<stage>`: partitions taken over and records begun after a process died, compacted.
    Attempts {
        /// First stage of a segment.
        stage: String,
    },
    /// `shiren.<stage>.<lane>`: input of a stage that runs apart.
    Stage {
        /// Stage.
        stage: String,
        /// Lane.
        lane: Lane,
    },
}

impl Topic {
    /// Reads a name; `None` when it is none of ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('.').collect();
        match parts.as_slice() {
            ["shiren", tenant, "requests", lane] => Some(Self::Requests {
                tenant: (*tenant).to_owned(),
                lane: lane.parse().ok()?,
            }),
            ["shiren", tenant, "library-commands"] => Some(Self::LibraryCommands {
                tenant: (*tenant).to_owned(),
            }),
            ["shiren", tenant, "verdicts"] => Some(Self::Verdicts {
                tenant: (*tenant).to_owned(),
                mode: Mode::Live,
            }),
            ["shiren", tenant, "verdicts", mode] => match mode.parse().ok()? {
                Mode::Live => None,
                mode => Some(Self::Verdicts {
                    tenant: (*tenant).to_owned(),
                    mode,
                }),
            },
            ["shiren", tenant, "results"] => Some(Self::Results {
                tenant: (*tenant).to_owned(),
            }),
            ["shiren", tenant, "evidence"] => Some(Self::Evidence {
                tenant: (*tenant).to_owned(),
            }),
            ["shiren", tenant, "dead-letters"] => Some(Self::DeadLetters {
                tenant: (*tenant).to_owned(),
            }),
            ["shiren", "policy"] => Some(Self::Policy),
            ["shiren", "library"] => Some(Self::Library),
            ["shiren", "state", stage, lane] => Some(Self::State {
                stage: (*stage).to_owned(),
                lane: lane.parse().ok()?,
            }),
            ["shiren", "attempts", stage] => Some(Self::Attempts {
                stage: (*stage).to_owned(),
            }),
            ["shiren", stage, lane] => Some(Self::Stage {
                stage: (*stage).to_owned(),
                lane: lane.parse().ok()?,
            }),
            _ => None,
        }
    }
}

impl std::fmt::Display for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Requests { tenant, lane } => write!(f, "shiren.{tenant}.requests.{lane}"),
            Self::LibraryCommands { tenant } => write!(f, "shiren.{tenant}.library-commands"),
            Self::Verdicts {
                tenant,
                mode: Mode::Live,
            } => write!(f, "shiren.{tenant}.verdicts"),
            Self::Verdicts { tenant, mode } => write!(f, "shiren.{tenant}.verdicts.{mode}"),
            Self::Results { tenant } => write!(f, "shiren.{tenant}.results"),
            Self::Evidence { tenant } => write!(f, "shiren.{tenant}.evidence"),
            Self::DeadLetters { tenant } => write!(f, "shiren.{tenant}.dead-letters"),
            Self::Policy => f.write_str("shiren.policy"),
            Self::Library => f.write_str("shiren.library"),
            Self::State { stage, lane } => write!(f, "shiren.state.{stage}.{lane}"),
            Self::Attempts { stage } => write!(f, "shiren.attempts.{stage}"),
            Self::Stage { stage, lane } => write!(f, "shiren.{stage}.{lane}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in [
            "shiren.default.requests.interactive",
            "shiren.acme-1.requests.bulk",
            "shiren.default.library-commands",
            "shiren.default.verdicts",
            "shiren.default.verdicts.shadow",
            "shiren.default.results",
            "shiren.default.evidence",
            "shiren.default.dead-letters",
            "shiren.detect.stream",
            "shiren.attempts.admit",
            "shiren.policy",
            "shiren.library",
            "shiren.state.admit.interactive",
        ] {
            assert_eq!(Topic::parse(name).unwrap().to_string(), name);
        }
        for name in [
            "",
            "shiren",
            "shiren.default.verdicts.live",
            "shiren.x",
            "other.default.verdicts",
            "shiren.default.requests.slow",
        ] {
            assert_eq!(Topic::parse(name), None, "{name}");
        }
    }
}
