// What only a stub does: a server that is busy, slow, wants a key, or answers nonsense.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { afterEach, test } from 'node:test';

import { broken, coffee, named, plain, rocket } from './images.js';
import { MODELS, json } from './stub.js';
import { accessible, card, choose, fits, open, openImages, settled, useBrowser, useServer } from './support.js';

useBrowser();
const server = useServer({ stubOnly: true });
const nested = useServer({ stubOnly: true, prefix: '/vision' });

afterEach(() => {
  server.stub.instead = async () => false;
  server.stub.models = MODELS;
  server.stub.requests = [];
  server.stub.mostUnderWay = 0;
});

const small = (count) => Array.from({ length: count }, (_, i) => plain(`${i}.png`, i * 20, 90, 90));
const asked = (path) => server.stub.requests.filter((request) => request.path === path);

/** Answers questions in place of the stub. */
function classifyWith(answer) {
  server.stub.instead = async (request, response, path) => path === '/classify' && answer(request, response);
}

test('429 and 503 are asked again after Retry-After', async () => {
  let count = 0;
  classifyWith((_, response) => {
    count += 1;
    return count < 3 && json(response, count === 1 ? 429 : 503, { error: 'busy' }, { 'retry-after': count === 1 ? '1' : '0' });
  });
  const page = await openImages(server);
  const began = Date.now();
  await page.locator('#files').setInputFiles([coffee]);
  await page.getByText('The server is busy. The next try is in 1 s.').waitFor();
  await accessible(page);
  await settled(page);
  assert.equal(count, 3);
  assert.ok(Date.now() - began >= 1000, 'it waited');
  assert.equal(await page.locator('.answers li').count(), 5);
});

test('a server that stays busy is asked five times, and again on request', async () => {
  let isBusy = true;
  classifyWith((_, response) => isBusy && json(response, 503, { error: 'the queue is full: try again later' }, { 'retry-after': '0' }));
  const page = await openImages(server);
  await choose(page, [coffee]);
  assert.equal(asked('/classify').length, 5);
  assert.equal(await page.locator('.state').textContent(), 'the queue is full: try again later');
  isBusy = false;
  await page.getByRole('button', { name: 'Try again' }).click();
  await settled(page);
  assert.equal(await page.locator('.answers li').count(), 5);
});

test('a Retry-After that is a date, or nonsense', async () => {
  const values = [new Date(Date.now() - 5000).toUTCString(), 'soon'];
  classifyWith((_, response) => values.length > 0 && json(response, 429, { error: 'busy' }, { 'retry-after': values.shift() }));
  const page = await openImages(server);
  await choose(page, [coffee]);
  assert.equal(await page.locator('.answers li').count(), 5);
});

test('an API key is asked for once, and kept in memory only', async () => {
  server.stub.instead = async (request, response, path) => ['/models', '/classify', '/embed'].includes(path)
    && request.headers.authorization !== 'Bearer right' && json(response, 401, { error: 'the key is missing or wrong' });
  const page = await open(`${server.address}/`);
  const field = page.getByLabel('API key');
  await field.waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'key-value');
  await accessible(page);
  await page.locator('#files').setInputFiles(small(3));
  await field.fill('wrong');
  await page.keyboard.press('Enter');
  await page.getByText('The server refused this key. Enter another one.').waitFor();
  await field.fill('right');
  await page.getByRole('button', { name: 'Use this key' }).click();
  await settled(page);
  assert.equal(await field.isVisible(), false);
  assert.equal(await page.locator('.answers li').count(), 15);
  assert.deepEqual(new Set(asked('/classify').map(({ headers }) => headers.authorization)), new Set(['Bearer right']));
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, document.getElementById('key-value').value]));
  assert.ok(!stored.includes('right'), stored);
});

test('a key that is wanted later, by many at once', async () => {
  const page = await openImages(server);
  classifyWith((request, response) => request.headers.authorization !== 'Bearer right' && json(response, 401, { error: 'no key' }));
  await page.locator('#files').setInputFiles(small(9));
  await page.getByLabel('API key').fill('right');
  await page.keyboard.press('Enter');
  await settled(page);
  assert.equal(await page.locator('.answers li').count(), 45);
});

test('slow answers: four at once, and what is removed is not waited for', async () => {
  const held = [];
  classifyWith(() => new Promise((resolve) => { held.push(resolve); }));
  const page = await openImages(server);
  await page.locator('#files').setInputFiles(small(9));
  await page.waitForFunction(() => document.querySelectorAll('.card').length === 9);
  while (held.length < 4) await new Promise((resolve) => { setTimeout(resolve, 20); });
  assert.deepEqual(await page.locator('.state').allTextContents(), [...Array(4).fill('Asking the server'), ...Array(5).fill('Waiting')]);
  assert.equal(await page.getByRole('button', { name: 'Download CSV' }).isDisabled(), true);
  await accessible(page);
  assert.equal(server.stub.mostUnderWay, 4);
  // One that is asked, and one that waits.
  await card(page, '0.png').getByRole('button', { name: 'Remove' }).click();
  await card(page, '8.png').getByRole('button', { name: 'Remove' }).click();
  // The server may see the next request before it sees the end of the one that was given up.
  while (held.length < 5 || server.stub.underWay > 4) await new Promise((resolve) => { setTimeout(resolve, 20); });
  classifyWith(() => false);
  held.forEach((release) => release(false));
  await settled(page);
  assert.equal(await page.locator('.card').count(), 7);
  assert.equal(await page.locator('#progress').textContent(), '7 of 7 done');
  assert.equal(asked('/classify').length, 8);
});

