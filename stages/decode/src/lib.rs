//! Decode: checks a still's format, size and orientation by its header and passes the bytes on.
//!
//! Pixels are made once, later, in detect; nothing is decoded here, so a bomb costs its header.

use shiren_contract::stage::{Outcome, Rejection, Stage, StageDescriptor};
use shiren_contract::still::{Pixels, StillLimits};
use shiren_contract::terminal::Terminal;
use shiren_schemas::Wire;
use shiren_schemas::records::{
    AdmittedCase, AdmittedPicture, RequestKind, StillCase, StillPicture,
};

/// The stage.
pub struct Decode {
    pixels: Box<dyn Pixels>,
    limits: StillLimits,
}

impl Decode {
    /// The stage, with the port it reads headers through.
    #[must_use]
    pub fn new(pixels: Box<dyn Pixels>, limits: StillLimits) -> Self {
        Self { pixels, limits }
    }

    fn still(&self, picture: AdmittedPicture) -> Result<StillPicture, Rejection> {
        let header = self
            .pixels
            .header(&picture.bytes, &self.limits)
            .map_err(|error| Rejection::new(error.code, error.detail))?;
        let pixels = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
        Ok(StillPicture {
            role: picture.role,
            reference_kind: picture.reference_kind,
            format: header.format,
            width: pixels(header.width),
            height: pixels(header.height),
            orientation: i32::from(header.orientation),
            bytes: picture.bytes,
            sealed: None,
        })
    }
}

impl Stage for Decode {
    type Input = AdmittedCase;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "decode",
        kinds: &[
            RequestKind::Detect,
            RequestKind::Attributes,
            RequestKind::Liveness,
            RequestKind::Compare,
            RequestKind::Search,
            RequestKind::Enrol,
            RequestKind::Unenrol,
            RequestKind::Verify,
        ],
        input: AdmittedCase::NAME,
        outputs: &[StillCase::NAME],
        checks: &[],
        state: None,
        is_rekeyed: false,
    };

    fn process(&mut self, case: AdmittedCase) -> Outcome {
        let mut pictures = Vec::with_capacity(case.pictures.len());
        for picture in case.pictures {
            let role = picture.role;
            match self.still(picture) {
                Ok(still) => pictures.push(still),
                Err(rejection) => {
                    let name = Self::DESCRIPTOR.name;
                    return Outcome::terminal(Terminal::error(
                        case.envelope,
                        name,
                        rejection,
                        Some(role),
                    ));
                }
            }
        }
        Outcome::next(StillCase {
            search: case.search,
            command: case.command,
            claim: case.claim,
            envelope: case.envelope,
            pictures,
        })
    }
}
