//! The key for QUIC stateless resets, kept across restarts. After a crash the agents' old connections are unknown here;
//! a reset token made with the same key tells an agent so at once instead of after its idle timeout. See RFC 9000,
//! section 10.3.

use std::sync::Arc;

use aws_lc_rs::hmac;
use quinn::{ConnectionIdGenerator, EndpointConfig};
use quinn_proto::HashedConnectionIdGenerator;

use crate::sign::Signer;

/// An endpoint whose connection ids and reset tokens stay recognisable over a restart.
pub fn endpoint_config(signer: &Signer) -> EndpointConfig {
    let reset = hmac::Key::new(hmac::HMAC_SHA256, &signer.derived_secret("quic stateless reset"));
    let ids = signer.derived_secret("quic connection ids");
    // The key only tells our own ids from noise: it needs to be stable, not long.
    let ids = u64::from_le_bytes([ids[0], ids[1], ids[2], ids[3], ids[4], ids[5], ids[6], ids[7]]);
    let mut config = EndpointConfig::new(Arc::new(reset));
    config.cid_generator(move || -> Box<dyn ConnectionIdGenerator> {
        Box::new(HashedConnectionIdGenerator::from_key(ids))
    });
    config
}
