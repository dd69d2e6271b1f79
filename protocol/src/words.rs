//! A macro for enums whose values have stable names in JSON, on the wire, in tables and on the command line.

/// A word that names no value of its list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {expected}, found {found:?}")]
pub struct UnknownWord {
    /// The words there are, separated by commas.
    pub expected: String,
    /// What was found, cut to 64 characters.
    pub found: String,
}

impl UnknownWord {
    /// An error for `found`, where one of `words` was expected.
    pub fn new(words: &[&str], found: &str) -> Self {
        Self { expected: words.join(", "), found: found.chars().take(64).collect() }
    }
}

/// Defines an enum from one list of variants and their words.
///
/// It gets `ALL`, `as_str`, `Display`, `FromStr`, and serde by word. There is no default and no catch-all: a word that
/// is not in the list is an error, and a `match` over the enum names every value.
#[macro_export]
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The words of [`Self::ALL`], in the same order.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// The word used in JSON, on the wire, in tables and in the store.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err($crate::words::UnknownWord::new(Self::WORDS, text)),
                }
            }
        }
    };
}
