//! What a file has beside content, mode and owner: access control list, extended attributes, capabilities, security label
//! and flags, as far as they are a person's or a tool's choice and not the system's own bookkeeping.

use std::sync::{Arc, LazyLock};

use nimbus_protocol::{sha256, to_hex, v1};

/// Most bytes of extended attributes of one file that are kept: of a file with more, the system's own ones (access
/// control lists, capabilities, labels), and the rest is compared by a digest.
pub const MAX_ATTRIBUTES: usize = 64 << 10;
/// Most bytes of extended attributes of one file that are read to be compared; a file with more is one whose attributes
/// cannot be read.
pub const MAX_COMPARED: u64 = 16 << 20;

/// Flags of an inode that a person sets (`chattr`), with their words. The others say how the file system stores it.
const FLAGS: [(u32, &str); 9] = [
    (IMMUTABLE, "immutable"),
    (APPEND_ONLY, "append-only"),
    (0x0000_0008, "synchronous"),
    (0x0000_0040, "no dump"),
    (0x0000_0080, "no access time"),
    (0x0001_0000, "synchronous directory"),
    (0x0000_0004, "compressed"),
    (0x0080_0000, "no copy on write"),
    (0x2000_0000, "project inherited"),
];
/// Nobody may change, rename or remove it.
pub const IMMUTABLE: u32 = 0x0000_0010;
/// It may only be appended to.
pub const APPEND_ONLY: u32 = 0x0000_0020;

/// The attribute that lends the rights of a capability to whoever runs the file.
pub const CAPABILITY: &str = "security.capability";

/// What a file has beside content, mode and owner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Flags of the inode, of those in [`Attributes::flags_that_count`].
    pub flags: u32,
    /// Extended attributes by name, in order; an access control list is one of them. Names are written as
    /// [`super::name::escape`] writes them.
    pub extended: Vec<(String, Vec<u8>)>,
    /// What stands for all of them where they are more than [`MAX_ATTRIBUTES`]: then only the system's own ones are
    /// above.
    pub all: Option<Sum>,
}

/// What stands for extended attributes that are too many to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// Bytes of their names and values.
    pub bytes: u64,
    /// Over all names and values in the order of the names.
    pub sha256: [u8; 32],
}

impl Sum {
    fn add(&mut self, name: &str, value: &[u8]) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add((name.len() + value.len()) as u64);
        self.sha256 = sha256(&[self.sha256, sha256(name.as_bytes()), sha256(value)].concat());
    }

    fn shown(&self) -> String {
        format!("{} of {} bytes, {}", self.count, self.bytes, &to_hex(&self.sha256)[..12])
    }
}

/// Takes up the extended attributes of one file, which have to come in the order of their names.
#[derive(Debug, Default)]
pub struct Gathering {
    kept: Vec<(String, Vec<u8>)>,
    kept_bytes: usize,
    sum: Sum,
}

impl Gathering {
    /// Takes up one.
    pub fn add(&mut self, name: String, value: Vec<u8>) {
        let was_whole = self.is_whole();
        self.sum.add(&name, &value);
        if was_whole && !self.is_whole() {
            self.kept.retain(|(name, _)| is_systems(name));
            self.kept_bytes = self.kept.iter().map(|(name, value)| name.len() + value.len()).sum();
        }
        let bytes = name.len() + value.len();
        if self.is_whole() || (is_systems(&name) && self.kept_bytes + bytes <= MAX_ATTRIBUTES) {
            self.kept_bytes += bytes;
            self.kept.push((name, value));
        }
    }

    /// Bytes of all that was taken up.
    pub fn bytes(&self) -> u64 {
        self.sum.bytes
    }

    /// All of it, with the flags of the inode.
    pub fn end(self, flags: u32) -> Attributes {
        let all = (!self.is_whole()).then_some(self.sum);
        Attributes { flags, extended: self.kept, all }
    }

    fn is_whole(&self) -> bool {
        self.sum.bytes <= MAX_ATTRIBUTES as u64
    }
}

/// Access control lists, capabilities and labels: few, short, and what decides who may do what.
fn is_systems(name: &str) -> bool {
    name.starts_with("security.") || name.starts_with("system.")
}

impl Attributes {
    /// The flags among `all` that a person sets.
    pub fn flags_that_count(all: u32) -> u32 {
        FLAGS.iter().fold(0, |kept, (flag, _)| kept | (all & flag))
    }

