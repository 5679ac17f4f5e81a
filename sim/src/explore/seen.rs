//! Keys that were seen, each with the number of its turn.

/// A table of 128-bit keys that are spread evenly already, numbered as they came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    keys: Vec<u128>,
    /// Numbers of keys plus one, by the low bits of the key; zero is free.
    slots: Vec<u32>,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self {
            keys: Vec::new(),
            slots: vec![0; 1 << 10],
        }
    }

    /// The number of `key`, and whether it is new.
    #[inline]
    pub(super) fn number(&mut self, key: u128) -> (u32, bool) {
        if self.keys.len() * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let place = self.place(key);
        match self.slots[place] {
            0 => {
                let number = u32::try_from(self.keys.len()).expect("fewer than 2^32 keys");
                self.keys.push(key);
                self.slots[place] = number + 1;
                (number, true)
            }
            taken => (taken - 1, false),
        }
    }

    pub(super) fn key(&self, number: u32) -> u128 {
        self.keys[number as usize]
    }

    pub(super) const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Where `key` is or would be.
    #[inline]
    fn place(&self, key: u128) -> usize {
        let mask = self.slots.len() - 1;
        let mut place = key as usize & mask;
        loop {
            match self.slots[place] {
                0 => return place,
                taken if self.keys[taken as usize - 1] == key => return place,
                _ => place = (place + 1) & mask,
            }
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        for number in 0..self.keys.len() {
            let place = self.place(self.keys[number]);
            self.slots[place] = number as u32 + 1;
        }
    }
}

/// Values that are told apart by their keys, each kept once.
#[derive(Clone, Debug)]
pub(super) struct Arena<T> {
    seen: Seen,
    values: Vec<T>,
}

impl<T> Arena<T> {
    pub(super) fn new() -> Self {
        Self {
            seen: Seen::new(),
            values: Vec::new(),
        }
    }

    /// The number of the value behind `key`, which `make` makes if it is new.
    #[inline]
    pub(super) fn keep(&mut self, key: u128, make: impl FnOnce() -> T) -> u32 {
        let (number, is_new) = self.seen.number(key);
        if is_new {
            self.values.push(make());
        }
        number
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> &T {
        &self.values[number as usize]
    }

    #[inline]
    pub(super) fn key(&self, number: u32) -> u128 {
        self.seen.key(number)
    }

    pub(super) const fn len(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::mix;

    #[test]
    fn keys_are_numbered_once_and_found_again() {
        let key = |number: u64| u128::from(mix(number)) << 64 | u128::from(mix(number) % 512);
        let mut seen = Seen::new();
        for number in 0..5_000 {
            assert_eq!(seen.number(key(number)), (number as u32, true));
        }
        for number in 0..5_000 {
            assert_eq!(seen.number(key(number)), (number as u32, false));
            assert_eq!(seen.key(number as u32), key(number));
        }
    }
}
