//! Whether agents can reach the control plane's listener from where the probe ran: by QUIC over UDP, and by TCP.

use crate::check::Outcome;
use crate::words::start;

/// The most characters of a library's words that are shown.
const MOST_SHOWN: usize = 200;

/// The protocol (ALPN) that a probe over TCP offers: the one of agents. The operators' listener speaks another one.
pub const PROTOCOL: &[u8] = b"h2";
/// The name that the certificate of every control plane has for agents, whatever address they dial.
pub const NAME: &str = "nimbus-control-plane";
/// The port of the operators' listener, where nobody chose another one.
const OPERATORS: &str = "7070";
/// The port of the agents' listener, where nobody chose another one.
const AGENTS: &str = "7071";

/// What came of a TLS handshake as agents make it, over a TCP connection that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// It was finished.
    Finished {
        /// The protocol that both sides agreed on.
        protocol: Option<Vec<u8>>,
        /// The DNS names of the certificate that was shown.
        names: Vec<String>,
    },
    /// The other side speaks TLS, and none of the protocols that it was offered.
    NoProtocol,
    /// What came back is no TLS 1.3, in the library's words.
    NoTls(String),
    /// The other side closed the connection.
    Closed,
    /// Nothing came back in time.
    Silent,
}

/// What came of a connection over TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tcp {
    /// The agents' listener of a control plane answered.
    Answered,
    /// It was taken by something that is no agents' listener; what tells it.
    Other(String),
    /// It was refused: nothing listens there.
    Refused,
    /// Nothing came back in time.
    Silent,
    /// The system said something else.
    Failed(String),
}

/// What came of the QUIC probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Udp {
    /// A QUIC server answered.
    Answered,
    /// Something answered that is no QUIC server.
    Other,
    /// It was refused: nothing listens there.
    Refused,
    /// Nothing came back in time.
    Silent,
    /// The system said something else.
    Failed(String),
}

/// Both probes of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// HOST:PORT as it was given.
    pub at: String,
    /// Over UDP.
    pub udp: Udp,
    /// Over TCP.
    pub tcp: Tcp,
}

impl Udp {
    fn said(&self) -> String {
        match self {
            Self::Answered => "QUIC answers over UDP".to_owned(),
            Self::Other => "what answers over UDP is no QUIC server".to_owned(),
            Self::Refused => "UDP is refused (nothing listens there)".to_owned(),
            Self::Silent => "nothing answers over UDP".to_owned(),
            Self::Failed(why) => format!("UDP: {why}"),
        }
    }
}

impl Tcp {
    /// What a connection that was taken leads to. The certificate is not verified: which CA is the right one only a join token
    /// says.
    pub fn greeted(greeting: Greeting) -> Self {
        match greeting {
            Greeting::Finished { names, .. } if !names.iter().any(|name| name == NAME) => {
                Self::Other(format!(
                    "its certificate is not one of a control plane for agents: the name {NAME} is not in it"
                ))
            }
            Greeting::Finished { protocol, .. } if protocol.as_deref() != Some(PROTOCOL) => {
                Self::Other("it agrees on no protocol of agents".to_owned())
            }
            Greeting::Finished { .. } => Self::Answered,
            Greeting::NoProtocol => Self::Other(
                "it speaks TLS and not the agents' protocol, as the operators' listener does".to_owned(),
            ),
            Greeting::NoTls(why) => {
                Self::Other(format!("it does not speak TLS 1.3: {}", start(&why, MOST_SHOWN)))
            }
            Greeting::Closed => Self::Other("it closes the connection instead of speaking TLS".to_owned()),
            Greeting::Silent => Self::Other("it takes the connection and says nothing".to_owned()),
        }
    }

    fn said(&self) -> String {
        match self {
            Self::Answered => "the agents' listener answers over TCP".to_owned(),
            Self::Other(what) => format!("what answers over TCP is no agents' listener ({what})"),
            Self::Refused => "TCP is refused (nothing listens there)".to_owned(),
            Self::Silent => "TCP connections get no answer".to_owned(),
            Self::Failed(why) => format!("TCP: {why}"),
        }
    }
}