    /// Is an extended attribute of this name somebody's choice? The others are the system's own, and follow from the rest.
    pub fn counts(name: &str) -> bool {
        let system = ["posix_acl_access", "posix_acl_default", "nfs4_acl", "richacl"];
        match name.split_once('.') {
            Some(("user", _)) => true,
            Some(("trusted", rest)) => !rest.starts_with("overlay."),
            Some(("security", rest)) => !matches!(rest, "ima" | "evm"),
            Some(("system", rest)) => system.contains(&rest),
            _ => false,
        }
    }

    /// Shared where it says nothing, as with nearly every file.
    pub fn shared(self) -> Arc<Self> {
        static NONE: LazyLock<Arc<Attributes>> = LazyLock::new(Arc::default);
        if self == Self::default() { NONE.clone() } else { Arc::new(self) }
    }

    /// The value of an extended attribute.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.extended.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// SHA-256 over all of it, to compare with.
    pub fn digest(&self) -> [u8; 32] {
        let mut bytes = b"attributes of a file".to_vec();
        bytes.extend(self.flags.to_be_bytes());
        for part in self.extended.iter().flat_map(|(name, value)| [name.as_bytes(), value]) {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part);
        }
        if let Some(all) = &self.all {
            bytes.extend(b"and all of them");
            bytes.extend(all.sha256);
        }
        sha256(&bytes)
    }

    /// True where all of them are known by their values, and could be set again.
    pub fn is_whole(&self) -> bool {
        self.all.is_none()
    }

    /// The message: names, and of values no more than what tells them apart.
    pub fn to_message(&self) -> v1::FileAttributes {
        self.message(self.is_whole())
    }

    /// The same beside a side of which not all are kept: what only one of both could name would look added or removed.
    pub fn to_short_message(&self) -> v1::FileAttributes {
        self.message(false)
    }

    fn message(&self, each: bool) -> v1::FileAttributes {
        let flags = FLAGS.iter().filter(|(flag, _)| self.flags & flag != 0);
        let flags =
            flags.map(|(_, word)| v1::FileAttribute { name: format!("flag {word}"), shown: "set".into() });
        let named = self.extended.iter().filter(|(name, _)| each || is_systems(name));
        let extended = named.map(|(name, value)| {
            let shown = match name.as_str() {
                "system.posix_acl_access" | "system.posix_acl_default" => access_list(value),
                // A label names a policy, and is no secret.
                "security.selinux" => {
                    std::str::from_utf8(value).ok().map(|text| text.trim_end_matches('\0').to_owned())
                }
                _ => None,
            };
            let digest = || format!("{} bytes, {}", value.len(), &to_hex(&sha256(value))[..12]);
            v1::FileAttribute { name: name.clone(), shown: shown.unwrap_or_else(digest) }
        });
        let mut all: Vec<v1::FileAttribute> = flags.chain(extended).collect();
        if !each {
            let shown = self.sum().shown();
            all.push(v1::FileAttribute { name: "all extended attributes".into(), shown });
        }
        v1::FileAttributes { sha256: self.digest().to_vec(), all }
    }

    fn sum(&self) -> Sum {
        self.all.unwrap_or_else(|| {
            let mut sum = Sum::default();
            self.extended.iter().for_each(|(name, value)| sum.add(name, value));
            sum
        })
    }
}

