//! The policy, as the compacted topic `shiren.policy` holds it.

use serde::{Deserialize, Serialize};

/// One version, never changed once written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// From 1, each change one more.
    pub version: i64,
    /// Changed time.
    pub changed_time: i64,
    /// Who: an operator, or topology.toml.
    pub changed_by: String,
    /// Why.
    pub why: String,
    /// The scene's settings as TOML, every one written out.
    pub settings: String,
}

/// Policy of one scene of one tenant: the versions that cases in flight may have been admitted with. Key <tenant>/<scene>; the newest record of a key holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenePolicy {
    /// Tenant.
    pub tenant: String,
    /// Scene.
    pub scene: String,
    /// Oldest first; at most policy.versions_max.
    pub versions: Vec<PolicyVersion>,
}

wire!(ScenePolicy, "policy", ["ScenePolicy/1"]);
