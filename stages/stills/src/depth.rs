//! 16-bit samples to 8 bits, by the depth they truly have.
//!
//! Near-infrared cameras put 10 to 14 bits into 16-bit files. A PNG may say so (`sBIT`); by the standard its samples
//! are then scaled to the full range, but many writers leave them as they are. Both are told apart by their values.
//! Undeclared samples in the lowest quarter of the range are refused: taken as 16 bits they would be nearly black.

use crate::refuse;
use shiren_contract::codes;
use shiren_contract::still::StillError;

/// Samples up to here, undeclared, are taken to have fewer than 16 bits: 14 bits are the most that cameras give.
const SUSPICIOUS_MAX: u16 = (1 << 14) - 1;

/// Declared depths, bits, 1..=16. `None`: not declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Depths {
    /// Of the colour samples, or of grey.
    pub colour: Option<u8>,
    /// Of alpha.
    pub alpha: Option<u8>,
}

/// Turns native-endian 16-bit samples into 8-bit ones. `channels` is 1..=4; with 2 and 4 the last one is alpha.
pub(crate) fn to_8_bits(
    data: &[u8],
    channels: usize,
    depths: Depths,
) -> Result<Vec<u8>, StillError> {
    let samples = data.as_chunks::<2>().0;
    let has_alpha = channels.is_multiple_of(2);
    let is_alpha = |n: usize| has_alpha && n % channels == channels - 1;
    let of = |alpha: bool| {
        let chosen = samples
            .iter()
            .enumerate()
            .filter(move |(n, _)| is_alpha(*n) == alpha);
        chosen.map(|(_, raw)| u16::from_ne_bytes(*raw))
    };
    let colour_top = top(of(false), depths.colour);
    if depths.colour.is_none() && of(false).all(|sample| sample <= SUSPICIOUS_MAX) {
        let most = of(false).max().unwrap_or(0);
        let detail = format!("16-bit samples, no sBIT, largest value {most} of 65535");
        return Err(refuse(codes::BIT_DEPTH_UNKNOWN, detail));
    }
    let alpha_top = top(of(true), depths.alpha);
    let scale = |(n, raw): (usize, &[u8; 2])| {
        let top = if is_alpha(n) { alpha_top } else { colour_top };
        ((u32::from(u16::from_ne_bytes(*raw)) * 255 + top / 2) / top) as u8
    };
    Ok(samples.iter().enumerate().map(scale).collect())
}

/// The sample value that stands for full brightness.
fn top(mut samples: impl Iterator<Item = u16> + Clone, depth: Option<u8>) -> u32 {
    const FULL: u32 = 65_535;
    let Some(bits @ 1..=15) = depth else {
        return FULL;
    };
    let low_top = (1u32 << bits) - 1;
    let fits = samples.clone().all(|sample| u32::from(sample) <= low_top);
    if fits && !samples.all(|sample| is_scaled(sample, bits)) {
        low_top
    } else {
        FULL
    }
}

/// Whether a sample is what scaling a sample of `bits` to 16 gives: by shift, by repetition or by proportion.
fn is_scaled(sample: u16, bits: u8) -> bool {
    let (value, low_top) = (u32::from(sample) >> (16 - bits), (1u32 << bits) - 1);
    let shifted = value << (16 - bits);
    let mut repeated = shifted;
    let mut filled = u32::from(bits);
    while filled < 16 {
        repeated |= shifted >> filled;
        filled += u32::from(bits);
    }
    let proportional = (value * 65_535 + low_top / 2) / low_top;
    [shifted, repeated, proportional].contains(&u32::from(sample))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(
        samples: &[u16],
        channels: usize,
        colour: Option<u8>,
        alpha: Option<u8>,
    ) -> Result<Vec<u8>, codes::Code> {
        let data: Vec<u8> = samples.iter().flat_map(|s| s.to_ne_bytes()).collect();
        to_8_bits(&data, channels, Depths { colour, alpha }).map_err(|e| e.code)
    }

    #[test]
    fn full_range_is_scaled_and_not_clipped() {
        assert_eq!(
            convert(&[0, 257, 32_896, 65_278, 65_535], 1, None, None),
            Ok(vec![0, 1, 128, 254, 255])
        );
        assert_eq!(convert(&[0, 65_535], 1, Some(16), None), Ok(vec![0, 255]));
    }

    #[test]
    fn declared_low_samples_are_scaled_up() {
        assert_eq!(
            convert(&[0, 1, 2047, 4095], 1, Some(12), None),
            Ok(vec![0, 0, 127, 255])
        );
        assert_eq!(
            convert(&[3, 511, 1023], 1, Some(10), None),
            Ok(vec![1, 127, 255])
        );
    }

    #[test]
    fn declared_samples_scaled_by_the_standard_stay_as_they_are() {
        for to_16 in [
            |v: u32| v << 4,
            |v: u32| v << 4 | v >> 8,
            |v: u32| (v * 65_535 + 2047) / 4095,
        ] {
            let samples: Vec<u16> = (0..4096).map(|v| to_16(v) as u16).collect();
            let bytes = convert(&samples, 1, Some(12), None).unwrap();
            assert_eq!((bytes[0], bytes[2048], bytes[4095]), (0, 128, 255));
            let dark = convert(&samples[..200], 1, Some(12), None).unwrap();
            assert!(
                dark.iter().max() <= Some(&12),
                "a dark picture was brightened"
            );
        }
    }

    #[test]
    fn undeclared_and_nearly_empty_is_refused() {
        for most in [255, 1023, 4095, 16_383] {
            assert_eq!(
                convert(&[0, most], 1, None, None),
                Err(codes::BIT_DEPTH_UNKNOWN)
            );
            assert_eq!(
                convert(&[0, most, 1], 3, None, None),
                Err(codes::BIT_DEPTH_UNKNOWN)
            );
            assert_eq!(
                convert(&[most, 65_535], 2, None, None),
                Err(codes::BIT_DEPTH_UNKNOWN),
                "alpha does not count"
            );
        }
        assert!(convert(&[0, 16_384], 1, None, None).is_ok());
    }

    #[test]
    fn alpha_has_its_own_depth() {
        assert_eq!(
            convert(&[4095, 4095, 5, 2047], 2, Some(12), Some(12)),
            Ok(vec![255, 255, 0, 127])
        );
        assert_eq!(
            convert(&[4095, 65_535, 5, 0], 2, Some(12), Some(12)),
            Ok(vec![255, 255, 0, 0])
        );
    }
}
