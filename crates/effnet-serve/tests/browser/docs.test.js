// The page of the API's documentation, against a stub or a real server.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { broken, coffee } from './images.js';
import { accessible, fits, open, useBrowser, useServer } from './support.js';

useBrowser();
const server = useServer();

async function openDocs(options, hash = '') {
  const page = await open(`${server.address}/docs${hash}`, options);
  await page.locator('.operation').first().waitFor();
  return page;
}

test('every operation, with its parameters, bodies and responses', async () => {
  const page = await openDocs();
  const api = await (await fetch(`${server.address}/openapi.json`)).json();
  const methods = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'];
  const wanted = Object.entries(api.paths).flatMap(([path, item]) => methods.filter((method) => item[method]).map((method) => `${method.toUpperCase()} ${path}`));
  assert.deepEqual((await page.locator('.operation h3').allTextContents()).sort(), wanted.sort());
  assert.deepEqual((await page.locator('#contents a').allTextContents()).sort(), wanted.sort());
  const classify = page.locator('#post-classify');
  const text = await classify.textContent();
  for (const word of ['k (query)', 'model (query)', 'multipart/form-data', 'application/json', 'predictions', 'logit', 'probability']) {
    assert.ok(text.includes(word), word);
  }
  if (server.stub) assert.ok(text.includes('As Record has it, and k in [0, 1].'), text);
  const all = await page.locator('#api').textContent();
  for (const word of ['[object', 'undefined', '```', 'crate::', '](']) assert.equal(all.includes(word), false, word);
  await accessible(page);
});

test('curl lines, to copy', async () => {
  const page = await openDocs({ permissions: ['clipboard-read', 'clipboard-write'] });
  const line = page.locator('#get-models .curl');
  const { origin, pathname } = new URL(server.address);
  const wanted = `curl '${origin}${pathname.replace(/\/$/, '')}/models'`;
  assert.equal((await line.locator('code').textContent()).replace(/ -H "[^"]*"/, ''), wanted);
  await line.getByRole('button').click();
  await page.getByText('Copied').first().waitFor();
  assert.equal((await page.evaluate(() => navigator.clipboard.readText())).replace(/ -H "[^"]*"/, ''), wanted);
  const lines = await page.locator('#post-classify .curl code').allTextContents();
  assert.ok(lines.some((each) => each.includes('--data-binary @image.jpg')), lines.join('\n'));
  assert.ok(lines.some((each) => /-F \w+=@image\.jpg/.test(each)), lines.join('\n'));
});

test('trying a GET', async () => {
  const page = await openDocs();
  const models = page.locator('#get-models');
  await models.getByRole('button', { name: 'Send' }).click();
  const answer = JSON.parse(await models.locator('pre').textContent());
  assert.equal(answer[0].state, 'ready');
  assert.match(await models.locator('.output > p').first().textContent(), /^200 OK, [\d.,]+ ms/);
  assert.equal(await page.getByRole('status').textContent(), 'The answer is 200 OK.');
  await accessible(page);
});

test('trying POST /classify with a file', async () => {
  const page = await openDocs();
  const classify = page.locator('#post-classify');
  await classify.getByLabel('k', { exact: true }).fill('2');
  await classify.getByLabel('file', { exact: true }).setInputFiles([coffee]);
  await classify.getByRole('button', { name: 'Send' }).click();
  const answer = JSON.parse(await classify.locator('pre').textContent());
  assert.equal(answer.predictions.length, 2);
  assert.equal(answer.predictions[0].label, 'espresso');
  assert.match(await classify.locator('.output > p').first().textContent(), /Server-Timing: .*infer/);
  await classify.getByLabel('file', { exact: true }).setInputFiles([broken]);
  await classify.getByRole('button', { name: 'Send' }).click();
  await classify.locator('.output > p').filter({ hasText: /^422/ }).waitFor();
  assert.match(await classify.locator('pre').textContent(), /"error"/);
});

test('a link to an operation', async () => {
  const page = await openDocs({ viewport: { width: 800, height: 500 } }, '#get-models');
  await page.waitForFunction(() => {
    const { top } = document.getElementById('get-models').getBoundingClientRect();
    return top >= 0 && top < window.innerHeight;
  });
});

test('narrow, and dark', async () => {
  const page = await openDocs({ viewport: { width: 320, height: 600 }, colorScheme: 'dark' });
  await fits(page);
  for (const details of await page.locator('details').all()) await details.evaluate((each) => { each.open = true; });
  await fits(page);
  await page.locator('#get-models').getByRole('button', { name: 'Send' }).click();
  await page.locator('pre').waitFor();
  await fits(page);
  await accessible(page);
});

test('every button and field is reached by the keyboard', async () => {
  const page = await openDocs();
  const count = await page.locator('main :is(button, input, summary):visible').count();
  const reached = new Set();
  for (let i = 0; i < count + 200; i += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => [...document.querySelectorAll('main :is(button, input, summary)')].indexOf(document.activeElement));
    if (at >= 0) reached.add(at);
    if (reached.size === count) break;
  }
  assert.equal(reached.size, count);
});
