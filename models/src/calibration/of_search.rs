//! Rates of a search from those of one comparison, and back.
//!
//! A stranger is taken for somebody when any of N comparisons matches. Taken for independent, they give
//! `FPIR = 1 - (1 - FMR)^N` (ISO/IEC 19795-1). Faces that resemble each other are not: the rate is then lower.

use super::{Basis, Table};
use crate::error::ModelError;

/// The false-match rate of one comparison that gives `fpir` (above 0 and below 1) over `faces` comparisons (1 or more).
#[must_use]
pub fn fmr_for_fpir(fpir: f64, faces: u64) -> f64 {
    // 1 - (1 - fpir)^(1/n), without losing small rates to rounding.
    -f64::exp_m1(f64::ln_1p(-fpir) / faces as f64)
}

/// The rate at which a search of `faces` faces takes a stranger for somebody, by the false-match rate of one comparison
/// (0 to 1).
#[must_use]
pub fn fpir_of_fmr(fmr: f64, faces: u64) -> f64 {
    if faces == 0 {
        return 0.0;
    }
    -f64::exp_m1(f64::ln_1p(-fmr) * faces as f64)
}

/// The largest number of faces over which comparisons at `fmr` give at most `fpir` (both above 0 and below 1).
#[must_use]
pub fn faces_for_rates(fpir: f64, fmr: f64) -> u64 {
    (f64::ln_1p(-fpir) / f64::ln_1p(-fmr)) as u64
}

/// How many faces a search may have at its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FacesSupported {
    /// Up to here the threshold is measured. 0: at no size.
    pub measured: u64,
    /// Up to here it is extrapolated; beyond it there is none. At least `measured`.
    pub extrapolated: u64,
}

impl Table {
    /// The largest searches that `fpir` (above 0 and below 1) can be held for.
    ///
    /// # Errors
    /// [`ModelError::Calibration`] when the table has too few impostor pairs to measure any rate.
    pub fn faces_supported(&self, fpir: f64) -> Result<FacesSupported, ModelError> {
        let largest = |lowest_fmr: f64, holds: &dyn Fn(Basis) -> bool| {
            let about = faces_for_rates(fpir, lowest_fmr);
            // Rounding may put the quotient one off; what a search would come to settles it.
            let near = (0..=2).map(|less| about.saturating_add(1).saturating_sub(less));
            near.filter(|faces| *faces > 0)
                .find(|faces| {
                    let point = self.threshold(fmr_for_fpir(fpir, *faces));
                    point.is_ok_and(|point| holds(point.basis))
                })
                .unwrap_or(0)
        };
        Ok(FacesSupported {
            measured: largest(self.lowest_measured_fmr()?, &|basis| {
                basis == Basis::Measured
            }),
            extrapolated: largest(self.lowest_fmr()?, &|_| true),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn shipped() -> Table {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("calibration");
        Table::load(&folder.join("dlib-resnet29.toml")).unwrap()
    }

    #[test]
    fn rates_by_hand() {
        assert!((fmr_for_fpir(0.01, 1) - 0.01).abs() < 1e-12);
        // 1 - (1 - 1e-6)^500000 is about 39 %.
        assert!((fmr_for_fpir(0.393_469, 500_000) - 1e-6).abs() < 1e-9);
        assert!((fpir_of_fmr(1e-6, 500_000) - 0.393_469).abs() < 1e-6);
        assert_eq!((fpir_of_fmr(0.5, 0), fpir_of_fmr(0.0, 9)), (0.0, 0.0));
        // (1 - 0.1)^2 = 0.81, (1 - 0.1)^3 = 0.729.
        assert_eq!(faces_for_rates(0.2, 0.1), 2);
    }

    #[test]
    fn a_rate_below_that_of_one_comparison_supports_no_face() {
        let table = shipped();
        let none = table.faces_supported(table.lowest_fmr().unwrap() / 2.0);
        let wanted = FacesSupported {
            measured: 0,
            extrapolated: 0,
        };
        assert_eq!(none.unwrap(), wanted);
    }

    proptest! {
        #[test]
        fn rates_turn_back_into_themselves(fpir in 1e-6_f64..0.9, faces in 1_u64..10_000_000) {
            let fmr = fmr_for_fpir(fpir, faces);
            prop_assert!(fmr > 0.0 && fmr <= fpir * (1.0 + 1e-9));
            let back = fpir_of_fmr(fmr, faces);
            prop_assert!((back / fpir - 1.0).abs() < 1e-6, "{back} {fpir}");
            let count = faces_for_rates(fpir, fmr);
            prop_assert!(count == faces || count + 1 == faces, "{count} {faces}");
        }

        /// The last face that is supported has its basis, and one more has not.
        #[test]
        fn what_is_supported_ends_where_it_says(fpir in 1e-5_f64..0.5) {
            let table = shipped();
            let basis = |faces: u64| table.threshold(fmr_for_fpir(fpir, faces)).map(|point| point.basis);
            let supported = table.faces_supported(fpir).unwrap();
            prop_assert!(supported.measured <= supported.extrapolated);
            if supported.measured > 0 {
                prop_assert_eq!(basis(supported.measured).unwrap(), Basis::Measured);
            }
            prop_assert!(!matches!(basis(supported.measured + 1), Ok(Basis::Measured)));
            if supported.extrapolated > 0 {
                prop_assert!(basis(supported.extrapolated).is_ok());
            }
            prop_assert!(basis(supported.extrapolated + 1).is_err());
        }
    }
}
