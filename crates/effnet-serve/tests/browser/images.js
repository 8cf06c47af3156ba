// Images for the tests: the repository's photographs, and small ones made here.

import { readFileSync } from 'node:fs';
import { crc32, deflateSync } from 'node:zlib';

const photographs = new URL('../../../../examples/images/', import.meta.url);
const read = (name) => readFileSync(new URL(name, photographs));

export const coffee = { name: 'coffee.png', mimeType: 'image/png', buffer: read('coffee.png') };
export const rocket = { name: 'rocket.jpg', mimeType: 'image/jpeg', buffer: read('rocket.jpg') };
export const chelsea = { name: 'chelsea.png', mimeType: 'image/png', buffer: read('chelsea.png') };
export const broken = { name: 'broken.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('not an image') };

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

/** A PNG of one color, 16 by 16. */
export function plain(name, red, green, blue) {
  const header = Buffer.from([0, 0, 0, 16, 0, 0, 0, 16, 8, 2, 0, 0, 0]);
  const row = Buffer.from([0, ...Array(16).fill([red, green, blue]).flat()]);
  const rows = deflateSync(Buffer.concat(Array(16).fill(row)));
  const parts = [chunk('IHDR', header), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))];
  return { name, mimeType: 'image/png', buffer: Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...parts]) };
}

/** The same bytes under another name. */
export const named = (image, name) => ({ ...image, name });
