//! How messages are read: Prost's way, after a look at how much they will take.

use std::marker::PhantomData;

use bytes::Buf;
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstEncoder};

use crate::ApiError;

/// The most fields of a message. An empty message inside another has two bytes, and takes two
/// hundred when it is read: a body within its limit would take gigabytes.
const MAX_FIELDS: usize = 1 << 14;

/// The field that holds messages with messages inside: the tensors of `ModelInferRequest` and
/// `ModelInferResponse`, and the contents of these.
const NESTED: u64 = 5;
/// Messages around the elements of a tensor: the request and the tensor.
const MAX_DEPTH: usize = 2;

/// A codec that refuses messages with too many fields, and says of a message that cannot be read
/// that the client is at fault.
#[derive(Debug)]
pub(crate) struct CountingCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for CountingCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for CountingCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = CountingDecoder<U>;

    fn encoder(&mut self) -> ProstEncoder<T> {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::default())
    }

    fn decoder(&mut self) -> CountingDecoder<U> {
        CountingDecoder(PhantomData)
    }
}

#[derive(Debug)]
pub(crate) struct CountingDecoder<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for CountingDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let refused = |reason: String| Status::invalid_argument(format!("the message: {reason}"));
        // Tonic's buffer is one piece.
        let message = buffer.chunk();
        if message.len() < buffer.remaining() {
            return Err(ApiError::fault().into());
        }
        let mut left = MAX_FIELDS;
        if count(message, &mut left, 0).is_none() {
            return Err(refused(match left {
                0 => format!("it has more than {MAX_FIELDS} fields"),
                _ => {
                    "a byte in it begins no field of the protocol, or a field is cut off".to_owned()
                }
            }));
        }
        U::decode(buffer).map(Some).map_err(|error| refused(error.to_string()))
    }
}

/// Counts fields down; `None` if there are too many, or at a byte that makes no sense. Prost would
/// skip groups, which the protocol does not have.
fn count(mut message: &[u8], left: &mut usize, depth: usize) -> Option<()> {
    while !message.is_empty() {
        *left = left.checked_sub(1)?;
        let key = varint(&mut message)?;
        let length = match key & 7 {
            0 => {
                varint(&mut message)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (field, rest) = message.split_at_checked(length)?;
        message = rest;
        if key & 7 == 2 && key >> 3 == NESTED && depth < MAX_DEPTH {
            count(field, left, depth + 1)?;
        }
    }
    Some(())
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
