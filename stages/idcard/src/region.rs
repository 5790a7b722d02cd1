//! The region code, of which only the form is checked.

/// The first two digits of the province-level codes of GB/T 2260, and 83: residence permits of people
/// from Taiwan carry numbers of this form that begin with it (810000, 820000, 830000).
///
/// Codes of counties are not checked: they are abolished and changed while numbers stay, and old ones
/// went on being issued, so a table would refuse true numbers.
const PROVINCES: &[u8] = &[
    11, 12, 13, 14, 15, // Beijing, Tianjin, Hebei, Shanxi, Inner Mongolia
    21, 22, 23, // Liaoning, Jilin, Heilongjiang
    31, 32, 33, 34, 35, 36,
    37, // Shanghai, Jiangsu, Zhejiang, Anhui, Fujian, Jiangxi, Shandong
    41, 42, 43, 44, 45, 46, // Henan, Hubei, Hunan, Guangdong, Guangxi, Hainan
    50, 51, 52, 53, 54, // Chongqing, Sichuan, Guizhou, Yunnan, Tibet
    61, 62, 63, 64, 65, // Shaanxi, Gansu, Qinghai, Ningxia, Xinjiang
    71, 81, 82, 83, // Taiwan, Hong Kong, Macao, residence permits
];

/// Whether a region may begin so: tens and ones of its first two digits.
pub(crate) fn is_province(two_digits: u8) -> bool {
    PROVINCES.contains(&two_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provinces_are_in_order_and_counted() {
        assert!(PROVINCES.is_sorted_by(|a, b| a < b));
        // 34 of GB/T 2260 and the one of the permits.
        assert_eq!(PROVINCES.len(), 35);
    }

    #[test]
    fn what_is_between_them_is_none() {
        for none in [
            0, 10, 16, 20, 24, 30, 38, 47, 55, 60, 66, 70, 72, 80, 84, 91, 99,
        ] {
            assert!(!is_province(none), "{none}");
        }
    }
}
