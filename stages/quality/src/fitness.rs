//! From figures to fitness: which limits a face breaks, and by how much it keeps them.

use shiren_contract::codes::{self, Code};
use shiren_schemas::records::{Quality, ReferenceKind};

use crate::config::{Config, Detail, KindLimits, Limits};

impl Config {
    /// Limits of a picture: those of its reference kind, a probe's are `live`.
    #[must_use]
    pub fn kind(&self, reference: Option<ReferenceKind>) -> &KindLimits {
        match reference {
            None | Some(ReferenceKind::Live) => &self.live,
            Some(ReferenceKind::OnFile) => &self.on_file,
            Some(ReferenceKind::CardPrint) => &self.card_print,
            Some(ReferenceKind::Chip) => &self.chip,
        }
    }

    /// Fills in what the figures in `quality` are fit for, with every reason, the gravest first.
    pub fn judge(&self, quality: &mut Quality, reference: Option<ReferenceKind>) {
        let kind = self.kind(reference);
        let reasons = |limits: &Limits, detail: &Detail| -> Vec<String> {
            let broken = self.headroom(quality, limits, detail).into_iter();
            let broken = broken.filter(|(headroom, _)| *headroom < 1.0);
            broken.map(|(_, code)| code.id.to_owned()).collect()
        };
        let comparison = reasons(&self.comparison, &kind.comparison);
        let enrolment = reasons(&self.enrolment, &kind.enrolment);
        quality.fit_for_comparison = comparison.is_empty();
        quality.fit_for_enrolment = enrolment.is_empty();
        quality.comparison_reasons = comparison;
        quality.enrolment_reasons = enrolment;
    }

    /// How well a face keeps the limits of a comparison: the least headroom over all of them, at least 0. It is fit from
    /// 1 on.
    #[must_use]
    pub fn comparison_margin(&self, quality: &Quality, reference: Option<ReferenceKind>) -> f64 {
        let headroom = self.headroom(quality, &self.comparison, &self.kind(reference).comparison);
        headroom
            .iter()
            .map(|(headroom, _)| *headroom)
            .fold(f64::INFINITY, f64::min)
    }

    /// The headroom under each limit, the gravest first.
    fn headroom(&self, quality: &Quality, limits: &Limits, detail: &Detail) -> [(f64, Code); 11] {
        let q = quality;
        let dark = at_least(q.brightness, limits.min_brightness)
            .min(at_least(1.0 - q.dark_share, 1.0 - limits.max_dark_share));
        let bright = at_least(WHITE - q.brightness, WHITE - limits.max_brightness).min(at_least(
            1.0 - q.bright_share,
            1.0 - limits.max_bright_share,
        ));
        [
            (at_least(q.presence, self.min_presence), codes::NOT_A_FACE),
            (
                at_least(q.inside_share, limits.min_inside_share),
                codes::FACE_CUT_OFF,
            ),
            (
                at_least(q.inter_eye_px, detail.min_inter_eye_px),
                codes::EYES_TOO_CLOSE,
            ),
            (
                at_most(q.yaw_degrees, limits.max_yaw_degrees),
                codes::YAW_TOO_LARGE,
            ),
            (
                at_most(q.pitch_degrees, limits.max_pitch_degrees),
                codes::PITCH_TOO_LARGE,
            ),
            (
                at_most(q.roll_degrees, limits.max_roll_degrees),
                codes::ROLL_TOO_LARGE,
            ),
            (dark, codes::FACE_TOO_DARK),
            (bright, codes::FACE_TOO_BRIGHT),
            (
                at_least(q.contrast, limits.min_contrast),
                codes::CONTRAST_TOO_LOW,
            ),
            (
                root(at_least(q.sharpness, detail.min_sharpness)),
                codes::FACE_BLURRED,
            ),
            (
                at_most(q.blockiness, detail.max_blockiness),
                codes::FACE_COMPRESSED,
            ),
        ]
    }
}

/// The largest luma.
const WHITE: f64 = 255.0;

/// The value over its limit: 1 at it, more above. 0 for what is not a number.
fn at_least(value: f64, least: f64) -> f64 {
    if value.is_nan() || value < 0.0 {
        0.0
    } else if value >= least {
        // Never below 1 by rounding; a limit of 0 leaves any headroom.
        (value / least).max(1.0)
    } else {
        // Never 1 by rounding.
        (value / least).min(1.0_f64.next_down())
    }
}

/// Of a headroom of squares, as of a variance: so that it counts as much as those of lengths do.
fn root(headroom: f64) -> f64 {
    if headroom < 1.0 {
        // Never 1 by rounding.
        headroom.sqrt().min(1.0_f64.next_down())
    } else {
        headroom.sqrt()
    }
}

/// The limit over the figure, either way: 1 at it, more below. 0 for what is not a number.
fn at_most(figure: f64, most: f64) -> f64 {
    if figure.is_nan() {
        0.0
    } else {
        at_least(most, figure.abs())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_limit_is_kept_at_it_and_broken_just_below() {
        assert_eq!(at_least(5.0, 5.0), 1.0);
        assert!(at_least(5.0_f64.next_down(), 5.0) < 1.0);
        assert!(at_least(0.0, 0.0) >= 1.0 && at_least(3.0, 0.0) >= 1.0);
        assert_eq!(at_most(-15.0, 15.0), 1.0);
        assert!(at_most(-15.1, 15.0) < 1.0 && at_most(0.0, 0.0) >= 1.0);
        assert_eq!(
            (at_least(f64::NAN, 1.0), at_most(f64::NAN, 1.0)),
            (0.0, 0.0)
        );
    }

    proptest! {
        #[test]
        fn headroom_is_1_or_more_exactly_where_the_limit_is_kept(value in -10.0f64..300.0, limit in 0.0f64..300.0) {
            prop_assert_eq!(at_least(value, limit) >= 1.0, value >= limit && value >= 0.0);
            prop_assert_eq!(at_most(value, limit) >= 1.0, value.abs() <= limit);
        }
    }
}
