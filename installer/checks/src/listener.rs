//! Whether agents can reach the control plane's listener from where the probe ran: by QUIC over UDP, and by TCP.

use crate::check::Outcome;

/// What came of a connection over TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tcp {
    /// It was taken.
    Open,
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
    fn said(&self) -> String {
        match self {
            Self::Open => "TCP is open".to_owned(),
            Self::Refused => "TCP is refused (nothing listens there)".to_owned(),
            Self::Silent => "TCP connections get no answer".to_owned(),
            Self::Failed(why) => format!("TCP: {why}"),
        }
    }
}

/// One way suffices; the other one missing is worth a look.
pub(crate) fn judge(listener: &Listener) -> Outcome {
    let Listener { at, udp, tcp } = listener;
    let port = at.rsplit_once(':').map_or("", |(_, port)| port);
    let found = format!("{at}: {}, {}", udp.said(), tcp.said());
    match (udp == &Udp::Answered, tcp == &Tcp::Open) {
        (true, true) => Outcome::pass(found),
        (true, false) => Outcome::warning(
            found,
            format!(
                "nothing is to be done where UDP stays open; for networks that block it open TCP {port} too (the \
                 control plane without --no-tcp, the chart with services.agentsOverTcp)"
            ),
        ),
        (false, true) => Outcome::warning(
            found,
            format!(
                "agents come over TCP, which they find out some seconds later; open UDP {port} from here to the control \
                 plane, in both directions, in firewalls, security groups and the load balancer"
            ),
        ),
        (false, false) => Outcome::failure(
            found,
            format!(
                "check the address, that the control plane runs and listens there (--quic, services.agents), and that \
                 firewalls let UDP {port} and TCP {port} through; HTTPS_PROXY on the agent is a way over a proxy"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    #[test]
    fn one_way_is_enough_and_none_is_a_failure() {
        let failed = || "network is unreachable".to_owned();
        for (udp, tcp, verdict) in [
            (Udp::Answered, Tcp::Open, Verdict::Pass),
            (Udp::Answered, Tcp::Refused, Verdict::Warning),
            (Udp::Answered, Tcp::Silent, Verdict::Warning),
            (Udp::Silent, Tcp::Open, Verdict::Warning),
            (Udp::Other, Tcp::Open, Verdict::Warning),
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
}
