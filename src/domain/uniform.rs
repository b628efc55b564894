//! `place_below` maps a uniform 64-bit number to a place in a list, evenly and without the bias of a modulo.

/// Returns `number x count / 2^64`, which is below `count`; 0 if `count` is 0.
pub fn place_below(number: u64, count: usize) -> usize {
    let (_, place) = number.carrying_mul(count as u64, 0);
    // The high half of the product is below `count`, so it fits into `usize`.
    usize::try_from(place).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_below_the_count() {
        for count in [1, 2, 3, 65_535, 65_536, 65_537, 1 << 20] {
            assert_eq!((place_below(0, count), place_below(u64::MAX, count)), (0, count - 1));
            assert_eq!(place_below(1 << 63, count), count / 2);
        }
        assert_eq!(place_below(u64::MAX, 0), 0);
    }
}
