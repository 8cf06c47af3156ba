// Sends a request of the documentation, and shows what comes back.

import { announce, element, milliseconds } from './dom.js';
import { Failure, send } from './requests.js';

const LONGEST = 20_000;

const isRaw = (type) => type === 'application/octet-stream' || type === '*/*' || type.startsWith('image/');

/** Whether a kind of body is a file's bytes. Bytes without a schema are more than that, as the operation says. */
export const isFile = (type, schema) => isRaw(type) && schema !== undefined;

/** The type of a body that is a file's bytes, if the operation takes one. */
export function rawBody(operation) {
  return Object.entries(operation.requestBody?.content ?? {}).find(([type, { schema }]) => isFile(type, schema))?.[0];
}

/** A form that sends `operation`, of `method` and `path`. */
export function tryIt({ method, path, operation, parameters }) {
  const takesFile = rawBody(operation) !== undefined;
  const fields = parameters
    .filter((each) => each.in === 'path' || each.in === 'query')
    .map((each) => ({ ...each, input: element('input', { required: each.in === 'path', autocomplete: 'off' }) }));
  const file = element('input', { type: 'file', required: true });
  const output = element('div', { className: 'output' });
  const form = element('form', { className: 'try' },
    ...fields.map(({ name, input }) => element('label', {}, `${name} `, input)),
    takesFile ? element('label', {}, 'file ', file) : null,
    element('button', { textContent: 'Send' }));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const url = filled(path, fields);
    const body = takesFile ? file.files[0] : undefined;
    const headers = takesFile ? { 'content-type': 'application/octet-stream' } : {};
    output.replaceChildren(element('p', { textContent: 'Waiting' }));
    try {
      show(output, await send(url, { method: method.toUpperCase(), headers, body, tries: 1 }));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      output.replaceChildren(element('p', { className: 'error', textContent: error.message }));
      announce(error.message);
    }
  });
  return element('div', {}, form, output);
}

/** The path with the fields' values, relative to the page. */
function filled(path, fields) {
  const query = new URLSearchParams();
  let url = `.${path}`;
  for (const { name, in: place, input } of fields) {
    if (place === 'path') url = url.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value !== '') query.append(name, input.value);
  }
  return query.size > 0 ? `${url}?${query}` : url;
}

function show(output, { response, text, took }) {
  const status = `${response.status} ${response.statusText}`.trim();
  const timing = response.headers.get('server-timing');
  const rest = text.length - LONGEST;
  output.replaceChildren(
    element('p', { textContent: `${status}, ${milliseconds(took)}${timing ? `, Server-Timing: ${timing}` : ''}` }),
    element('pre', { tabIndex: 0, role: 'region', ariaLabel: 'Answer', textContent: readable(text).slice(0, LONGEST) }),
    rest > 0 ? element('p', { textContent: `The rest is not shown: the answer has ${text.length.toLocaleString('en')} characters.` }) : '');
  announce(`The answer is ${status}.`);
}

function readable(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
