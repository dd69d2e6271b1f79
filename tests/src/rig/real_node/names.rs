//! Names of Services for the node's pods: `NAME.NAMESPACE.svc.cluster.local` has the Service's address, and nothing else exists. It stands
//! for a cluster's DNS, of which Nimbus needs just that.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::ADDRESS;
use crate::rig::Cluster;

/// What every name ends with, as the kubelet tells pods.
pub const DOMAIN: &str = "cluster.local";
/// The length of a message's head (RFC 1035, section 4.1.1).
const HEAD: usize = 12;
/// The type of a question for an IPv4 address.
const A: u16 = 1;
/// How long the cluster may take to say an address; who asks waits for five seconds.
const LIMIT: Duration = Duration::from_secs(3);
/// Between two looks at a socket that has errors.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest question that is read; one without extensions is no longer.
const LONGEST: usize = 512;

/// Answers until it is dropped.
#[derive(Debug)]
pub struct Names(JoinHandle<()>);

impl Drop for Names {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Names {
    /// Serves the names of this cluster at the node's address.
    ///
    /// # Errors
    /// When the port is taken or the cluster cannot be asked.
    pub async fn serve(cluster: &Cluster) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((ADDRESS, 53)).await.context("cannot serve names")?;
        let client = cluster.client().await?;
        Ok(Self(tokio::spawn(async move {
            let mut message = [0; LONGEST];
            loop {
                let Ok((length, from)) = socket.recv_from(&mut message).await else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let Some(question) = asked(&message[..length]) else { continue };
                let address = tokio::time::timeout(LIMIT, address_of(&client, &question.name)).await;
                let address = address.unwrap_or(Address::Unknown);
                // Who gets none asks again.
                let _ = socket.send_to(&answer(&message[..length], &question, address), from).await;
            }
        })))
    }
}

/// What is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address {
    Of(Ipv4Addr),
    /// There is no such Service, or it has no address of its own.
    None,
    /// The cluster did not say.
    Unknown,
}

async fn address_of(client: &kube::Client, name: &str) -> Address {
    let service = name.strip_suffix(&format!(".svc.{DOMAIN}")).and_then(|service| service.split_once('.'));
    let Some((name, namespace)) = service.filter(|(_, namespace)| !namespace.contains('.')) else {
        return Address::None;
    };
    match Api::<Service>::namespaced(client.clone(), namespace).get_opt(name).await {
        Ok(service) => {
            let address = service.and_then(|service| service.spec?.cluster_ip?.parse().ok());
            address.map_or(Address::None, Address::Of)
        }
        Err(_) => Address::Unknown,
    }
}

/// What is asked.
struct Question {
    name: String,
    kind: u16,
    /// Where the question ends in the message.
    end: usize,
}

/// The one question of a message, if it is one that can be answered.
fn asked(message: &[u8]) -> Option<Question> {
    let (mut at, mut labels) = (HEAD, Vec::new());
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(std::str::from_utf8(message.get(at..at + length)?).ok()?.to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?);
    message.get(at + 4..).map(|_| Question { name: labels.join("."), kind, end: at + 4 })
}

/// The answer: this address, none of this kind, that there is no such name, or that it is not known.
fn answer(message: &[u8], question: &Question, address: Address) -> Vec<u8> {
    let (code, given) = match address {
        Address::Of(address) if question.kind == A => (0, Some(address)),
        Address::Of(_) => (0, None),
        Address::None => (3, None),
        Address::Unknown => (2, None),
    };
    // A response, with authority, recursion as it was wanted and available.
    let flags = [0x84 | (message[2] & 1), 0x80 | code];
    let mut bytes = [&message[..2], &flags, &[0, 1, 0, u8::from(given.is_some()), 0, 0, 0, 0]].concat();
    bytes.extend(&message[HEAD..question.end]);
    if let Some(address) = given {
        // The name is that of the question; for five seconds; four bytes.
        bytes.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
        bytes.extend(address.octets());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str, kind: u16) -> Vec<u8> {
        let mut bytes = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
        bytes
    }

    #[test]
    fn a_question_is_answered_with_the_address_nothing_of_another_kind_or_no_such_name() {
        let address = Address::Of(Ipv4Addr::new(10, 96, 0, 9));
        let of_four = message("a.B.svc.cluster.local", A);
        let question = asked(&of_four).unwrap();
        assert_eq!(question.name, "a.b.svc.cluster.local");
        let good = answer(&of_four, &question, address);
        assert_eq!(
            (&good[..8], &good[good.len() - 4..]),
            (&[7, 9, 0x85, 0x80, 0, 1, 0, 1][..], &[10, 96, 0, 9][..])
        );
        for (address, flags) in [(Address::None, 0x83), (Address::Unknown, 0x82)] {
            assert_eq!(answer(&of_four, &question, address)[2..8], [0x85, flags, 0, 1, 0, 0]);
        }
        let of_six = message("a.b.svc.cluster.local", 28);
        let empty = answer(&of_six, &asked(&of_six).unwrap(), address);
        assert_eq!((&empty[2..8], empty.len()), (&[0x85, 0x80, 0, 1, 0, 0][..], of_six.len()));
        assert!((0..of_six.len()).all(|end| asked(&of_six[..end]).is_none()), "cut off anywhere");
    }
}
