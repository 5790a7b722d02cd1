//! Pictures to templates, by the stages themselves but without a case.

use std::sync::Arc;

use shiren_contract::stage::Rejection;
use shiren_contract::still::{Pixels, StillHeader};
use shiren_detect::Detect;
use shiren_embed::Embed;
use shiren_schemas::records::{PictureRole, ReferenceKind, StillPicture, Template};
use shiren_stills::StillDecoder;

use crate::site::Site;
use crate::stages;

/// Decoder, detector and embedder of a site.
pub(crate) struct Templates {
    decoder: StillDecoder,
    site: Arc<Site>,
    detect: Detect,
    embed: Embed,
    min_face_px: u32,
}

impl Templates {
    /// Opens the models of the site's profile. Faces narrower than `min_face_px` are not looked for.
    ///
    /// # Errors
    /// A weight is missing, for example.
    pub fn open(site: Arc<Site>, min_face_px: u32) -> anyhow::Result<Self> {
        let opening = |error: shiren_runtime::BuildError| anyhow::anyhow!("{error}");
        Ok(Self {
            decoder: StillDecoder::new(),
            detect: stages::build_detect(&site).map_err(opening)?,
            embed: stages::build_embed(&site).map_err(opening)?,
            site,
            min_face_px,
        })
    }

    /// Template of the subject of a picture on file.
    ///
    /// # Errors
    /// What is wrong with the picture, as the chain would say it.
    pub fn template(&mut self, bytes: Vec<u8>) -> Result<Template, Rejection> {
        let header = self
            .decoder
            .header(&bytes, &self.site.still_limits())
            .map_err(|error| Rejection::new(error.code, error.detail))?;
        let kind = Some(ReferenceKind::OnFile);
        let still = still_picture(PictureRole::Reference, kind, &header, bytes);
        let picture = self
            .detect
            .subject_picture(&still, self.min_face_px)
            .map_err(|refusal| refusal.rejection)?;
        self.embed.template(&picture)
    }
}

/// A picture as `detect` reads it; its size is what the decoder finds.
pub(crate) fn still_picture(
    role: PictureRole,
    reference_kind: Option<ReferenceKind>,
    header: &StillHeader,
    bytes: Vec<u8>,
) -> StillPicture {
    StillPicture {
        role,
        reference_kind,
        format: header.format,
        width: 0,
        height: 0,
        orientation: i32::from(header.orientation),
        bytes,
        sealed: None,
    }
}
