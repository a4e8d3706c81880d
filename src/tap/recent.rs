//! How often each span id arrived, in bounded memory.
//!
//! Two generations of ids: when the young one is full it becomes the old one, and the old one is forgotten. A copy is
//! therefore recognised for certain while fewer than [`GENERATION`] other spans lie between it and the first arrival.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

/// Ids in one generation; just below what a table of 2^20 buckets holds, about 16 MB.
pub(super) const GENERATION: usize = 900_000;

/// Arrivals by span id.
#[derive(Debug, Default)]
pub(super) struct Recent {
    young: HashMap<u64, u32, Seeded>,
    old: HashMap<u64, u32, Seeded>,
}

impl Recent {
    /// Counts one more arrival and returns how many there have been.
    pub(super) fn count(&mut self, span_id: [u8; 8]) -> u32 {
        let id = u64::from_ne_bytes(span_id);
        if let Some(arrivals) = self.young.get_mut(&id).or_else(|| self.old.get_mut(&id)) {
            *arrivals = arrivals.saturating_add(1);
            return *arrivals;
        }
        if self.young.len() >= GENERATION {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(id, 1);
        1
    }
}

/// Span ids are random already; a secret factor is enough against ids that were chosen to collide.
#[derive(Debug, Clone)]
struct Seeded(u64);

impl Default for Seeded {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0_u8) | 1)
    }
}

impl BuildHasher for Seeded {
    type Hasher = Folded;
    fn build_hasher(&self) -> Folded {
        Folded { factor: self.0, hash: 0 }
    }
}

#[derive(Debug)]
struct Folded {
    factor: u64,
    hash: u64,
}

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.hash ^ value ^ self.factor.rotate_left(32)) * u128::from(self.factor);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the product are folded on purpose")]
        let (low, high) = (product as u64, (product >> 64) as u64);
        self.hash = low ^ high;
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_recognised_over_a_whole_generation_of_others() {
        let mut recent = Recent::default();
        assert_eq!(recent.count([7; 8]), 1);
        for id in 0..GENERATION as u64 - 1 {
            assert_eq!(recent.count(id.to_ne_bytes()), 1);
        }
        assert_eq!(recent.count([7; 8]), 2);
        assert!(recent.young.len() + recent.old.len() <= 2 * GENERATION);
    }
}
