//! Limits that need no pixels.

use crate::refuse;
use shiren_contract::codes;
use shiren_contract::still::{StillError, StillLimits};

/// Refuses no bytes, and more bytes than allowed.
pub(crate) fn check_bytes(bytes: &[u8], limits: &StillLimits) -> Result<(), StillError> {
    if bytes.is_empty() {
        return Err(refuse(codes::PICTURE_EMPTY, "0 bytes"));
    }
    if bytes.len() > limits.max_bytes {
        let detail = format!("{} bytes; the limit is {}", bytes.len(), limits.max_bytes);
        return Err(refuse(codes::PICTURE_TOO_LARGE, detail));
    }
    Ok(())
}

/// Refuses a declared size outside the limits.
pub(crate) fn check_size(width: u32, height: u32, limits: &StillLimits) -> Result<(), StillError> {
    if width == 0 || height == 0 {
        return Err(crate::corrupt(format!(
            "the header declares {width}x{height} pixels"
        )));
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.max_pixels || width.max(height) > limits.max_side_px {
        let detail = format!(
            "the header declares {width}x{height} pixels; the limits are {} pixels and {} a side",
            limits.max_pixels, limits.max_side_px
        );
        return Err(refuse(codes::PIXELS_OVER_LIMIT, detail));
    }
    if width.min(height) < limits.min_side_px {
        let detail = format!(
            "{width}x{height} pixels; the shorter side must have {}",
            limits.min_side_px
        );
        return Err(refuse(codes::PICTURE_TOO_SMALL, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: StillLimits = StillLimits {
        max_bytes: 10,
        max_pixels: 5000,
        max_side_px: 100,
        min_side_px: 20,
        decode_max_ms: 1,
    };

    #[test]
    fn each_limit_holds_at_its_edge() {
        let code = |width, height| check_size(width, height, &LIMITS).map_err(|e| e.code);
        assert_eq!(code(100, 50), Ok(()));
        assert_eq!(code(101, 20), Err(codes::PIXELS_OVER_LIMIT));
        assert_eq!(code(100, 51), Err(codes::PIXELS_OVER_LIMIT));
        assert_eq!(code(20, 20), Ok(()));
        assert_eq!(code(19, 20), Err(codes::PICTURE_TOO_SMALL));
        assert_eq!(code(u32::MAX, u32::MAX), Err(codes::PIXELS_OVER_LIMIT));
        assert_eq!(code(0, 50), Err(codes::IMAGE_CORRUPT));
        assert!(check_bytes(&[0; 10], &LIMITS).is_ok());
        assert_eq!(
            check_bytes(&[0; 11], &LIMITS).map_err(|e| e.code),
            Err(codes::PICTURE_TOO_LARGE)
        );
        assert_eq!(
            check_bytes(&[], &LIMITS).map_err(|e| e.code),
            Err(codes::PICTURE_EMPTY)
        );
    }
}
