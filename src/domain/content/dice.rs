//! `Stream` derives many choices from one random number. A draft stores the 64 bits that chose it, so the
//! words are reproducible.

use crate::domain::uniform::place_below;

/// A stream of numbers from one seed, for variety and not for secrets: SplitMix64 (Steele, Lea and Flood,
/// OOPSLA 2014).
pub(super) struct Stream(u64);

impl Stream {
    /// Creates the stream of one part of a mail; the parts have independent choices.
    pub(super) fn of(dice: u64, part: &str) -> Stream {
        Stream(part.bytes().fold(dice, |seed, byte| seed.rotate_left(8) ^ u64::from(byte)))
    }

    /// Returns an evenly distributed number below `count`; 0 if `count` is 0.
    pub(super) fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        place_below(mixed ^ (mixed >> 31), count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_comes_about_as_often() {
        let mut seen = [0; 7];
        (0..7_000).for_each(|seed| seen[Stream::of(seed, "body").below(7)] += 1);
        assert!(seen.iter().all(|times| (850..1_150).contains(times)), "{seen:?}");
    }

    #[test]
    fn a_roll_gives_the_same_words_again_and_each_part_its_own() {
        let first = |dice, part| Stream::of(dice, part).below(1 << 30);
        assert_eq!(first(7, "body"), first(7, "body"));
        assert_ne!(first(7, "body"), first(7, "subject"));
        assert_eq!(Stream::of(7, "body").below(0), 0);
    }
}
