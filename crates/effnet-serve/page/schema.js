// JSON schemas of an OpenAPI 3.1 document, for people.

import { element } from './dom.js';

/** What a reference within the document points at; anything else is given as it is. */
export function resolve(api, value) {
  const steps = value?.$ref?.match(/^#\/(.*)$/)?.[1].split('/') ?? null;
  if (steps === null) return value ?? {};
  const names = steps.map((step) => decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~'));
  return names.reduce((node, name) => node?.[name], api) ?? {};
}

const isNull = (schema) => schema.type === 'null';
const choices = (schema) => schema.oneOf ?? schema.anyOf ?? [];

/** A schema's type in a few words: `array of Prediction`, `string or null`. */
export function typeName(api, schema) {
  if (schema === true || schema === undefined) return 'anything';
  if (schema.$ref) return schema.$ref.split('/').at(-1);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' or ');
  if (choices(schema).length > 0) return choices(schema).map((each) => typeName(api, each)).join(' or ');
  if (schema.allOf) return schema.allOf.map((each) => typeName(api, each)).join(' and ');
  if (schema.type === undefined) return schema.properties ? 'object' : 'anything';
  return [schema.type].flat().map((type) => {
    if (type === 'array') return `array of ${typeName(api, schema.items)}`;
    return type === 'null' || !schema.format ? type : `${type} (${schema.format})`;
  }).join(' or ');
}

/** Limits and the default, in words. */
function limits(schema) {
  const rows = [
    ['default', JSON.stringify(schema.default)], ['example', JSON.stringify(schema.example ?? schema.examples?.[0])],
    ['at least', schema.minimum], ['at most', schema.maximum],
    ['items at least', schema.minItems], ['items at most', schema.maxItems], ['pattern', schema.pattern],
  ];
  return rows.filter(([, value]) => value !== undefined).map(([name, value]) => `${name} ${value}`).join(', ');
}

const isBinary = (schema) => (schema.items ?? schema).format === 'binary';

/** The name of a form's field for files. */
export function fileField(api, schema) {
  const properties = Object.entries(resolve(api, schema).properties ?? {});
  return properties.find(([, property]) => isBinary(resolve(api, property)))?.[0] ?? 'file';
}

/** What is said about a schema, in short: the first paragraph. */
function about(api, schema) {
  const [only, ...more] = choices(schema).filter((each) => !isNull(each));
  const inner = only && more.length === 0 ? about(api, only) : undefined;
  return (schema.description ?? inner ?? resolve(api, schema).description)?.split(/\n\s*\n/)[0];
}

/** Text with `code` in it. The targets of Rust's links are left out. */
export function prose(text, tag = 'span') {
  const parts = (text ?? '').replace(/\[([^\]]+)\]\([^)]*\)|\[(`[^\]]+`)\]/g, '$1$2').split('`');
  return element(tag, {}, ...parts.map((part, i) => (i % 2 === 1 ? element('code', { textContent: part }) : part)));
}

/** A name, its type, and what is said about it: of a property or a parameter. */
export function field(api, name, schema, { isRequired = false, description, shown = new Set() } = {}) {
  const target = resolve(api, schema);
  const said = description ?? about(api, schema);
  const small = [typeName(api, schema), isRequired ? 'required' : '', limits(target)].filter(Boolean).join(', ');
  return element('li', {},
    name === null ? null : element('code', { className: 'field', textContent: name }), ' ',
    element('span', { className: 'type', textContent: small }), ' ',
    said ? prose(said) : null,
    inside(api, schema, shown));
}

/** What a schema consists of, as a list; nothing for plain values. */
export function inside(api, schema, shown = new Set()) {
  if (schema?.$ref) {
    // A type is opened where it comes first; it may be within itself.
    if (shown.has(schema.$ref)) return null;
    shown.add(schema.$ref);
    return inside(api, resolve(api, schema), shown);
  }
  const rows = schema === undefined || schema === true ? [] : parts(api, schema, shown);
  return rows.length === 0 ? null : element('ul', { className: 'schema' }, ...rows);
}

function parts(api, schema, shown) {
  const rows = Object.entries(schema.properties ?? {}).map(([name, property]) => (
    field(api, name, property, { isRequired: schema.required?.includes(name), shown })));
  for (const all of schema.allOf ?? []) {
    const joined = inside(api, all, shown);
    rows.push(...(joined?.children ?? []));
  }
  const others = choices(schema).filter((each) => !isNull(each));
  if (others.length === 1) {
    rows.push(...(inside(api, others[0], shown)?.children ?? []));
  } else {
    const isPlain = (each) => inside(api, each, new Set(shown)) === null && !resolve(api, each).description;
    if (!others.every(isPlain)) {
      rows.push(...others.map((each) => element('li', {}, 'either ', ...field(api, null, each, { shown }).childNodes)));
    }
  }
  if (schema.items) rows.push(...(inside(api, schema.items, shown)?.children ?? []));
  const rest = schema.additionalProperties;
  if (rest !== undefined && rest !== false) rows.push(field(api, 'any other name', rest, { shown }));
  return rows;
}

/** A value that a schema allows, for an example. */
export function sample(api, schema, depth = 0) {
  const target = resolve(api, schema);
  const given = target.example ?? target.examples?.[0] ?? target.default ?? target.const ?? target.enum?.[0];
  if (given !== undefined) return given;
  const [first] = choices(target).filter((each) => !isNull(each));
  if (first) return sample(api, first, depth);
  if (target.allOf) return Object.assign({}, ...target.allOf.map((each) => sample(api, each, depth)));
  const type = [target.type].flat().find((each) => each !== 'null');
  if (type === 'array') return depth > 4 ? [] : [sample(api, target.items ?? {}, depth + 1)];
  if (type === 'object' || target.properties) {
    // Properties that may be left out may exclude each other.
    const names = target.required?.length ? target.required : Object.keys(target.properties ?? {}).slice(0, 1);
    const entries = depth > 4 ? [] : names.map((name) => [name, sample(api, target.properties?.[name] ?? {}, depth + 1)]);
    return Object.fromEntries(entries);
  }
  return { integer: 1, number: 0.5, boolean: true, string: 'text' }[type] ?? null;
}
