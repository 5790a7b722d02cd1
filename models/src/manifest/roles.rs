//! Which model does what.

use serde::Deserialize;

use super::Architecture;

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Finds faces.
    Detector,
    /// Makes templates.
    Embedder,
    /// Lays a mesh of points on a face.
    Mesh,
    /// Tells sex.
    Sex,
    /// Tells age.
    Age,
    /// Tells expressions.
    Expression,
    /// Tells live faces from printed or shown ones.
    Liveness,
}

impl Role {
    /// Its key in a profile.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Detector => "detector",
            Self::Embedder => "embedder",
            Self::Mesh => "mesh",
            Self::Sex => "sex",
            Self::Age => "age",
            Self::Expression => "expression",
            Self::Liveness => "liveness",
        }
    }
}

impl Architecture {
    /// What models of this kind are for.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Centerface => Role::Detector,
            Self::DlibResnet29 | Self::Mobilefacenet192 | Self::Arcface112 => Role::Embedder,
            Self::FaceMesh468 => Role::Mesh,
            Self::Sex32 => Role::Sex,
            Self::Age64 => Role::Age,
            Self::Expression64 => Role::Expression,
            Self::Liveness32 | Self::Minifasnet80 => Role::Liveness,
        }
    }

    /// Side of the square that goes in, pixels; `None` where the entry may choose.
    #[must_use]
    pub fn side(self) -> Option<u32> {
        match self {
            Self::Centerface | Self::DlibResnet29 | Self::Mobilefacenet192 | Self::Arcface112 => {
                None
            }
            Self::FaceMesh468 => Some(192),
            Self::Sex32 | Self::Liveness32 => Some(32),
            Self::Age64 | Self::Expression64 => Some(64),
            Self::Minifasnet80 => Some(80),
        }
    }
}

/// Models by role. A role that is left out does not run: what it would answer is answered by
/// "not measured".
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name of the model that finds faces.
    pub detector: String,
    /// Name of the model that makes templates.
    pub embedder: String,
    /// Name of the model that lays the mesh.
    #[serde(default)]
    pub mesh: Option<String>,
    /// Name of the model that tells sex.
    #[serde(default)]
    pub sex: Option<String>,
    /// Name of the model that tells age.
    #[serde(default)]
    pub age: Option<String>,
    /// Name of the model that tells expressions.
    #[serde(default)]
    pub expression: Option<String>,
    /// Names of the models whose scores are joined into one of liveness.
    #[serde(default)]
    pub liveness: Vec<String>,
}

impl Profile {
    /// Every model with its role.
    pub fn models(&self) -> impl Iterator<Item = (Role, &str)> {
        fn one(role: Role, name: &Option<String>) -> Option<(Role, &str)> {
            name.as_deref().map(|name| (role, name))
        }
        let needed = [
            (Role::Detector, self.detector.as_str()),
            (Role::Embedder, self.embedder.as_str()),
        ];
        let optional = [
            one(Role::Mesh, &self.mesh),
            one(Role::Sex, &self.sex),
            one(Role::Age, &self.age),
            one(Role::Expression, &self.expression),
        ];
        let liveness = self
            .liveness
            .iter()
            .map(|name| (Role::Liveness, name.as_str()));
        needed
            .into_iter()
            .chain(optional.into_iter().flatten())
            .chain(liveness)
    }
}
