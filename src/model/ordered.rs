//! Puts values in order, by code that few types have a copy of.
//!
//! The standard library's sort is compiled for each type of what it sorts and each order, 3 to 5 KB every time, and to
//! collect into a `BTreeMap` or a `BTreeSet` sorts.

use std::cmp::Reverse;

/// Collects without a sort.
pub trait CollectOrdered: Iterator + Sized {
    /// The items as a `BTreeMap` or a `BTreeSet`, inserted one by one: of those that are equal a map keeps the last value.
    fn collect_ordered<C: Default + Extend<Self::Item>>(self) -> C {
        let mut collected = C::default();
        collected.extend(self);
        collected
    }
}

impl<I: Iterator> CollectOrdered for I {}

/// Sorts by size; items of the same size keep their order.
pub fn largest_first<T>(items: &mut [T], size: impl Fn(&T) -> u64) {
    items.sort_by_cached_key(|item| Reverse(size(item)));
}
