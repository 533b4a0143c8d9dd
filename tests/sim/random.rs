//! Where everything that happens in a run comes from: a seed. Does not know what is drawn.

/// Splitmix64: small, well known, and the same everywhere.
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// One for each purpose, which draws nothing from another's.
    pub(crate) fn for_purpose(seed: u64, purpose: u64) -> Random {
        let mut first = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ purpose);
        Random(first.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Uniform in `from..=to`.
    pub(crate) fn within(&mut self, from: i64, to: i64) -> i64 {
        from + self.below((to - from + 1).unsigned_abs()).cast_signed()
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).expect("an index")]
    }
}
