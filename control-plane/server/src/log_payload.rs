//! The payload of a row in the observation log: one batch, compressed.

use nimbus_protocol::frame::{self, FrameError};
use nimbus_protocol::v1;
use prost::Message as _;

/// The payload that the log keeps of `batch`.
pub fn pack(batch: &v1::ObservationBatch) -> Vec<u8> {
    frame::compress(&batch.encode_to_vec())
}

/// The batch in a payload of the log.
pub fn unpack(payload: &[u8]) -> Result<v1::ObservationBatch, FrameError> {
    v1::ObservationBatch::decode(frame::decompress(payload)?.as_slice())
        .map_err(|error| FrameError::Decode(error.to_string()))
}
