//! What networks gave for an input, to be given again without them.
//!
//! For tests that run the real stages many times over the same pictures: everything around a network is computed anew,
//! the network's outputs are looked up by the hash of its input.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

/// Shape and values of each output, in the manifest's order.
pub(crate) type Outputs = Arc<Vec<(Vec<i64>, Vec<f32>)>>;

type Key = [u8; 32];

/// Outputs by input. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    outputs: Arc<Mutex<HashMap<Key, Outputs>>>,
    plays: bool,
}

impl Recording {
    /// Nothing yet: networks run, and what they give is kept.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same outputs, given instead of running a network: none is loaded. An input that was not recorded fails.
    #[must_use]
    pub fn playing(&self) -> Self {
        Self {
            outputs: Arc::clone(&self.outputs),
            plays: true,
        }
    }

    pub(crate) fn plays(&self) -> bool {
        self.plays
    }

    pub(crate) fn find(&self, key: &Key) -> Option<Outputs> {
        let outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        outputs.get(key).cloned()
    }

    pub(crate) fn keep(&self, key: Key, given: Outputs) {
        let mut outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        outputs.insert(key, given);
    }
}

/// Of a network, by the sha256 of its file, and its input.
pub(crate) fn key(network: &str, values: &[f32], (width, height): (u32, u32)) -> Key {
    let mut hash = Sha256::new();
    hash.update(network.as_bytes());
    hash.update(width.to_le_bytes());
    hash.update(height.to_le_bytes());
    hash.update(bytemuck::cast_slice::<f32, u8>(values));
    hash.finalize().into()
}
