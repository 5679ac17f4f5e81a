//! Frames on a stream: a length of four bytes, big endian, and that many bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const LENGTH: usize = 4;

/// Appends one frame.
///
/// # Panics
/// If it is 4 GiB or more; every message stays under a configured limit.
pub(super) fn put(out: &mut BytesMut, body: &[u8]) {
    let length = u32::try_from(body.len()).expect("a frame is far below 4 GiB");
    out.reserve(LENGTH + body.len());
    out.put_u32(length);
    out.put_slice(body);
}

/// Takes the first frame, when all of it is there.
///
/// # Errors
/// When it is longer than `bytes_max`.
pub(super) fn take(from: &mut BytesMut, bytes_max: usize) -> io::Result<Option<Bytes>> {
    let Some(head) = from.first_chunk::<LENGTH>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*head) as usize;
    if length > bytes_max {
        let what = format!("a frame of {length} bytes, expected at most {bytes_max}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    if from.len() < LENGTH + length {
        from.reserve(LENGTH + length - from.len());
        return Ok(None);
    }
    from.advance(LENGTH);
    Ok(Some(from.split_to(length).freeze()))
}

/// Writes one frame.
pub(super) async fn write(stream: &mut (impl AsyncWrite + Unpin), body: &[u8]) -> io::Result<()> {
    let mut bytes = BytesMut::new();
    put(&mut bytes, body);
    stream.write_all(&bytes).await
}

/// Reads one frame and nothing behind it.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    bytes_max: usize,
) -> io::Result<Bytes> {
    let length = stream.read_u32().await? as usize;
    if length > bytes_max {
        let what = format!("a frame of {length} bytes, expected at most {bytes_max}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(body.into())
}
