//! A list that is nearly always empty, held by something of which there are many. Owns its own room; never a meaning.
//!
//! Empty, it is one pointer and nothing on the heap; it gives its room back when its last item goes. As data it is a list like
//! any other.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::{Deref, DerefMut};

/// A list that is nearly always empty.
#[allow(clippy::box_collection, reason = "a list's three words are what an empty one is to do without")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rare<T>(Option<Box<Vec<T>>>);

impl<T> Rare<T> {
    /// Whether it is what it nearly always is.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Puts an item behind the others.
    pub fn push(&mut self, item: T) {
        self.0.get_or_insert_default().push(item);
    }

    /// Puts an item behind the others, of which the oldest make room: there are never more than `max`.
    pub fn push_bounded(&mut self, item: T, max: usize) {
        let list = self.0.get_or_insert_default();
        let surplus = (list.len() + 1).saturating_sub(max);
        list.drain(..surplus.min(list.len()));
        list.push(item);
    }

    /// Takes the item at `place` out.
    pub fn take(&mut self, place: usize) -> Option<T> {
        let list = self.0.as_mut().filter(|list| place < list.len())?;
        let item = list.remove(place);
        self.trim();
        Some(item)
    }

    /// Keeps those for which `keep` says so.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        if let Some(list) = &mut self.0 {
            list.retain(keep);
            self.trim();
        }
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    fn trim(&mut self) {
        match &mut self.0 {
            Some(list) if list.is_empty() => self.0 = None,
            Some(list) => list.shrink_to_fit(),
            None => {}
        }
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Rare(None)
    }
}

impl<T> Deref for Rare<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl<T> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_deref_mut().map_or(&mut [], Vec::as_mut_slice)
    }
}

impl<T> From<Vec<T>> for Rare<T> {
    fn from(list: Vec<T>) -> Self {
        Rare((!list.is_empty()).then(|| Box::new(list)))
    }
}

impl<T: Serialize> Serialize for Rare<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.deref().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Rare<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Rare::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list_as_data_and_one_pointer_while_it_is_empty() {
        assert_eq!(size_of::<Rare<[u64; 9]>>(), size_of::<usize>());
        for list in [vec![], vec![1], vec![3, 1, 2]] {
            let rare = Rare::from(list.clone());
            assert_eq!((&*rare, rare.is_empty()), (&list[..], list.is_empty()));
            let text = serde_json::to_string(&rare).unwrap();
            assert_eq!(text, serde_json::to_string(&list).unwrap());
            assert_eq!(serde_json::from_str::<Rare<i32>>(&text).unwrap(), rare);
        }
    }

    #[test]
    fn the_last_that_goes_takes_the_room_with_it() {
        let mut rare = Rare::default();
        assert_eq!(rare.take(0), None);
        rare.push(1);
        rare.push(2);
        rare.iter_mut().for_each(|item| *item += 1);
        assert_eq!((rare.take(2), rare.take(0)), (None, Some(2)));
        rare.retain(|item| *item != 3);
        assert_eq!((rare == Rare::default(), rare.is_empty()), (true, true));
        rare.push(1);
        rare.clear();
        assert!(rare.is_empty());
    }

    #[test]
    fn a_bounded_one_forgets_the_oldest() {
        let mut rare = Rare::default();
        (0..5).for_each(|item| rare.push_bounded(item, 3));
        assert_eq!(*rare, [2, 3, 4]);
        rare.push_bounded(5, 1);
        assert_eq!(*rare, [5]);
    }
}
