//! Contradictions in a manifest, found before a file is opened.

use std::path::Path;

use super::{Colour, Decoding, Layout, Manifest, ModelEntry, Role, VERSION, invalid};
use crate::error::ModelError;

/// Most models of one profile's liveness.
const MAX_LIVENESS_MODELS: usize = 8;

impl Manifest {
    /// The first contradiction, as an error.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        if self.version != VERSION {
            return Err(invalid(
                "version",
                format!("is {}; this build reads {VERSION}", self.version),
            ));
        }
        for build in [&self.onnxruntime.x86_64, &self.onnxruntime.aarch64]
            .into_iter()
            .flatten()
        {
            check_hash("onnxruntime sha256", &build.sha256)?;
            check_hash("onnxruntime file_sha256", &build.file_sha256)?;
        }
        for (name, entry) in &self.model {
            entry.check(name)?;
        }
        for (name, profile) in &self.profile {
            let place = format!("profile.{name}");
            for (role, model) in profile.models() {
                if self.model(model)?.architecture.role() != role {
                    return Err(invalid(&place, format!("`{model}` is no {}", role.key())));
                }
            }
            if profile.liveness.len() > MAX_LIVENESS_MODELS {
                let what = format!("names more than {MAX_LIVENESS_MODELS} models for liveness");
                return Err(invalid(&place, what));
            }
        }
        Ok(())
    }
}

impl ModelEntry {
    fn check(&self, name: &str) -> Result<(), ModelError> {
        let key = |part: &str| format!("model.{name}.{part}");
        check_hash(&key("source.sha256"), &self.source.sha256)?;
        check_hash(&key("onnx.sha256"), &self.onnx.sha256)?;
        if let Some(beside) = &self.source.beside {
            check_hash(&key("source.beside.sha256"), &beside.sha256)?;
        }
        if let Some(archive) = &self.source.archive_sha256 {
            check_hash(&key("source.archive_sha256"), archive)?;
        }
        let file = Path::new(&self.onnx.file);
        if file.file_name() != Some(file.as_os_str()) {
            return Err(invalid(
                &key("onnx.file"),
                "must be a bare file name".into(),
            ));
        }
        if self.onnx.bytes == 0 {
            return Err(invalid(
                &key("onnx.bytes"),
                "must be the file's length".into(),
            ));
        }
        if !self.input.scale.is_finite()
            || self.input.scale == 0.0
            || !self.input.mean.iter().all(|m| m.is_finite())
        {
            return Err(invalid(
                &key("input"),
                "mean and scale must be finite, scale not 0".into(),
            ));
        }
        self.check_context(&key)?;
        match self.architecture.role() {
            Role::Detector => self.check_detector(&key),
            Role::Embedder => self.check_embedder(&key),
            Role::Mesh => self.check_outputs(&key, Decoding::FaceMesh, 2),
            Role::Sex | Role::Age | Role::Expression | Role::Liveness => {
                self.check_outputs(&key, Decoding::Classes, 1)
            }
        }
    }

    fn check_context(&self, key: &dyn Fn(&str) -> String) -> Result<(), ModelError> {
        let what = match (self.architecture.role(), self.context) {
            (Role::Liveness, Some(context)) if (1.0..=6.0).contains(&context) => return Ok(()),
            (Role::Liveness, _) => "must be 1 to 6 sides of the face's box",
            (_, None) => return Ok(()),
            (_, Some(_)) => "is for liveness only",
        };
        Err(invalid(&key("context"), what.into()))
    }

    /// Of the models whose input's size their architecture fixes.
    fn check_outputs(
        &self,
        key: &dyn Fn(&str) -> String,
        decoding: Decoding,
        outputs: usize,
    ) -> Result<(), ModelError> {
        let side = self.architecture.side().unwrap_or(0);
        if self.input.size != [side; 2] {
            let what = format!("this architecture takes {side} x {side} px");
            return Err(invalid(&key("input.size"), what));
        }
        if self.output.decoding != decoding || self.output.names.len() != outputs {
            let what = format!("this architecture has decoding {decoding:?} and {outputs} outputs");
            return Err(invalid(&key("output"), what));
        }
        Ok(())
    }

    /// Of the models that are fed planes of colour.
    fn check_planes(&self, key: &dyn Fn(&str) -> String) -> Result<(), ModelError> {
        if self.input.layout != Layout::Nchw || self.input.colour == Colour::Grey {
            let what = "this architecture takes layout `nchw` and colour `rgb` or `bgr`";
            return Err(invalid(&key("input"), what.into()));
        }
        Ok(())
    }

    fn check_embedder(&self, key: &dyn Fn(&str) -> String) -> Result<(), ModelError> {
        let output = &self.output;
        if output.decoding != Decoding::Embedding || output.names.len() != 1 {
            return Err(invalid(
                &key("output"),
                "an embedder has decoding `embedding` and one output".into(),
            ));
        }
        if !matches!(output.embedding_size, Some(8..=4096)) || output.metric.is_none() {
            return Err(invalid(
                &key("output"),
                "an embedder needs embedding_size (8..4096) and metric".into(),
            ));
        }
        self.check_planes(key)?;
        let [width, height] = self.input.size;
        if width != height || !(32..=512).contains(&width) {
            return Err(invalid(
                &key("input.size"),
                "an embedder takes a square of 32..512 px".into(),
            ));
        }
        Ok(())
    }

    fn check_detector(&self, key: &dyn Fn(&str) -> String) -> Result<(), ModelError> {
        if self.output.decoding != Decoding::CenterfaceStride4 || self.output.names.len() != 4 {
            return Err(invalid(
                &key("output"),
                "centerface has decoding `centerface-stride4` and four outputs: heat map, scale, offset, landmarks".into(),
            ));
        }
        self.check_planes(key)?;
        if self.input.size != [0, 0] {
            return Err(invalid(
                &key("input.size"),
                "centerface takes any size: write [0, 0]".into(),
            ));
        }
        Ok(())
    }
}

fn check_hash(key: &str, hash: &str) -> Result<(), ModelError> {
    if hash.len() == 64
        && hash
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Ok(());
    }
    Err(invalid(
        key,
        format!("`{hash}` is no sha256 (64 hexadecimal digits, lower case)"),
    ))
}
