// A server that keeps to the contract of effnet's own API without any network, and misbehaves when
// told to. It serves the pages from their source.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

import { openapi } from './openapi.js';
import { chelsea, coffee, rocket } from './images.js';

const SOURCE = new URL('../../page/', import.meta.url);
const TYPES = { html: 'text/html', css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' };

/** What the pages must be served with. */
export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
  + "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

export const MODELS = ['tf_efficientnet_lite0.in1k', 'tiny', 'late'].map((name, i) => ({
  name,
  version: '1',
  state: i < 2 ? 'ready' : 'loading',
  default: i === 0,
  architecture: 'tf_efficientnet_lite0',
  tag: 'in1k',
  classes: i === 1 ? 3 : 1000,
  features: 1280,
  input_size: [3, 224, 224],
  labels: i !== 1,
  error: null,
}));

const LABELS = ['espresso', 'cup', 'consomme', 'chocolate sauce', 'coffee mug', 'tabby, tabby cat', 'tiger cat',
  'missile', 'projectile, missile', 'space shuttle', 'screw', 'nail', 'rain barrel', 'umbrella', 'lampshade',
  'spotlight', 'bubble', 'lighter, light, igniter, ignitor', 'digital clock', 'matchstick'];

const isImage = (bytes) => bytes.subarray(1, 4).equals(Buffer.from('PNG')) || bytes.subarray(0, 2).equals(Buffer.from([0xff, 0xd8]));

function predictions(bytes, k, model) {
  const classes = model.labels ? LABELS.length : model.classes;
  const start = [coffee, chelsea, rocket].findIndex(({ buffer }) => buffer.equals(bytes)) * 5;
  const first = start >= 0 ? start : bytes.reduce((sum, byte) => sum + byte, 0) % classes;
  return Array.from({ length: Math.min(k, classes) }, (_, rank) => {
    const index = (first + rank) % classes;
    return {
      index,
      synset: model.labels ? `n0${7_000_000 + index}` : null,
      label: model.labels ? LABELS[index] : null,
      probability: 0.8 * 0.2 ** rank,
      logit: 9 - rank,
    };
  });
}

/** How often each byte and each pair of halves of neighbors occurs: alike for files that are alike. */
function embedding(bytes) {
  const counts = Array(1280).fill(0);
  bytes.forEach((byte) => { counts[byte] += 1; });
  return counts;
}

export class Stub {
  /** Where the pages and the API are: '' or '/vision'. */
  constructor(prefix = '') {
    this.prefix = prefix;
    this.models = MODELS;
    this.openapi = openapi;
    /** What answers in place of the contract: from (request, response, body) to whether it did. */
    this.instead = async () => false;
    this.underWay = 0;
    this.mostUnderWay = 0;
    this.requests = [];
  }

  async start() {
    this.server = createServer((request, response) => {
      this.#answer(request, response).catch((error) => {
        if (!response.headersSent) response.writeHead(500);
        response.end(String(error));
      });
    });
    await new Promise((resolve) => { this.server.listen(0, '127.0.0.1', resolve); });
    this.address = `http://127.0.0.1:${this.server.address().port}${this.prefix}`;
    return this;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  async #answer(request, response) {
    const url = new URL(request.url, 'http://stub');
    if (!url.pathname.startsWith(this.prefix)) return json(response, 404, { error: 'outside' });
    const path = url.pathname.slice(this.prefix.length) || '/';
    const isWork = path === '/classify' || path === '/embed';
    if (isWork) this.#count(response);
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    this.requests.push({ method: request.method, path, query: url.searchParams, headers: request.headers });
    if (await this.instead(request, response, path)) return undefined;
    if (request.method === 'GET') return this.#get(response, path);
    if (isWork) return this.#work(response, path, url.searchParams, body);
    return json(response, 404, { error: `no ${path}` });
  }

  #count(response) {
    this.underWay += 1;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
    response.on('close', () => { this.underWay -= 1; });
  }

  async #get(response, path) {
    if (path === '/models') return json(response, 200, this.models);
    if (path === '/openapi.json') return json(response, 200, this.openapi);
    if (path === '/health/ready') return json(response, 200, { ready: true });
    const name = { '/': 'index.html', '/index.html': 'index.html', '/docs': 'docs.html' }[path] ?? path.match(/^\/page\/([\w.]+)$/)?.[1];
    if (!name) return json(response, 404, { error: `no ${path}` });
    response.writeHead(200, {
      'content-type': `${TYPES[name.split('.').at(-1)]}; charset=utf-8`,
      'content-security-policy': POLICY,
      'x-content-type-options': 'nosniff',
      'permissions-policy': 'camera=(self)',
    });
    return response.end(await readFile(new URL(name, SOURCE)));
  }

  #work(response, path, query, bytes) {
    const model = this.models.find(({ name, default: isDefault }) => (query.has('model') ? name === query.get('model') : isDefault));
    if (model?.state !== 'ready') return json(response, 404, { error: `no model ${query.get('model')}: there are ...` });
    const record = { image: 'image', model: model.name };
    if (!isImage(bytes)) return json(response, 422, { ...record, error: 'image: not an image of a known format' });
    const answer = path === '/embed' ? { embedding: embedding(bytes) }
      : { predictions: predictions(bytes, Number(query.get('k') ?? 5), model) };
    return json(response, 200, { ...record, ...answer }, {
      'server-timing': 'queue;dur=0.1, decode;dur=2.3, preprocess;dur=0.4, infer;dur=13.1',
    });
  }
}

export function json(response, status, value, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
  return true;
}