test('an answer to an old question is not shown', async () => {
  let release;
  classifyWith((request) => request.url.includes('k=5') && new Promise((resolve) => { release = resolve; }));
  const page = await openImages(server);
  await page.locator('#files').setInputFiles([coffee]);
  while (!release) await new Promise((resolve) => { setTimeout(resolve, 20); });
  await page.getByLabel('Answers').selectOption('1');
  await settled(page);
  release(false);
  await page.waitForTimeout(200);
  assert.equal(await page.locator('.answers li').count(), 1);
});

const html = '<img src=x onerror="document.title=1">';
for (const [name, answer, says] of [
  ['HTML', (response) => { response.writeHead(200, { 'content-type': 'text/html' }); response.end('<p>proxy</p>'); return true; }, /not JSON/],
  ['no body', (response) => { response.writeHead(502); response.end(); return true; }, /answered 502/],
  ['no predictions', (response) => json(response, 200, { image: 'image', model: 'm' }), /no predictions/],
  ['null', (response) => json(response, 200, null), /no predictions/],
  ['predictions of another kind', (response) => json(response, 200, { predictions: [{ label: 'cat' }] }), /no predictions/],
  ['an answer that breaks off', (response) => { response.writeHead(200, { 'content-length': 100 }); response.write('{"pre'); setTimeout(() => response.destroy(), 50); return true; }, /did not answer/],
  ['an error with markup', (response) => json(response, 422, { error: html }), /^<img src=x/],
]) {
  test(`nonsense: ${name}`, async () => {
    classifyWith((_, response) => answer(response));
    const page = await openImages(server);
    await choose(page, [coffee]);
    assert.equal(await page.locator('.card').getAttribute('data-state'), 'failed');
    assert.match(await page.locator('.state').textContent(), says);
    classifyWith(() => false);
    await page.getByRole('button', { name: 'Try again' }).click();
    await settled(page);
    assert.equal(await page.locator('.answers li').count(), 5);
  });
}

test('names are text: of files, of classes and of models', async () => {
  server.stub.models = [{ ...MODELS[0], name: html }];
  classifyWith((_, response) => json(response, 200, { image: 'image', model: html, predictions: [{ index: 1, synset: null, label: html, probability: null, logit: 1.5 }, { index: 7, synset: null, label: null, probability: 1e-9, logit: -3 }] }, { 'server-timing': 'queue, decode;dur=x, infer;desc="a";dur=3' }));
  const page = await openImages(server);
  await choose(page, [named(coffee, '<b>a.png')]);
  assert.deepEqual(await page.locator('.answers li').allTextContents(), [`${html} 1.50`, 'class 7 0.0%']);
  assert.equal(await page.locator('.name').textContent(), '<b>a.png');
  assert.equal(await page.locator('.timing > div').count(), 1);
});

test('CSV: commas, quotes and line ends in names', async () => {
  classifyWith((_, response) => json(response, 200, { image: 'image', model: 'm', predictions: [{ index: 1, synset: null, label: 'a "b", c', probability: 0.25, logit: 1.5 }] }));
  const page = await openImages(server);
  await choose(page, [named(coffee, 'x,y.png')]);
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download CSV' }).click();
  const [, line] = (await readFile(await (await download).path(), 'utf8')).split('\n');
  assert.equal(line, '"x,y.png",m,1,1,,"a ""b"", c",0.25,1.5,');
});

test('another model: its classes, and its embeddings', async () => {
  const page = await openImages(server);
  await choose(page, [coffee, rocket]);
  await page.getByRole('button', { name: 'Similar' }).first().click();
  await page.locator('.neighbor').waitFor();
  await page.getByLabel('Model').selectOption('tiny');
  await settled(page);
  assert.equal(await page.locator('.answers li').count(), 6, 'it has three classes');
  assert.match(await page.locator('.class').first().textContent(), /^class \d$/);
  assert.equal(await page.locator('.neighbors:visible').count(), 0);
  await page.getByRole('button', { name: 'Similar' }).first().click();
  await page.locator('.neighbor:visible').waitFor();
  assert.deepEqual(asked('/embed').map(({ query }) => query.get('model')), ['tf_efficientnet_lite0.in1k', 'tf_efficientnet_lite0.in1k', 'tiny', 'tiny']);
});

