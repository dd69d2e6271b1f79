//! What a file has beside content, mode and owner: access control list, extended attributes, capabilities, security label
//! and flags, as far as they are a person's or a tool's choice and not the system's own bookkeeping.

use std::sync::{Arc, LazyLock};

use nimbus_protocol::{sha256, to_hex, v1};

/// Most bytes of extended attributes of one file that are kept; of a file with more they are unknown.
pub const MAX_ATTRIBUTES: usize = 64 << 10;

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
    /// Extended attributes by name, in order; an access control list is one of them.
    pub extended: Vec<(String, Vec<u8>)>,
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
        sha256(&bytes)
    }

    /// The message: names, and of values no more than what tells them apart.
    pub fn to_message(&self) -> v1::FileAttributes {
        let flags = FLAGS.iter().filter(|(flag, _)| self.flags & flag != 0);
        let flags =
            flags.map(|(_, word)| v1::FileAttribute { name: format!("flag {word}"), shown: "set".into() });
        let extended = self.extended.iter().map(|(name, value)| {
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
        v1::FileAttributes { sha256: self.digest().to_vec(), all: flags.chain(extended).collect() }
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
        Attributes { flags, extended }
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
}
