// Requests to the server: a few at a time, again if it is busy, with its key if it wants one.

const AT_ONCE = 4;
const TRIES = 5;
const LONGEST_WAIT = 60;

/** A request without a result; its message is for people. */
export class Failure extends Error {}

let free = AT_ONCE;
const waiting = [];

/** Does some work when fewer than `AT_ONCE` others are under way. */
export async function inTurn(signal, work) {
  if (free > 0) {
    free -= 1;
  } else {
    await new Promise((resolve, reject) => {
      waiting.push(resolve);
      signal.addEventListener('abort', () => {
        const at = waiting.indexOf(resolve);
        if (at >= 0) waiting.splice(at, 1);
        if (at >= 0) reject(signal.reason);
      });
    });
  }
  try {
    signal.throwIfAborted();
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  }
}

// Only in memory: it is gone when the page is.
let key = null;
let asking = null;
let askKey = () => Promise.reject(new Failure('The server wants an API key.'));

/** What asks the visitor for a key: from whether one was refused to a promise of the next. */
export function askKeyWith(ask) {
  askKey = ask;
}

/** A key other than the one that was refused. All requests that need one wait for the same. */
async function otherKey(refused, signal) {
  if (key !== refused) return;
  asking ??= askKey(refused !== null).finally(() => { asking = null; });
  key = await unlessAborted(asking, signal);
}

function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason));
    promise.then(resolve, reject);
  });
}

function pause(seconds, signal) {
  return unlessAborted(new Promise((resolve) => { setTimeout(resolve, seconds * 1000); }), signal);
}

/** The seconds of `Retry-After`, which is a number or a date; one second if it is neither. */
function retryAfter(header) {
  const seconds = /^\d+$/.test(header ?? '') ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? 1 : Math.min(Math.max(seconds, 0), LONGEST_WAIT);
}

/** The milliseconds of `Server-Timing` by name. */
function timings(header) {
  const parts = (header ?? '').matchAll(/([\w-]+);dur=([\d.]+)/g);
  return Object.fromEntries(Array.from(parts, ([, name, value]) => [name, Number(value)]));
}

/**
 * Sends a request until its answer is not "busy", and gives the answer whatever its status.
 * `path` is relative to the page. `onBusy` is told the seconds to the next try.
 */
export async function send(path, { signal, tries = TRIES, onBusy = () => {}, headers = {}, ...init } = {}) {
  for (let attempt = 1; ;) {
    const used = key;
    const begun = performance.now();
    let response;
    let text;
    try {
      const authorization = used === null ? {} : { authorization: `Bearer ${used}` };
      response = await fetch(path, { ...init, signal, headers: { ...headers, ...authorization } });
      text = await response.text();
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Failure('The server did not answer. Is it running, and is the network there?');
    }
    const took = performance.now() - begun;
    const { status } = response;
    const isBusy = status === 429 || status === 503;
    if (status === 401) {
      await otherKey(used, signal);
    } else if (isBusy && attempt < tries) {
      const seconds = retryAfter(response.headers.get('retry-after'));
      onBusy(seconds);
      attempt += 1;
      await pause(seconds, signal);
    } else {
      return { response, text, took, timing: timings(response.headers.get('server-timing')) };
    }
  }
}

/** The JSON of an answer; an error of the server, or an answer that is not JSON, is a `Failure`. */
export async function ask(path, init) {
  const { response, text, took, timing } = await send(path, init);
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  if (typeof json?.error === 'string') throw new Failure(json.error);
  if (!response.ok) throw new Failure(`The server answered ${response.status} ${response.statusText}.`);
  if (json === undefined) throw new Failure('The server’s answer is not JSON.');
  return { json, took, timing };
}

/** Asks about one image. */
export function askAbout(file, path, settings, init) {
  return ask(`${path}?${new URLSearchParams(settings)}`, {
    ...init,
    method: 'POST',
    // Whatever the file's own type is: it could be one that is not read as an image's bytes.
    headers: { 'content-type': 'application/octet-stream' },
    body: file,
  });
}

/** Why some work has no result, for people; the rest are mistakes of the page. */
export function inWords(error) {
  if (error instanceof Failure) return error.message;
  console.error(error);
  return `This page made a mistake: ${error.message}`;
}