test('embeddings that fail', async () => {
  const page = await openImages(server);
  await choose(page, [coffee, rocket]);
  server.stub.instead = async (_, response, path) => path === '/embed' && json(response, 200, { embedding: [1, 'a'] });
  await page.getByRole('button', { name: 'Similar' }).first().click();
  await page.getByText('The server’s answer has no embedding.').waitFor();
  await accessible(page);
  server.stub.instead = async () => false;
  await page.getByRole('button', { name: 'Similar' }).first().click();
  await page.getByRole('button', { name: 'Similar' }).first().click();
  await page.locator('.neighbor').waitFor();
});

test('models: only those that are ready, and those that become it', async () => {
  server.stub.models = [...MODELS, { ...MODELS[1], version: '2' }];
  const page = await openImages(server);
  const names = () => page.locator('#model option').evaluateAll((options) => options.map(({ value }) => value));
  assert.deepEqual(await names(), ['tf_efficientnet_lite0.in1k', 'tiny'], 'one for all versions of a model');
  await page.getByLabel('Model').selectOption('tiny');
  await page.evaluate(() => document.dispatchEvent(new DragEvent('drop', { dataTransfer: new DataTransfer() })));
  await page.getByRole('alert').waitFor();
  server.stub.models = MODELS.map((model) => ({ ...model, state: 'ready' }));
  await page.locator('#model option[value=late]').waitFor({ state: 'attached' });
  assert.equal(await page.getByLabel('Model').inputValue(), 'tiny');
  assert.equal(await page.getByRole('alert').isVisible(), true, 'what was said about something else stays');
});

test('no models yet: images wait for one', async () => {
  server.stub.models = [];
  const page = await open(`${server.address}/`);
  await page.getByText('none is ready').waitFor({ state: 'attached' });
  await page.locator('#files').setInputFiles([coffee, broken]);
  await page.getByLabel('Answers').selectOption('3');
  assert.equal(asked('/classify').length, 0);
  await accessible(page);
  server.stub.models = MODELS;
  await settled(page);
  assert.equal(await page.locator('.answers li').count(), 3);
});

for (const [name, answer] of [['an error', [500, { error: 'out of order' }]], ['no list', [200, { models: 1 }]]]) {
  test(`GET /models gives ${name}`, async () => {
    server.stub.instead = async (_, response, path) => path === '/models' && json(response, ...answer);
    const page = await open(`${server.address}/`);
    await page.getByRole('alert').waitFor();
    assert.match(await page.getByRole('alert').textContent(), /^The models are unknown, and images wait: ./);
    await accessible(page);
    await fits(page);
    server.stub.instead = async () => false;
    await page.locator('#model:enabled').waitFor();
    assert.equal(await page.getByRole('alert').isVisible(), false);
  });
}

test('under a path, nothing is asked for outside of it', async () => {
  for (const path of ['/index.html', '/']) {
    const page = await open(nested.address + path);
    await page.locator('#model:enabled').waitFor();
    await choose(page, [coffee]);
    assert.equal(await page.locator('.answers li').count(), 5);
    await page.getByRole('link', { name: 'API' }).click();
    await page.locator('.operation').first().waitFor();
    await page.getByRole('link', { name: 'Images' }).click();
    await page.locator('#model:enabled').waitFor();
  }
  assert.ok(nested.stub.requests.length > 20);
});

test('the documentation: a document that is missing, or no document', async () => {
  for (const [status, value] of [[404, { error: 'no /openapi.json' }], [200, []]]) {
    server.stub.instead = async (_, response, path) => path === '/openapi.json' && json(response, status, value);
    const page = await open(`${server.address}/docs`);
    await page.getByRole('alert').waitFor();
    assert.match(await page.getByRole('alert').textContent(), /^The documentation cannot be shown: .*openapi\.json/);
    await accessible(page);
  }
});

test('the documentation shows an answer of 503 as it is', async () => {
  server.stub.instead = async (_, response, path) => path === '/health/ready' && json(response, 503, { error: 'not yet' }, { 'retry-after': '0' });
  const page = await open(`${server.address}/docs`);
  await page.locator('#get-health-ready').getByRole('button', { name: 'Send' }).click();
  await page.locator('#get-health-ready pre').waitFor();
  assert.match(await page.locator('#get-health-ready .output > p').textContent(), /^503 Service Unavailable/);
  assert.equal(asked('/health/ready').length, 1);
});

test('the documentation with a key', async () => {
  server.stub.instead = async (request, response, path) => path === '/models'
    && request.headers.authorization !== 'Bearer right' && json(response, 401, { error: 'no key' });
  const page = await open(`${server.address}/docs`);
  await page.locator('#get-models').getByRole('button', { name: 'Send' }).click();
  await page.getByLabel('API key').fill('right');
  await page.keyboard.press('Enter');
  assert.match(await page.locator('#get-models .output pre').textContent(), /"state": "ready"/);
});
