//! Templates made from numbers: directions drawn evenly, one a person. No faces.

use uuid::Uuid;

/// How they are made, for the report.
pub(super) const HOW: &str = "unit vectors drawn evenly from the sphere, one a person; a probe of an enrolled person has a cosine of 0.6 with \
     the template, a stranger's is drawn anew";

/// Cosine of an enrolled person's probe and template.
const GENUINE_COSINE: f32 = 0.6;

/// A set of libraries that is searched.
pub(super) struct Scope {
    pub(super) name: &'static str,
    /// As [`Made::library_index`] numbers them.
    libraries: &'static [usize],
}

/// The whole, and libraries of a tenth and a hundredth beside it.
pub(super) const SCOPES: [Scope; 3] = [
    Scope {
        name: "all libraries",
        libraries: &[0, 1, 2],
    },
    Scope {
        name: "a library of 10 %",
        libraries: &[1],
    },
    Scope {
        name: "a library of 1 %",
        libraries: &[2],
    },
];

/// All templates, one behind the other.
pub(super) struct Made {
    dimension: usize,
    values: Vec<f32>,
    seed: u64,
}

/// Probes of one scope: the enrolled persons' first, then strangers'.
pub(super) struct Probes {
    pub(super) all: Vec<Vec<f32>>,
    /// The faces of the enrolled persons.
    pub(super) enrolled: Vec<Option<Uuid>>,
}

impl Made {
    pub(super) fn new(faces: usize, dimension: usize, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut values = Vec::with_capacity(faces * dimension);
        for _ in 0..faces {
            values.extend(direction(&mut random, dimension));
        }
        Self {
            dimension,
            values,
            seed,
        }
    }

    #[cfg(feature = "peers")]
    pub(super) fn dimension(&self) -> usize {
        self.dimension
    }

    pub(super) fn len(&self) -> usize {
        self.values.len() / self.dimension
    }

    pub(super) fn template(&self, index: usize) -> &[f32] {
        &self.values[index * self.dimension..(index + 1) * self.dimension]
    }

    pub(super) fn face(&self, index: usize) -> Uuid {
        Uuid::from_u128((1 << 64) | index as u128)
    }

    /// Libraries of 89, 10 and 1 %, written in turn.
    fn library_index(index: usize) -> usize {
        match index % 100 {
            0 => 2,
            1..=10 => 1,
            _ => 0,
        }
    }

    pub(super) fn library(&self, index: usize) -> Uuid {
        Self::library_id(Self::library_index(index))
    }

    fn library_id(library: usize) -> Uuid {
        Uuid::from_u128((2 << 64) | library as u128)
    }

    /// Ids of all libraries.
    pub(super) fn all_libraries(&self) -> Vec<Uuid> {
        self.libraries(&SCOPES[0])
    }

    pub(super) fn libraries(&self, scope: &Scope) -> Vec<Uuid> {
        scope
            .libraries
            .iter()
            .map(|l| Self::library_id(*l))
            .collect()
    }

    pub(super) fn in_scope(scope: &Scope, index: usize) -> bool {
        scope.libraries.contains(&Self::library_index(index))
    }

    pub(super) fn faces_of(&self, scope: &Scope) -> usize {
        (0..self.len())
            .filter(|index| Self::in_scope(scope, *index))
            .count()
    }

    pub(super) fn probes(&self, scope: &Scope, each: usize) -> Probes {
        let mut random = fastrand::Rng::with_seed(self.seed ^ 0x70_726f_6265);
        let persons: Vec<usize> = (0..self.len())
            .filter(|index| Self::in_scope(scope, *index))
            .collect();
        let mut probes = Probes {
            all: Vec::with_capacity(2 * each),
            enrolled: Vec::with_capacity(each),
        };
        for _ in 0..each {
            let index = persons[random.usize(..persons.len())];
            probes.enrolled.push(Some(self.face(index)));
            probes.all.push(near(&mut random, self.template(index)));
        }
        for _ in 0..each {
            probes.all.push(direction(&mut random, self.dimension));
        }
        probes
    }
}

/// A unit vector drawn evenly from the sphere: normal numbers (Box and Muller), scaled.
fn direction(random: &mut fastrand::Rng, dimension: usize) -> Vec<f32> {
    let normal = |random: &mut fastrand::Rng| {
        let (radius, angle) = (1.0 - random.f64(), random.f64() * std::f64::consts::TAU);
        ((-2.0 * radius.ln()).sqrt() * angle.cos()) as f32
    };
    unit((0..dimension).map(|_| normal(random)).collect())
}

/// A unit vector at [`GENUINE_COSINE`] from `template`, in a direction drawn evenly.
fn near(random: &mut fastrand::Rng, template: &[f32]) -> Vec<f32> {
    let other = direction(random, template.len());
    let along: f32 = other.iter().zip(template).map(|(a, b)| a * b).sum();
    let across = other.iter().zip(template).map(|(a, b)| a - along * b);
    let across = unit(across.collect());
    let sine = (1.0 - GENUINE_COSINE * GENUINE_COSINE).sqrt();
    let probe = across.iter().zip(template);
    unit(probe.map(|(a, t)| GENUINE_COSINE * t + sine * a).collect())
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= norm);
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_scopes_and_cosines_are_as_said() {
        let made = Made::new(1000, 64, 7);
        let faces: Vec<usize> = SCOPES.iter().map(|scope| made.faces_of(scope)).collect();
        assert_eq!(faces, [1000, 100, 10]);
        for scope in &SCOPES {
            let probes = made.probes(scope, 5);
            for (probe, face) in probes.all.iter().zip(&probes.enrolled) {
                let index = (0..1000)
                    .find(|index| Some(made.face(*index)) == *face)
                    .unwrap();
                assert!(Made::in_scope(scope, index));
                let cosine: f32 = probe
                    .iter()
                    .zip(made.template(index))
                    .map(|(a, b)| a * b)
                    .sum();
                assert!((cosine - GENUINE_COSINE).abs() < 1e-4, "{cosine}");
            }
            assert_eq!((probes.all.len(), probes.enrolled.len()), (10, 5));
        }
    }
}
