//! The beginning of a list that somebody else wrote: so many entries are kept, those beyond are counted and cost nothing.
//!
//! A list of empty entries is short as text and large in memory, so its bound has to hold while it is read.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};

/// The first `MOST` entries of a list, and how many more there were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<T, const MOST: usize> {
    /// The entries that are kept.
    pub entries: Vec<T>,
    /// How many were left out.
    pub left_out: usize,
}

impl<T, const MOST: usize> Default for Kept<T, MOST> {
    fn default() -> Self {
        Self { entries: Vec::new(), left_out: 0 }
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Kept<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_option(Reader(PhantomData))
    }
}

struct Reader<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Reader<T, MOST> {
    type Value = Kept<T, MOST>;

    fn expecting(&self, words: &mut fmt::Formatter<'_>) -> fmt::Result {
        words.write_str("a list, or null for none")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Kept::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut kept = Kept::default();
        while kept.entries.len() < MOST {
            let Some(entry) = list.next_element()? else { return Ok(kept) };
            kept.entries.push(entry);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            kept.left_out += 1;
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_kept_to_its_bound_and_the_rest_is_counted() {
        let read = |text: &str| serde_json::from_str::<Kept<u8, 3>>(text);
        assert_eq!(read("[]").unwrap(), Kept::default());
        assert_eq!(read("null").unwrap(), Kept::default(), "an empty list as Go writes one");
        assert_eq!(read("[1,2,3]").unwrap(), Kept { entries: vec![1, 2, 3], left_out: 0 });
        // What is left out is not looked at: it is not even of the kind.
        assert_eq!(read(r#"[1,2,3,{"a":[4]},null]"#).unwrap(), Kept { entries: vec![1, 2, 3], left_out: 2 });
        read(r#"[1,"2",3]"#).unwrap_err();
        read("{}").unwrap_err();
    }
}
