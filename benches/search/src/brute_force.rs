//! Every template of the scope, one after the other, on one core: what an index has to beat.

use uuid::Uuid;

use super::templates::{Made, SCOPES, Scope};

/// Lanes that are summed apart, so that the compiler can use wide registers.
const LANES: usize = 16;

pub(super) struct BruteForce<'a> {
    made: &'a Made,
    /// By scope, in the order of [`SCOPES`].
    scopes: Vec<Vec<usize>>,
}

impl<'a> BruteForce<'a> {
    pub(super) fn new(made: &'a Made) -> Self {
        let of = |scope: &Scope| {
            let all = 0..made.len();
            all.filter(|index| Made::in_scope(scope, *index)).collect()
        };
        Self {
            made,
            scopes: SCOPES.iter().map(of).collect(),
        }
    }

    pub(super) fn first(&self, scope: &Scope, probe: &[f32]) -> Option<Uuid> {
        let at = SCOPES.iter().position(|known| known.name == scope.name)?;
        let mut best = (f32::NEG_INFINITY, None);
        for index in &self.scopes[at] {
            let score = dot(self.made.template(*index), probe);
            if score > best.0 {
                best = (score, Some(*index));
            }
        }
        best.1.map(|index| self.made.face(index))
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (wide_a, rest_a) = a.as_chunks::<LANES>();
    let (wide_b, rest_b) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (a, b) in wide_a.iter().zip(wide_b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