/// One way suffices; the other one missing is worth a look. What is no agents' listener is the likeliest mistake of all: another port.
pub(crate) fn judge(listener: &Listener) -> Outcome {
    let Listener { at, udp, tcp } = listener;
    let port = at.rsplit_once(':').map_or("", |(_, port)| port);
    let found = format!("{at}: {}, {}", udp.said(), tcp.said());
    match (udp == &Udp::Answered, tcp) {
        (true, Tcp::Answered) => Outcome::pass(found),
        (true, Tcp::Other(_)) => Outcome::warning(
            found,
            format!(
                "agents come by QUIC if it is the control plane that answers there, and not where a network blocks UDP: let TCP \
                 {port} lead to the agents' listener too (services.agentsOverTcp), through nothing that ends TLS"
            ),
        ),
        (true, Tcp::Refused | Tcp::Silent | Tcp::Failed(_)) => Outcome::warning(
            found,
            format!(
                "nothing is to be done where UDP stays open; for networks that block it open TCP {port} too (the \
                 control plane without --no-tcp, the chart with services.agentsOverTcp)"
            ),
        ),
        (false, Tcp::Answered) => Outcome::warning(
            found,
            format!(
                "agents come over TCP, which they find out some seconds later; open UDP {port} from here to the control \
                 plane, in both directions, in firewalls, security groups and the load balancer"
            ),
        ),
        (false, Tcp::Other(_)) => Outcome::failure(found, other(at, port)),
        (false, Tcp::Refused | Tcp::Silent | Tcp::Failed(_)) => Outcome::failure(
            found,
            format!(
                "check the address, that the control plane runs and listens there (--quic, services.agents), and that \
                 firewalls let UDP {port} and TCP {port} through; HTTPS_PROXY on the agent is a way over a proxy"
            ),
        ),
    }
}

/// What to do where something else listens.
fn other(at: &str, port: &str) -> String {
    let host = at.strip_suffix(port).unwrap_or(at);
    if port == OPERATORS {
        return format!("{OPERATORS} is the port of operators; agents come to {AGENTS}: name {host}{AGENTS}");
    }
    format!(
        "no agent can join there: name the port of the agents' listener ({AGENTS} unless --quic or services.agents.port chose another \
         one; {OPERATORS} is the operators'), and let nothing on the way end TLS; a load balancer passes TCP on as it is"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    #[test]
    fn one_way_is_enough_and_none_is_a_failure() {
        let failed = || "network is unreachable".to_owned();
        let other = || Tcp::greeted(Greeting::Closed);
        for (udp, tcp, verdict) in [
            (Udp::Answered, Tcp::Answered, Verdict::Pass),
            (Udp::Answered, Tcp::Refused, Verdict::Warning),
            (Udp::Answered, Tcp::Silent, Verdict::Warning),
            (Udp::Silent, Tcp::Answered, Verdict::Warning),
            (Udp::Other, Tcp::Answered, Verdict::Warning),
            (Udp::Answered, other(), Verdict::Warning),
            (Udp::Refused, other(), Verdict::Failure),
            (Udp::Silent, other(), Verdict::Failure),
            (Udp::Refused, Tcp::Refused, Verdict::Failure),
            (Udp::Silent, Tcp::Silent, Verdict::Failure),
            (Udp::Failed(failed()), Tcp::Failed(failed()), Verdict::Failure),
        ] {
            let listener = Listener { at: "plane.example:7071".to_owned(), udp, tcp };
            let outcome = judge(&listener);
            assert_eq!(outcome.verdict, verdict, "{listener:?}");
            assert!(outcome.found.contains("plane.example:7071"), "{outcome:?}");
            assert_eq!(outcome.remedy.is_empty(), verdict == Verdict::Pass, "{outcome:?}");
            assert!(outcome.remedy.is_empty() || outcome.remedy.contains("7071"), "{outcome:?}");
        }
    }
    #[test]
    fn only_the_agents_listener_is_one_and_the_operators_is_told_by_its_port() {
        let finished = |protocol: Option<&[u8]>, name: &str| Greeting::Finished {
            protocol: protocol.map(<[u8]>::to_vec),
            names: vec!["localhost".to_owned(), name.to_owned()],
        };
        assert_eq!(Tcp::greeted(finished(Some(b"h2"), "nimbus-control-plane")), Tcp::Answered);
        for (greeting, word) in [
            (finished(Some(b"h2"), "www.example"), "certificate"),
            (finished(Some(b"http/1.1"), "nimbus-control-plane"), "protocol"),
            (finished(None, "nimbus-control-plane"), "protocol"),
            (Greeting::NoProtocol, "operators' listener"),
            (Greeting::NoTls("received corrupt message".to_owned()), "corrupt message"),
            (Greeting::Closed, "closes"),
            (Greeting::Silent, "says nothing"),
        ] {
            let tcp = Tcp::greeted(greeting);
            let Tcp::Other(what) = &tcp else { panic!("{tcp:?}") };
            assert!(what.contains(word), "{what}");
            let at = |port: u16| Listener {
                at: format!("plane.example:{port}"),
                udp: Udp::Refused,
                tcp: tcp.clone(),
            };
            let outcome = judge(&at(7070));
            assert_eq!(outcome.verdict, Verdict::Failure, "{outcome:?}");
            assert!(
                outcome.found.contains(word) && outcome.remedy.contains("name plane.example:7071"),
                "{outcome:?}"
            );
            let outcome = judge(&at(443));
            assert_eq!(outcome.verdict, Verdict::Failure, "{outcome:?}");
            assert!(
                outcome.remedy.contains("7071") && outcome.remedy.contains("7070 is the operators'"),
                "{outcome:?}"
            );
        }
    }
}
