//! An index of a cluster's objects of one kind by their names, for a kind that others refer to by name.

use std::collections::BTreeMap;

use super::meta::Meta;

/// By namespace and name the UID.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Named(BTreeMap<String, BTreeMap<String, String>>);

impl Named {
    pub(super) fn of<'a>(all: impl Iterator<Item = &'a Meta>) -> Self {
        let mut named = Self::default();
        all.for_each(|meta| named.add(meta));
        named
    }

    /// An object is there; it takes the name from one that had it before.
    pub(super) fn add(&mut self, meta: &Meta) {
        let names = self.0.entry(meta.namespace.clone()).or_default();
        names.insert(meta.name.clone(), meta.uid.clone());
    }

    /// An object is gone; another one may have its name already.
    pub(super) fn remove(&mut self, meta: &Meta) {
        let Some(names) = self.0.get_mut(&meta.namespace) else { return };
        if names.get(&meta.name) == Some(&meta.uid) {
            names.remove(&meta.name);
        }
        if names.is_empty() {
            self.0.remove(&meta.namespace);
        }
    }

    /// How many names there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    pub(super) fn uid(&self, namespace: &str, name: &str) -> Option<&str> {
        self.0.get(namespace)?.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(name: &str, uid: &str) -> Meta {
        Meta { uid: uid.into(), namespace: "shop".into(), name: name.into(), ..Meta::default() }
    }

    #[test]
    fn a_name_leads_to_the_newest_object_that_has_it() {
        let mut named = Named::of([&meta("data", "1"), &meta("logs", "2")].into_iter());
        assert_eq!([named.uid("shop", "data"), named.uid("other", "data")], [Some("1"), None]);
        named.add(&meta("data", "3"));
        named.remove(&meta("data", "1"));
        assert_eq!(named.uid("shop", "data"), Some("3"));
        named.remove(&meta("data", "3"));
        named.remove(&meta("logs", "2"));
        assert_eq!(named, Named::default());
    }
}
