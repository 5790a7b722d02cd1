//! A network without anything around it.

use std::path::Path;

use crate::error::ModelError;
use crate::manifest::Manifest;
use crate::session::Net;

/// A network that runs on noise and whose outputs nobody reads: the floor under what a run costs.
pub struct BareModel {
    net: Net,
    values: Vec<f32>,
}

impl BareModel {
    /// Loads model `name` of the manifest from `home`, the cache folder, with `threads` (at least 1)
    /// for one run.
    ///
    /// # Errors
    /// A file that is missing or has another hash, a model of another shape than the manifest says, a
    /// runtime that cannot be loaded.
    pub fn open(
        manifest: &Manifest,
        home: &Path,
        name: &str,
        threads: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            net: Net::open(manifest, home, name, threads)?,
            values: Vec::new(),
        })
    }

    /// One run on an input of `width` x `height` pixels.
    ///
    /// # Errors
    /// [`ModelError::Failed`]: the network does not take that size.
    pub fn run(&mut self, width: u32, height: u32) -> Result<(), ModelError> {
        let wanted = width as usize * height as usize * 3;
        let mut state = 1_u32;
        while self.values.len() < wanted {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            self.values.push((state >> 24) as f32);
        }
        let input = &self.values[..wanted];
        self.net.run(input, (width, height), |_| Ok(()))
    }
}
