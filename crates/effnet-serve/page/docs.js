// The documentation of the API, from its OpenAPI document.

import { byId, copy, element } from './dom.js';
import { showKeyField } from './key.js';
import { Failure, ask } from './requests.js';
import { field, fileField, inside, prose, resolve, sample, typeName } from './schema.js';
import { isFile, rawBody, tryIt } from './try.js';

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'];

showKeyField();

/** All operations, with what their paths share. */
function operations(api) {
  return Object.entries(api.paths ?? {}).flatMap(([path, item]) => METHODS
    .filter((method) => item[method])
    .map((method) => {
      const operation = item[method];
      const parameters = [...item.parameters ?? [], ...operation.parameters ?? []].map((each) => resolve(api, each));
      return {
        method,
        path,
        operation: { ...operation, requestBody: operation.requestBody && resolve(api, operation.requestBody) },
        parameters,
        tag: operation.tags?.[0] ?? 'other',
        id: `${method}${path}`.replace(/\W+/g, '-').replace(/-$/, ''),
      };
    }));
}

function paragraphs(text) {
  return (text ?? '').split(/\n\s*\n/).filter((part) => part.trim()).map((part) => prose(part, 'p'));
}

function heading(tag, id, text) {
  return element(tag, { id, textContent: text });
}

function signature({ method, path }) {
  return [element('span', { className: 'method', textContent: method.toUpperCase() }), ' ', path];
}

function section({ id, method, path, operation, parameters }, api) {
  const head = element('h3', { id: `${id}-title` }, element('code', {}, ...signature({ method, path })));
  const part = (title, ...children) => [element('h4', { textContent: title }), ...children];
  const about = [operation.summary, operation.description].flatMap(paragraphs);
  const request = { method, path, operation, parameters };
  const canTry = method === 'get' || rawBody(operation) !== undefined;
  const node = element('section', { id, className: 'operation' }, head, ...about,
    ...(parameters.length === 0 ? [] : part('Parameters', element('ul', { className: 'schema' },
      ...parameters.map((each) => field(api, `${each.name} (${each.in})`, each.schema ?? {}, {
        isRequired: each.required, description: each.description,
      }))))),
    ...(operation.requestBody ? part('Body', ...bodies(api, operation.requestBody)) : []),
    ...part('Responses', ...Object.entries(operation.responses ?? {}).map(([status, each]) => response(api, status, resolve(api, each)))),
    ...part('With curl', ...curls(api, request)),
    ...(canTry ? part('Try it', tryIt(request)) : []));
  node.setAttribute('aria-labelledby', head.id);
  return node;
}

function bodies(api, body) {
  return [
    ...paragraphs(body.description),
    ...Object.entries(body.content ?? {}).map(([type, { schema }]) => element('div', {},
      element('code', { textContent: type }), ' ',
      element('span', { className: 'type', textContent: typeName(api, schema) }),
      inside(api, schema))),
  ];
}

function response(api, status, { description, headers, content }) {
  const rows = [
    ...Object.entries(headers ?? {}).map(([name, each]) => {
      const header = resolve(api, each);
      return element('ul', { className: 'schema' },
        field(api, `${name} (header)`, header.schema ?? {}, { description: header.description }));
    }),
    ...bodies(api, { content }),
  ];
  const summary = [element('code', { textContent: status }), ' ', prose(description)];
  if (rows.length === 0) return element('p', { className: 'response' }, ...summary);
  return element('details', { className: 'response', open: status.startsWith('2') },
    element('summary', {}, ...summary), ...rows);
}

/** One line for each kind of body. */
function curls(api, { method, path, operation }) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  // Braces mean something to curl.
  const url = new URL(`.${path.replace(/\{(\w+)\}/g, (_, name) => name.toUpperCase())}`, document.baseURI).href;
  const wantsKey = (operation.security ?? api.security ?? []).some((each) => Object.keys(each).length > 0);
  const start = [
    'curl', ...(['get', 'post'].includes(method) ? [] : ['-X', method.toUpperCase()]),
    ...(wantsKey ? ['-H', '"Authorization: Bearer $KEY"'] : []),
  ];
  const body = (type, { schema, example }) => {
    if (type === 'multipart/form-data') return ['-F', `${fileField(api, schema)}=@image.jpg`];
    if (/json/.test(type)) return ['-H', quoted(`Content-Type: ${type}`), '-d', quoted(JSON.stringify(example ?? sample(api, schema)))];
    if (!isFile(type, schema)) return null;
    return ['-H', quoted('Content-Type: application/octet-stream'), '--data-binary', '@image.jpg'];
  };
  const content = Object.entries(operation.requestBody?.content ?? {});
  const ends = content.length > 0 ? content.map(([type, each]) => body(type, each)).filter(Boolean)
    : [method === 'post' ? ['-X', 'POST'] : []];
  const lines = new Set(ends.map((end) => [...start, ...end, quoted(url)].join(' ')));
  return Array.from(lines, (line) => {
    const button = element('button', { textContent: 'Copy' });
    button.setAttribute('aria-label', `Copy the curl line: ${line}`);
    button.addEventListener('click', () => copy(line, button));
    return element('div', { className: 'curl' }, element('code', { textContent: line }), button);
  });
}

function show(api) {
  const all = operations(api);
  const described = (api.tags ?? []).map(({ name }) => name);
  const tags = [...new Set([...described, ...all.map(({ tag }) => tag)])].filter((tag) => all.some((each) => each.tag === tag));
  const contents = byId('contents');
  const main = byId('api');
  main.append(heading('h2', 'title', `${api.info?.title ?? 'API'} ${api.info?.version ?? ''}`), ...paragraphs(api.info?.description),
    element('p', {}, 'The same for programs: ', element('a', { href: 'openapi.json', textContent: 'openapi.json' })));
  for (const tag of tags) {
    const own = all.filter((each) => each.tag === tag);
    const about = api.tags?.find(({ name }) => name === tag)?.description;
    contents.append(element('h2', { textContent: tag }), element('ul', {}, ...own.map((each) => (
      element('li', {}, element('a', { href: `#${each.id}` }, ...signature(each)))))));
    main.append(element('h2', { className: 'tag', textContent: tag }), ...paragraphs(about), ...own.map((each) => section(each, api)));
  }
  // The browser looked for the fragment before it was here.
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

try {
  const { json } = await ask('openapi.json');
  if (json === null || typeof json !== 'object' || Array.isArray(json)) throw new Failure('openapi.json is no object.');
  show(json);
} catch (error) {
  if (!(error instanceof Failure)) console.error(error);
  byId('notice').hidden = false;
  byId('notice').textContent = `The documentation cannot be shown: ${error.message}`;
}
