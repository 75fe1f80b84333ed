//! Hashes of every ending of a reply in one pass. Equal hashes are a guess, never a proof.

/// A polynomial hash modulo 2⁶¹ − 1 that grows from the end of a reply towards its beginning, so
/// that one pass yields the hash of every ending.
pub(super) struct Ending {
    pub(super) hash: u64,
    power: u64,
    pub(super) length: usize,
}

impl Ending {
    const MODULUS: u128 = (1 << 61) - 1;
    /// Any number of many bits will do: payloads are the caller's own, not an attacker's.
    const BASE: u128 = 0x0BAD_5EED_CAFE_F00D;

    pub(super) fn extend(&mut self, before: &[u8]) {
        for &byte in before.iter().rev() {
            let term = (u128::from(byte) + 1) * u128::from(self.power);
            self.hash = Self::reduce(u128::from(self.hash) + term);
            self.power = Self::reduce(u128::from(self.power) * Self::BASE);
        }
        self.length += before.len();
    }

    /// `value`, below 2¹²², modulo 2⁶¹ − 1: as 2⁶¹ is 1 there, no slow division is needed.
    fn reduce(value: u128) -> u64 {
        let folded = (value & Self::MODULUS) + (value >> 61);
        let rest = if folded >= Self::MODULUS { folded - Self::MODULUS } else { folded };
        u64::try_from(rest).expect("a sum of two numbers of 61 bits has 62")
    }
}

impl Default for Ending {
    fn default() -> Self {
        Self { hash: 0, power: 1, length: 0 }
    }
}

pub(super) fn hash(payload: &[u8]) -> u64 {
    let mut ending = Ending::default();
    ending.extend(payload);
    ending.hash
}
