//! Mutations that get past checksums, compression and tables of contents.

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use libfuzzer_sys::fuzzer_mutate;
use std::io::{Read, Write};

/// The most bytes that are unpacked for a mutation.
const MOST: u64 = 1 << 16;

/// Mutates `size` bytes of `data` in place.
fn plainly(data: &mut [u8], size: usize, max_size: usize) -> usize {
    fuzzer_mutate(data, size, max_size)
}

/// Mutates a part by itself.
fn part(bytes: &[u8], room: usize) -> Vec<u8> {
    let mut buffer = bytes.to_vec();
    let most = (bytes.len() + 256).min(bytes.len() + room);
    buffer.resize(most, 0);
    let size = fuzzer_mutate(&mut buffer, bytes.len(), most);
    buffer.truncate(size);
    buffer
}

/// Writes the result, if it fits.
fn put(made: &[u8], data: &mut [u8], max_size: usize) -> Option<usize> {
    if made.is_empty() || made.len() > max_size.min(data.len()) {
        return None;
    }
    data[..made.len()].copy_from_slice(made);
    Some(made.len())
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The chunks of a PNG, with name and data, as far as they are complete.
fn chunks(bytes: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
    let mut chunks = Vec::new();
    let mut rest = bytes;
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        let (length, name) = head.split_at(4);
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let length = length.min(tail.len());
        chunks.push((name.try_into().unwrap(), tail[..length].to_vec()));
        rest = tail.get(length + 4..).unwrap_or_default();
    }
    chunks
}

fn png_of(chunks: &[([u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut out = PNG.to_vec();
    for (name, body) in chunks {
        out.extend((body.len() as u32).to_be_bytes());
        out.extend(name);
        out.extend(body);
        let mut crc = flate2::Crc::new();
        crc.update(name);
        crc.update(body);
        out.extend(crc.sum().to_be_bytes());
    }
    out
}

fn repacked(packed: &[u8], room: usize) -> Option<Vec<u8>> {
    let mut raw = Vec::new();
    // Whatever can be unpacked of damaged data is useful too.
    let _ = ZlibDecoder::new(packed).take(MOST).read_to_end(&mut raw);
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&part(&raw, room)).ok()?;
    encoder.finish().ok()
}

/// PNG: mutates one chunk, or what is packed in it, with correct checksums; every eighth time any
/// byte.
pub fn png(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let start = data[..size].windows(8).position(|window| window == PNG);
    let Some(start) = start.filter(|_| seed % 8 > 0) else {
        return plainly(data, size, max_size);
    };
    let (before, image) = data[..size].split_at(start);
    let (before, mut chunks) = (before.to_vec(), chunks(&image[8..]));
    if chunks.is_empty() {
        return plainly(data, size, max_size);
    }
    let room = max_size - size;
    let index = (seed / 8) as usize % chunks.len();
    if seed % 8 == 1 {
        // Doubles, moves or leaves out chunks.
        let other = (seed / 1024) as usize % chunks.len();
        match seed / 64 % 3 {
            0 => chunks.swap(index, other),
            1 => drop(chunks.remove(index)),
            _ => chunks.insert(other, chunks[index].clone()),
        }
    } else {
        let (name, body) = &mut chunks[index];
        let packed = match &*name {
            b"IDAT" => Some(0),
            b"zTXt" | b"iCCP" => body.iter().position(|b| *b == 0).map(|at| at + 2),
            b"iTXt" => {
                let zeros = body.iter().enumerate().filter(|(_, b)| **b == 0).map(|(at, _)| at);
                zeros.last().map(|at| at + 1)
            }
            _ => None,
        };
        let unpacks = packed.filter(|at| *at <= body.len() && seed % 8 < 5);
        match unpacks {
            Some(at) => {
                let Some(made) = repacked(&body[at..], room) else {
                    return plainly(data, size, max_size);
                };
                body.truncate(at);
                body.extend(made);
            }
            None => *body = part(body, room),
        }
    }
    let mut made = before;
    made.extend(png_of(&chunks));
    put(&made, data, max_size).unwrap_or_else(|| plainly(data, size, max_size))
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + length)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

/// The entries of a zip archive, by its local headers.
fn entries(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut entries = Vec::new();
    let mut at = 0;
    while bytes.get(at..).is_some_and(|rest| rest.starts_with(b"PK\x03\x04")) {
        let entry = || {
            let (name, extra) = (number(bytes, at + 26, 2)?, number(bytes, at + 28, 2)?);
            let body = at + 30 + name + extra;
            let mut size = number(bytes, at + 18, 4)?;
            if size == 0 && number(bytes, at + 6, 2)? & 8 > 0 {
                // The size follows the data.
                let next =
                    |sign: &[u8]| bytes[body.min(bytes.len())..].windows(4).position(|w| w == sign);
                size = next(b"PK\x07\x08")?;
            }
            let name = bytes.get(at + 30..at + 30 + name)?;
            Some((name.to_vec(), bytes.get(body..body + size)?.to_vec(), body + size))
        };
        let Some((name, body, mut end)) = entry() else { break };
        entries.push((name, body));
        if bytes.get(end..).is_some_and(|rest| rest.starts_with(b"PK\x07\x08")) {
            let next = bytes[end + 4..].windows(2).position(|w| w == b"PK");
            end += 4 + next.unwrap_or(bytes.len());
        }
        at = end;
    }
    entries
}

fn zip_of(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, body) in entries {
        let mut crc = flate2::Crc::new();
        crc.update(body);
        let mut fields = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        fields.extend(crc.sum().to_le_bytes());
        fields.extend((body.len() as u32).to_le_bytes());
        fields.extend((body.len() as u32).to_le_bytes());
        fields.extend((name.len() as u16).to_le_bytes());
        fields.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&fields);
        directory.extend([0; 10]);
        directory.extend((out.len() as u32).to_le_bytes());
        directory.extend(name);
        out.extend(b"PK\x03\x04");
        out.extend(fields);
        out.extend(name);
        out.extend(body);
    }
    let start = out.len() as u32;
    let (count, length) = (entries.len() as u16, directory.len() as u32);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// Zip: mutates one entry, most often the one that describes the others, and keeps the archive
/// valid; every fourth time any byte.
pub fn zip(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut entries = entries(&data[..size]);
    if entries.is_empty() || seed % 4 == 0 {
        return plainly(data, size, max_size);
    }
    let describes = |(name, _): &(Vec<u8>, Vec<u8>)| {
        [&b"data.pkl"[..], b"config.json", b"model.weights.h5"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    let described: Vec<_> = (0..entries.len()).filter(|i| describes(&entries[*i])).collect();
    let index = match described.is_empty() || seed % 4 == 1 {
        true => (seed / 4) as usize % entries.len(),
        false => described[(seed / 4) as usize % described.len()],
    };
    let room = max_size - size;
    let (name, body) = &mut entries[index];
    if seed % 64 == 5 {
        *name = part(name, room.min(1 << 8));
    } else {
        *body = part(body, room);
    }
    put(&zip_of(&entries), data, max_size).unwrap_or_else(|| plainly(data, size, max_size))
}
