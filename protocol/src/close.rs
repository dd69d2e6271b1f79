//! Why a connection was closed: the QUIC application codes that both sides send, and what each means.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $meaning:literal;)*) => {
        /// An application close code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum CloseCode { $($(#[$doc])* $name = $code,)* }

        impl CloseCode {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number on the wire.
            pub const fn number(self) -> u32 {
                self as u32
            }

            /// The code with this number; `None` for one that this build does not know.
            pub fn from_number(number: u64) -> Option<Self> {
                match number {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// What it means to an agent when the control plane closed with it.
            pub const fn from_control_plane(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }
        }
    };
}

codes! {
    /// A clean end.
    Done = 0,
        "the control plane closed the connection";
    /// The peer is refused; a `Refusal` frame said why.
    Refused = 1,
        "the control plane refused this agent";
    /// The peer sent what is no frame of this protocol.
    Malformed = 2,
        "the control plane did not understand this agent; upgrade the older side";
    /// No room at the moment; the peer may come back later.
    Overloaded = 3,
        "the control plane is overloaded";
    /// This process is shutting down; the peer may come back.
    ShuttingDown = 4,
        "the control plane is shutting down";
    /// The same agent connected again, and the newer session counts.
    Replaced = 5,
        "a newer session of this same agent replaced this one; is its data directory used twice?";
    /// Nothing was heard from the peer for too long.
    Silent = 6,
        "the control plane heard nothing from this agent for too long";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_own_number_and_an_unknown_one_is_none() {
        for (number, code) in CloseCode::ALL.iter().enumerate() {
            assert_eq!(code.number() as usize, number);
            assert_eq!(CloseCode::from_number(number as u64), Some(*code));
        }
        assert_eq!(CloseCode::from_number(7), None);
        assert_eq!(CloseCode::from_number(u64::MAX), None);
    }
}
