//! `ShardSet` stores a set of shards as bits, so that the shards of a worker fit into its status: 4,096
//! shards are 512 bytes.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
};

use super::id::ShardId;

/// A set of shards. Shard n is bit n mod 8, the lowest first, of byte n / 8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardSet {
    bits: Vec<u8>,
}

impl ShardSet {
    /// Adds a shard. Ignores a negative number, which is no shard.
    pub fn insert(&mut self, shard: ShardId) {
        let Ok(place) = usize::try_from(shard.0) else { return };
        if self.bits.len() <= place / 8 {
            self.bits.resize(place / 8 + 1, 0);
        }
        self.bits[place / 8] |= 1 << (place % 8);
    }

    /// Returns true if the set has the shard.
    pub fn contains(&self, shard: ShardId) -> bool {
        let place = usize::try_from(shard.0).ok();
        place.is_some_and(|place| self.bits.get(place / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1))
    }

    /// Returns the shards in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = ShardId> {
        let set = |byte: u8| (0..8).filter(move |bit| byte >> bit & 1 == 1);
        self.bits.iter().zip(0i32..).flat_map(move |(byte, n)| set(*byte).map(move |bit| ShardId(n * 8 + bit)))
    }

    /// Returns the number of shards.
    pub fn len(&self) -> usize {
        self.bits.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// Returns true if the set is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FromIterator<ShardId> for ShardSet {
    fn from_iter<I: IntoIterator<Item = ShardId>>(shards: I) -> ShardSet {
        let mut set = ShardSet::default();
        shards.into_iter().for_each(|shard| set.insert(shard));
        set
    }
}

impl Serialize for ShardSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.bits)
    }
}

impl<'de> Deserialize<'de> for ShardSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ShardSet, D::Error> {
        deserializer.deserialize_byte_buf(Bits)
    }
}

struct Bits;

impl<'de> Visitor<'de> for Bits {
    type Value = ShardSet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a set of shards as bytes")
    }

    fn visit_bytes<E>(self, bits: &[u8]) -> Result<ShardSet, E> {
        Ok(ShardSet { bits: bits.to_vec() })
    }

    fn visit_byte_buf<E>(self, bits: Vec<u8>) -> Result<ShardSet, E> {
        Ok(ShardSet { bits })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ShardSet, A::Error> {
        let mut bits = Vec::new();
        while let Some(byte) = list.next_element()? {
            bits.push(byte);
        }
        Ok(ShardSet { bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(shards: &[i32]) -> ShardSet {
        shards.iter().map(|shard| ShardId(*shard)).collect()
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let held = set(&[9, 0, 4_095, 9, -1]);
        assert_eq!(held.iter().collect::<Vec<_>>(), [ShardId(0), ShardId(9), ShardId(4_095)]);
        assert_eq!((held.len(), held.is_empty(), set(&[]).is_empty()), (3, false, true));
        assert!(held.contains(ShardId(9)) && !held.contains(ShardId(8)) && !held.contains(ShardId(9_000)));
        assert!(!held.contains(ShardId(-1)));
    }

    #[test]
    fn four_thousand_shards_travel_as_five_hundred_bytes() {
        let all: ShardSet = (0..4_096).map(ShardId).collect();
        let packed = rmp_serde::to_vec(&all).unwrap();
        assert!(packed.len() < 520, "{}", packed.len());
        assert_eq!(rmp_serde::from_slice::<ShardSet>(&packed).unwrap(), all);
        let list = serde_json::to_string(&set(&[1, 8])).unwrap();
        assert_eq!(serde_json::from_str::<ShardSet>(&list).unwrap(), set(&[1, 8]));
    }
}
