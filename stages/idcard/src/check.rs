//! The check character: ISO/IEC 7064, MOD 11-2, as GB 11643-1999 uses it.

/// Digits in front of the check character.
pub(crate) const BODY_DIGITS: usize = 17;

/// The check character of the 17 ASCII digits in front of it: `0` to `9`, or `X` for ten. `None` when
/// one of them is no digit.
///
/// MOD 11-2 finds every wrong character and every two neighbours that changed places.
#[must_use]
pub fn check_digit(body: &[u8; BODY_DIGITS]) -> Option<u8> {
    // Horner's rule: (((0 + d1) * 2 + d2) * 2 + ...) * 2 is the sum of d_i * 2^(18-i).
    let mut sum = 0_u8;
    for digit in body {
        if !digit.is_ascii_digit() {
            return None;
        }
        sum = (sum + (digit - b'0')) * 2 % 11;
    }
    // The whole number must be 1 modulo 11.
    match (12 - sum) % 11 {
        10 => Some(b'X'),
        value => Some(b'0' + value),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By the standard's own table of weights, not by Horner's rule.
    fn by_table(body: &[u8; BODY_DIGITS]) -> u8 {
        const WEIGHTS: [u32; BODY_DIGITS] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
        const CHARACTERS: &[u8; 11] = b"10X98765432";
        let terms = body.iter().zip(WEIGHTS);
        let sum: u32 = terms.map(|(d, weight)| u32::from(d - b'0') * weight).sum();
        CHARACTERS[sum as usize % 11]
    }

    fn body() -> impl Strategy<Value = [u8; BODY_DIGITS]> {
        proptest::array::uniform17(b'0'..=b'9')
    }

    fn is_right(whole: &[u8; BODY_DIGITS + 1]) -> bool {
        let (body, check) = whole.split_at(BODY_DIGITS);
        check_digit(body.try_into().unwrap()) == Some(check[0])
    }

    fn whole(body: [u8; BODY_DIGITS]) -> [u8; BODY_DIGITS + 1] {
        let mut whole = [0; BODY_DIGITS + 1];
        whole[..BODY_DIGITS].copy_from_slice(&body);
        whole[BODY_DIGITS] = check_digit(&body).unwrap();
        whole
    }

    /// The two examples of the standard's appendix.
    #[test]
    fn the_standards_examples_hold() {
        assert_eq!(check_digit(b"11010519491231002"), Some(b'X'));
        assert_eq!(check_digit(b"44052418800101001"), Some(b'4'));
    }

    #[test]
    fn what_is_no_digit_has_no_check_character() {
        assert_eq!(check_digit(b"1101051949123100X"), None);
        assert_eq!(check_digit(&[0xff; BODY_DIGITS]), None);
    }

    proptest! {
        #[test]
        fn horners_rule_is_the_table(body in body()) {
            prop_assert_eq!(check_digit(&body), Some(by_table(&body)));
        }

        /// Every position, every other character: all single errors of a number, not a sample.
        #[test]
        fn every_wrong_character_is_found(body in body()) {
            let whole = whole(body);
            for position in 0..=BODY_DIGITS {
                for other in (b'0'..=b'9').chain([b'X']).filter(|c| *c != whole[position]) {
                    let mut wrong = whole;
                    wrong[position] = other;
                    prop_assert!(!is_right(&wrong), "position {position}, {}", char::from(other));
                }
            }
        }

        #[test]
        fn every_swap_of_neighbours_is_found(body in body()) {
            let whole = whole(body);
            for left in 0..BODY_DIGITS {
                let mut wrong = whole;
                wrong.swap(left, left + 1);
                prop_assert!(wrong == whole || !is_right(&wrong), "position {left}");
            }
        }

        #[test]
        fn any_bytes_are_judged(body: [u8; BODY_DIGITS]) {
            let all_digits = body.iter().all(u8::is_ascii_digit);
            prop_assert_eq!(check_digit(&body).is_some(), all_digits);
        }
    }
}
