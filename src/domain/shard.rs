//! `shard_of` assigns each mailbox to a shard by a fixed hash of its id over fixed bytes.
//!
//! The result is the same on every machine and in every release. The shard is stored in the mailbox's row and
//! leased by its number, so it must not change.

use super::id::{MailboxId, ShardId};

/// Returns the shard of `mailbox` among `shards` (1 to 4,096).
///
/// SplitMix64's finaliser (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014) spreads the
/// consecutive ids of an import evenly; the multiplication maps it to the range without the bias of a modulo.
pub fn shard_of(mailbox: MailboxId, shards: u16) -> ShardId {
    let mut x = mailbox.0.cast_unsigned();
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 31;
    // The high half of the product is below `shards`.
    let (_, shard) = x.carrying_mul(u64::from(shards), 0);
    ShardId(i32::try_from(shard).unwrap_or(i32::from(shards)))
}

/// Returns all shards of a fleet.
pub fn all_shards(shards: u16) -> Vec<ShardId> {
    (0..i32::from(shards)).map(ShardId).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_ids_spread_evenly() {
        let mut counts = vec![0u32; 256];
        for id in 1..=100_000 {
            counts[shard_of(MailboxId(id), 256).0 as usize] += 1;
        }
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(*least > 300 && *most < 480, "{least}..{most} of 390");
    }

    #[test]
    fn a_shard_never_changes_between_releases() {
        let known: Vec<i32> = (1..=6).map(|id| shard_of(MailboxId(id), 256).0).collect();
        assert_eq!(known, GOLDEN);
    }

    #[test]
    fn every_mailbox_has_a_shard_for_every_number_of_shards() {
        for power in 0..=12 {
            for shards in [(1u16 << power) - 1, 1 << power, (1 << power) + 1].into_iter().filter(|shards| *shards > 0) {
                for id in (0..=20).flat_map(|power| [(1i64 << power) - 1, 1 << power, -(1 << power)]).chain([i64::MAX])
                {
                    let ShardId(shard) = shard_of(MailboxId(id), shards);
                    assert!((0..i32::from(shards)).contains(&shard), "{id} of {shards}: {shard}");
                }
            }
        }
    }

    const GOLDEN: [i32; 6] = [86, 219, 30, 183, 182, 209];
}