/// A POSIX access control list as `getfacl` writes it, in one line; `None` where it is not one.
fn access_list(value: &[u8]) -> Option<String> {
    let entries = value.strip_prefix(&2_u32.to_le_bytes())?;
    let (entries, rest) = entries.as_chunks::<8>();
    if !rest.is_empty() || entries.len() > 64 {
        return None;
    }
    let entry = |[tag, tag1, perm, _, id @ ..]: &[u8; 8]| {
        let id = u32::from_le_bytes(*id);
        let who = match u16::from_le_bytes([*tag, *tag1]) {
            0x01 => "user:".to_owned(),
            0x02 => format!("user:{id}"),
            0x04 => "group:".to_owned(),
            0x08 => format!("group:{id}"),
            0x10 => "mask:".to_owned(),
            0x20 => "other:".to_owned(),
            _ => return None,
        };
        let may = |bit: u8, word: char| if perm & bit != 0 { word } else { '-' };
        Some(format!("{who}:{}{}{}", may(4, 'r'), may(2, 'w'), may(1, 'x')))
    };
    let all: Option<Vec<String>> = entries.iter().map(entry).collect();
    Some(all?.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(extended: &[(&str, &[u8])], flags: u32) -> Attributes {
        let extended = extended.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
        Attributes { flags, extended, all: None }
    }

    #[test]
    fn what_somebody_chose_counts_and_the_systems_own_does_not() {
        for name in [
            "user.comment",
            "security.selinux",
            "security.capability",
            "system.posix_acl_access",
            "trusted.md5sum",
        ] {
            assert!(Attributes::counts(name), "{name}");
        }
        for name in ["security.ima", "security.evm", "trusted.overlay.origin", "system.ntfs_acl", "odd"] {
            assert!(!Attributes::counts(name), "{name}");
        }
        let extents_and_immutable = 0x0008_0010;
        assert_eq!(Attributes::flags_that_count(extents_and_immutable), IMMUTABLE);
    }

    #[test]
    fn values_are_told_apart_and_not_shown_but_lists_and_labels_are() {
        // user::rw-, user:1000:r--, group::r--, mask::r--, other::---
        let list: Vec<u8> = [
            &[2, 0, 0, 0][..],
            &[1, 0, 6, 0, 255, 255, 255, 255],
            &[2, 0, 4, 0, 0xe8, 3, 0, 0],
            &[4, 0, 4, 0, 255, 255, 255, 255],
            &[16, 0, 4, 0, 255, 255, 255, 255],
            &[32, 0, 0, 0, 255, 255, 255, 255],
        ]
        .concat();
        let all = attributes(
            &[
                ("security.selinux", b"system_u:object_r:etc_t:s0\0"),
                ("system.posix_acl_access", &list),
                ("user.token", b"hunter2"),
            ],
            IMMUTABLE,
        );
        let shown: Vec<String> =
            all.to_message().all.iter().map(|a| format!("{}={}", a.name, a.shown)).collect();
        assert_eq!(shown[0], "flag immutable=set");
        assert_eq!(shown[1], "security.selinux=system_u:object_r:etc_t:s0");
        assert_eq!(
            shown[2],
            "system.posix_acl_access=user::rw-,user:1000:r--,group::r--,mask::r--,other::---"
        );
        assert!(
            shown[3].starts_with("user.token=7 bytes, ") && !shown[3].contains("hunter2"),
            "{}",
            shown[3]
        );
        assert_eq!(access_list(b"\x02\0\0\0odd"), None);
    }

    #[test]
    fn every_difference_changes_the_digest_and_none_is_a_known_state_too() {
        let one = attributes(&[("user.a", b"bc")], 0);
        let others = [
            attributes(&[("user.ab", b"c")], 0),
            attributes(&[("user.a", b"bd")], 0),
            attributes(&[("user.a", b"bc")], APPEND_ONLY),
            attributes(&[], 0),
        ];
        assert!(others.iter().all(|other| other.digest() != one.digest()));
        assert_eq!(Attributes::default().to_message().sha256.len(), 32);
    }

    /// As they are read from a file: in the order of their names.
    fn gathered(all: &[(&str, &[u8])]) -> Attributes {
        let mut gathering = Gathering::default();
        for (name, value) in all {
            gathering.add((*name).to_owned(), value.to_vec());
        }
        gathering.end(0)
    }

    #[test]
    fn what_is_too_much_to_be_kept_is_compared_whole_and_the_systems_own_stays_known_by_name() {
        let (big, other) = (vec![7; 60_000], vec![8; 60_000]);
        let capability: &[u8] = &[1, 0, 0, 2];
        let few = gathered(&[("user.note", b"why")]);
        assert_eq!(few, attributes(&[("user.note", b"why")], 0), "what fits is kept whole");
        let many = gathered(&[("user.a", &big), ("user.b", &big), ("user.c", b"x")]);
        assert!(!many.is_whole() && many.extended.is_empty() && many.all.is_some_and(|all| all.count == 3));
        for (changed, what) in [
            (gathered(&[("user.a", &big), ("user.b", &other), ("user.c", b"x")]), "a value"),
            (gathered(&[("user.a", &big), ("user.b", &big), ("user.d", b"x")]), "a name"),
            (gathered(&[("user.a", &big), ("user.b", &big)]), "one less"),
            (few.clone(), "all but one less"),
        ] {
            assert!(changed != many && changed.digest() != many.digest(), "{what}");
        }
        let lends = gathered(&[(CAPABILITY, capability), ("user.a", &big), ("user.b", &big)]);
        assert_eq!(lends.get(CAPABILITY), Some(capability), "also behind what is too much");
        let shown = |message: v1::FileAttributes| -> Vec<String> {
            message.all.into_iter().map(|one| format!("{}={}", one.name, one.shown)).collect()
        };
        let all = shown(lends.to_message());
        assert!(all[0].starts_with("security.capability=4 bytes, "), "{all:?}");
        assert!(all[1].starts_with("all extended attributes=3 of 120035 bytes, "), "{all:?}");
        // Beside it, what has less is shown in the same way.
        let all = shown(few.to_short_message());
        assert!(all.len() == 1 && all[0].starts_with("all extended attributes=1 of 12 bytes, "), "{all:?}");
    }
}
