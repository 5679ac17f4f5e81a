//! Values behind small handles; a freed place is the next to be used again.
//!
//! Handles never influence order or digest, so their reuse cannot be observed in a run.

/// A growable array with holes.
#[derive(Clone, Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Stores `value` and returns its handle.
    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(handle) = self.free.pop() {
            self.places[handle as usize] = Some(value);
            handle
        } else {
            self.grow(value)
        }
    }

    #[cold]
    fn grow(&mut self, value: T) -> u32 {
        let handle = u32::try_from(self.places.len()).expect("fewer than 2^32 values are stored");
        self.places.push(Some(value));
        handle
    }

    /// Takes the value of `handle` out.
    #[inline]
    pub(crate) fn take(&mut self, handle: u32) -> T {
        let value = self.places[handle as usize].take();
        self.free.push(handle);
        value.expect("a handle is taken once")
    }

    /// The value of `handle`.
    #[inline]
    pub(crate) fn get_mut(&mut self, handle: u32) -> &mut T {
        self.places[handle as usize]
            .as_mut()
            .expect("a handle is used until it is taken")
    }

    /// How many values are stored.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// How many values were stored at most at one time.
    pub(crate) fn high_water(&self) -> usize {
        self.places.len()
    }
}
