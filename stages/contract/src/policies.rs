//! The policy of every scene in the versions that cases in flight may have been admitted with.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use shiren_schemas::records::Envelope;

use crate::policy::{Scene, Scenes};

/// Version that `topology.toml` seeds.
pub const SEED_VERSION: i64 = 1;

/// Tenant and scene.
type Place = (String, String);
/// By version.
type Versions = BTreeMap<i64, Arc<Scene>>;

/// A handle on the policy, shared by all stages of a process.
///
/// A version never changes once it is known, and a case names its version: what a stage reads here
/// depends on the case alone, however often the policy changes beside it.
#[derive(Clone, Debug, Default)]
pub struct Policies(Arc<RwLock<BTreeMap<Place, Versions>>>);

impl Policies {
    /// Nothing is known yet: every case is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One version of each scene, the same for all `tenants`: for what runs without a log.
    #[must_use]
    pub fn seeded(tenants: &[String], scenes: &Scenes) -> Self {
        let policies = Self::new();
        policies.seed(tenants, scenes);
        policies
    }

    /// As [`Policies::seeded`], into what is there.
    pub fn seed(&self, tenants: &[String], scenes: &Scenes) {
        for tenant in tenants {
            for (name, scene) in scenes {
                self.replace(tenant, name, [(SEED_VERSION, scene.clone())]);
            }
        }
    }

    /// Makes `versions` the known ones of this scene. One that was known before stays as it was.
    pub fn replace(
        &self,
        tenant: &str,
        scene: &str,
        versions: impl IntoIterator<Item = (i64, Scene)>,
    ) {
        let place = (tenant.to_owned(), scene.to_owned());
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut known = table.remove(&place).unwrap_or_default();
        let versions: Versions = versions
            .into_iter()
            .map(|(version, scene)| {
                let kept = known.remove(&version);
                (version, kept.unwrap_or_else(|| Arc::new(scene)))
            })
            .collect();
        if !versions.is_empty() {
            table.insert(place, versions);
        }
    }

    /// The newest version of a scene.
    #[must_use]
    pub fn current(&self, tenant: &str, scene: &str) -> Option<(i64, Arc<Scene>)> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let versions = table.get(&(tenant.to_owned(), scene.to_owned()))?;
        let (version, scene) = versions.last_key_value()?;
        Some((*version, scene.clone()))
    }

    /// The scene as it was when the case was admitted; `None`: that version is not known here.
    #[must_use]
    pub fn of(&self, case: &Envelope) -> Option<Arc<Scene>> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let versions = table.get(&(case.tenant.clone(), case.scene.clone()))?;
        versions.get(&case.policy_version).cloned()
    }

    /// Names of a tenant's scenes.
    #[must_use]
    pub fn scenes(&self, tenant: &str) -> Vec<String> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of_tenant = table.keys().filter(|(owner, _)| owner == tenant);
        of_tenant.map(|(_, scene)| scene.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(target_fmr: f64) -> Scene {
        Scene {
            requires: Vec::new(),
            target_fmr,
            target_fpir: None,
            min_margin: 0.0,
            allow_extrapolated: None,
            allow_advisory: None,
            expires_after_ms: 1,
            request_ttl_ms: 1,
            deadline_ms: None,
            min_face_px: 40,
        }
    }

    fn fmr(found: Option<(i64, Arc<Scene>)>) -> Option<(i64, f64)> {
        found.map(|(version, scene)| (version, scene.target_fmr))
    }

    #[test]
    fn a_known_version_never_changes() {
        let policies = Policies::seeded(&["a".to_owned()], &[("s".to_owned(), scene(0.1))].into());
        policies.replace("a", "s", [(1, scene(0.9)), (2, scene(0.2))]);
        assert_eq!(fmr(policies.current("a", "s")), Some((2, 0.2)));
        policies.replace("a", "s", [(1, scene(0.9))]);
        assert_eq!(fmr(policies.current("a", "s")), Some((1, 0.1)));
    }

    #[test]
    fn tenants_and_scenes_are_apart_and_versions_end() {
        let policies = Policies::new();
        policies.replace("a", "s", [(3, scene(0.1)), (4, scene(0.2))]);
        assert!(policies.current("b", "s").is_none());
        assert!(policies.current("a", "t").is_none());
        policies.replace("a", "s", [(4, scene(0.2)), (5, scene(0.3))]);
        assert_eq!(fmr(policies.current("a", "s")), Some((5, 0.3)));
        assert_eq!(policies.scenes("a"), ["s"]);
        policies.replace("a", "s", []);
        assert_eq!(policies.scenes("a"), Vec::<String>::new());
    }
}
