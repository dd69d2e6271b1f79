//! What a QUIC connection tells about its peer. ALPN says what the peer came for.

use nimbus_protocol::close::CloseCode;
use nimbus_protocol::{ALPN_ENROL, ALPN_SESSION};
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, VarInt};
use rustls_pki_types::CertificateDer;

use super::{FrameSink, FrameSource, Gone, Protocol};

pub(super) fn peer_certificate(connection: &Connection) -> Option<CertificateDer<'static>> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    chain.first().cloned()
}

pub(super) fn protocol(connection: &Connection) -> Option<Protocol> {
    let data = connection.handshake_data()?.downcast::<HandshakeData>().ok()?;
    match data.protocol.as_deref() {
        Some(ALPN_SESSION) => Some(Protocol::Session),
        Some(ALPN_ENROL) => Some(Protocol::Enrol),
        // TLS refuses every other protocol, and a peer that names none.
        _ => None,
    }
}

pub(super) async fn accept(connection: &Connection) -> Result<(FrameSink, FrameSource), Gone> {
    let (send, receive) = connection.accept_bi().await.map_err(|error| Gone(error.to_string()))?;
    Ok((FrameSink::Quic(send), FrameSource::Quic(receive)))
}

pub(super) fn close(connection: &Connection, code: CloseCode, reason: &str) {
    connection.close(VarInt::from_u32(code.number()), reason.as_bytes());
}
