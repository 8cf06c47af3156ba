// The page of images, against a stub or a real server.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { broken, chelsea, coffee, named, plain, rocket } from './images.js';
import { POLICY } from './stub.js';
import { accessible, card, choose, fits, open, openImages, settled, useBrowser, useServer } from './support.js';

useBrowser();
const server = useServer();

const texts = (page, selector) => page.locator(selector).allTextContents();

/** A drop of files as the page sees it. */
async function drop(page, files) {
  const transfer = await page.evaluateHandle((list) => {
    const data = new DataTransfer();
    for (const { name, mimeType, base64 } of list) {
      const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      data.items.add(new File([bytes], name, { type: mimeType }));
    }
    return data;
  }, files.map(({ name, mimeType, buffer }) => ({ name, mimeType, base64: buffer.toString('base64') })));
  await page.dispatchEvent('body', 'dragenter', { dataTransfer: transfer });
  assert.equal(await page.locator('body.is-over').count(), 1);
  // The browser would open the file in place of the page.
  const isOpened = await page.locator('.drop').evaluate((target, dataTransfer) => ['dragover', 'drop'].map((type) => (
    target.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true })))), transfer);
  assert.deepEqual(isOpened, [false, false]);
  assert.equal(await page.locator('body.is-over').count(), 0);
}

test('every file of the pages comes with the policy', async () => {
  for (const path of ['/', '/docs', '/page/page.js', '/page/page.css', '/page/favicon.svg']) {
    const response = await fetch(server.address + path);
    assert.equal(response.status, 200, path);
    assert.equal(response.headers.get('content-security-policy'), POLICY, path);
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff', path);
    assert.equal(response.headers.get('permissions-policy'), 'camera=(self)', path);
  }
});

test('an image that is picked: classes with names and percents, and times', async () => {
  const page = await openImages(server);
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Choose images' }).click();
  await (await chooser).setFiles([coffee]);
  await settled(page);
  const coffeeCard = card(page, 'coffee.png');
  const rows = await coffeeCard.locator('.answers li').allTextContents();
  assert.equal(rows.length, 5);
  assert.match(rows[0], /^espresso \d+\.\d%$/);
  const times = await coffeeCard.locator('.timing > div').allTextContents();
  assert.deepEqual(times.map((text) => text.replace(/ [\d.,]+ ms$/, '')), ['decode', 'preprocess', 'infer', 'queue', 'round trip']);
  const widths = await coffeeCard.locator('.meter').evaluateAll((bars) => bars.map((bar) => parseFloat(getComputedStyle(bar, '::after').width)));
  assert.ok(widths[0] > widths[4] && widths[0] > 50, `bars: ${widths}`);
  assert.match(await page.getByRole('status').textContent(), /^coffee\.png: espresso, \d+\.\d%$/);
  assert.ok(await coffeeCard.locator('img').evaluate((image) => image.decode().then(() => image.naturalWidth > 0)));
  await accessible(page);
});

test('images that are dropped', async () => {
  const page = await openImages(server);
  await drop(page, [coffee, chelsea]);
  await settled(page);
  assert.deepEqual(await texts(page, '.name'), ['coffee.png', 'chelsea.png']);
  assert.equal(await page.getByRole('status').textContent(), '2 images: 2 answered, 0 failed.');
});

test('a folder that is dropped: its images, in order, with their paths', async () => {
  const page = await openImages(server);
  const folder = await mkdtemp(join(tmpdir(), 'effnet-page-'));
  try {
    await mkdir(join(folder, 'photos', 'more'), { recursive: true });
    const files = { 'photos/10.png': plain('', 9, 9, 9), 'photos/2.PNG': plain('', 1, 2, 3), 'photos/more/a.jpg': rocket, 'photos/notes.txt': broken, 'photos/._2.png': broken };
    for (const [name, { buffer }] of Object.entries(files)) await writeFile(join(folder, name), buffer);
    const chromium = await page.context().newCDPSession(page);
    const data = { items: [], files: [join(folder, 'photos')], dragOperationsMask: 1 };
    for (const type of ['dragEnter', 'dragOver', 'drop']) {
      await chromium.send('Input.dispatchDragEvent', { type, x: 300, y: 300, data });
    }
    await settled(page);
    assert.deepEqual(await texts(page, '.name'), ['photos/2.PNG', 'photos/10.png', 'photos/more/a.jpg']);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a drop without files says so', async () => {
  const page = await openImages(server);
  await drop(page, []);
  assert.equal(await page.getByRole('alert').textContent(), 'There are no images in it.');
});

test('an image from the clipboard', async () => {
  const page = await openImages(server, { permissions: ['clipboard-read', 'clipboard-write'] });
  await page.evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    await navigator.clipboard.write([new ClipboardItem({ 'image/png': new Blob([bytes], { type: 'image/png' }) })]);
  }, plain('', 200, 30, 30).buffer.toString('base64'));
  await page.keyboard.press('Control+V');
  await settled(page);
  await page.keyboard.press('Control+V');
  await page.locator('.card').nth(1).waitFor();
  await settled(page);
  assert.deepEqual(await texts(page, '.name'), ['pasted 1.png', 'pasted 2.png']);
  assert.equal(await page.locator('.answers li').count(), 10);
});

test('thirty images, three of them broken', async () => {
  const page = await openImages(server);
  let [underWay, most] = [0, 0];
  page.on('request', (request) => {
    if (request.method() === 'POST') underWay += 1;
    most = Math.max(most, underWay);
  });
  page.on('requestfinished', (request) => { if (request.method() === 'POST') underWay -= 1; });
  const files = Array.from({ length: 30 }, (_, i) => (i % 10 === 4 ? named(broken, `${i}.jpg`) : plain(`${i}.png`, i * 8, 255 - i * 8, 90)));
  await choose(page, files);
  assert.ok(most <= 4, `${most} requests at once`);
  assert.equal(await page.locator('#progress').textContent(), '30 of 30 done, 3 failed');
  assert.equal(await page.getByRole('status').textContent(), '30 images: 27 answered, 3 failed.');
  assert.deepEqual(await texts(page, '.name'), files.map(({ name }) => name));
  const failed = page.locator('[data-state="failed"]');
  assert.deepEqual(await failed.locator('.name').allTextContents(), ['4.jpg', '14.jpg', '24.jpg']);
  for (const error of await failed.locator('.state').allTextContents()) assert.match(error, /\w+ \w+/);
  assert.deepEqual(await failed.first().getByRole('button').allTextContents(), ['Try again', 'Copy JSON', 'Remove']);
  await accessible(page);

  const saved = async (button) => {
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: button, exact: true }).click();
    return readFile(await (await download).path(), 'utf8');
  };
  const records = JSON.parse(await saved('Download JSON'));
  assert.deepEqual(records.map(({ image }) => image), files.map(({ name }) => name));
  assert.equal(records.filter(({ error }) => typeof error === 'string').length, 3);
  assert.deepEqual(Object.keys(records[0]), ['image', 'model', 'predictions']);
  assert.deepEqual(Object.keys(records[0].predictions[0]), ['index', 'synset', 'label', 'probability', 'logit']);
  const lines = (await saved('Download CSV')).trim().split('\n');
  assert.equal(lines[0], 'image,model,rank,index,synset,label,probability,logit,error');
  assert.equal(lines.length, 1 + 27 * 5 + 3);
  const [{ model, predictions: [best] }] = records;
  assert.ok(lines[1].startsWith(`0.png,${model},1,${best.index},`), lines[1]);
});

test('an error in words, for a file that is no image', async () => {
  const page = await openImages(server);
  await choose(page, [broken]);
  assert.match(await card(page, 'broken.jpg').locator('.state').textContent(), /^not an image/);
  assert.equal(await page.locator('.no-picture').textContent(), 'JPG');
  assert.match(await page.getByRole('status').textContent(), /^broken\.jpg: not an image/);
  await accessible(page);
});

test('other numbers of answers and other models ask again', async () => {
  const page = await openImages(server);
  await choose(page, [coffee, rocket]);
  const first = await texts(page, '.answers li:first-child .class');
  await page.getByLabel('Answers').selectOption('1');
  await settled(page);
  assert.deepEqual(await texts(page, '.answers li .class'), first);
  const names = await page.locator('#model option').evaluateAll((options) => options.map(({ value }) => value));
  for (const name of names) {
    await page.getByLabel('Model').selectOption(name);
    await settled(page);
    await page.getByRole('button', { name: 'Copy JSON' }).last().waitFor();
  }
  await page.getByLabel('Answers').selectOption('3');
  await settled(page);
  const count = await page.locator('.answers li').count();
  assert.equal(count, 6);
});

test('similar images, by their embeddings, which are fetched only then', async () => {
  const page = await openImages(server);
  const embeds = [];
  page.on('request', (request) => { if (request.url().includes('/embed')) embeds.push(request.url()); });
  await choose(page, [coffee, chelsea, rocket, named(coffee, 'copy.png'), broken]);
  assert.equal(embeds.length, 0);
  const button = card(page, 'coffee.png').getByRole('button', { name: 'Similar' });
  await button.click();
  const neighbors = card(page, 'coffee.png').locator('.neighbor');
  await neighbors.nth(2).waitFor();
  assert.equal(embeds.length, 4);
  assert.equal(await button.getAttribute('aria-expanded'), 'true');
  const rows = await neighbors.allTextContents();
  assert.equal(rows[0], 'copy.png 1.000');
  const cosines = rows.map((row) => Number(row.split(' ').at(-1)));
  assert.ok(cosines[1] < 0.9999 && cosines[1] >= cosines[2], rows.join());
  assert.match(await card(page, 'coffee.png').locator('.neighbors > p').textContent(), /^Nearest of 3, by cosine\. 1 could not be compared\.$/);
  await accessible(page);

  await neighbors.first().click();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'copy.png');
  await card(page, 'copy.png').getByRole('button', { name: 'Similar' }).click();
  await card(page, 'copy.png').locator('.neighbor').first().waitFor();
  assert.equal(embeds.length, 4, 'what is known is not fetched again');
  await card(page, 'copy.png').getByRole('button', { name: 'Remove' }).click();
  assert.equal(await neighbors.count(), 2, 'a removed image is no neighbor');
  await button.click();
  assert.equal(await neighbors.first().isVisible(), false);
});

test('an image alone has no neighbors', async () => {
  const page = await openImages(server);
  await choose(page, [coffee]);
  await page.getByRole('button', { name: 'Similar' }).click();
  assert.equal(await page.locator('.neighbors').textContent(), 'There is no other image on the page.');
});

test('removing one, and all', async () => {
  const page = await openImages(server);
  const images = ['a.png', 'b.png', 'c.png'].map((name, i) => plain(name, 50 * i, 100, 100));
  await choose(page, images);
  await card(page, 'b.png').getByRole('button', { name: 'Remove' }).click();
  assert.deepEqual(await texts(page, '.name'), ['a.png', 'c.png']);
  assert.equal(await page.evaluate(() => document.activeElement.closest('.card').querySelector('.name').textContent), 'c.png');
  await page.getByRole('button', { name: 'Remove all' }).click();
  assert.equal(await page.locator('.card').count(), 0);
  assert.equal(await page.getByRole('region', { name: 'Images', exact: true }).isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'pick');
  await choose(page, images.slice(0, 1));
  assert.deepEqual(await texts(page, '.name'), ['a.png']);
});

test('the JSON of one image and of all', async () => {
  const page = await openImages(server, { permissions: ['clipboard-read', 'clipboard-write'] });
  await choose(page, [coffee, rocket]);
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText()).then(JSON.parse);
  await card(page, 'rocket.jpg').getByRole('button', { name: 'Copy JSON' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  const one = await clipboard();
  assert.equal(one.image, 'rocket.jpg');
  assert.equal(one.predictions.length, 5);
  await page.getByRole('button', { name: 'Copy JSON' }).first().click();
  await page.getByRole('button', { name: 'Copied' }).first().waitFor();
  assert.deepEqual((await clipboard())[1], one);
});

test('a picture of the camera', async () => {
  const page = await openImages(server, { permissions: ['camera'] }, () => {
    window.streams = [];
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      const stream = await open(wanted);
      window.streams.push(stream);
      return stream;
    };
  });
  const states = () => page.evaluate(() => window.streams.flatMap((stream) => stream.getTracks().map(({ readyState }) => readyState)));
  assert.deepEqual(await states(), [], 'it is asked for only on a click');
  await page.getByRole('button', { name: 'Use the camera' }).click();
  const dialog = page.getByRole('dialog', { name: 'Camera' });
  await dialog.waitFor();
  assert.deepEqual(await states(), ['live']);
  await accessible(page);
  await dialog.getByRole('button', { name: 'Take the picture' }).click();
  await settled(page);
  assert.deepEqual(await states(), ['ended']);
  assert.deepEqual(await texts(page, '.name'), ['camera 1.jpg']);
  assert.equal(await page.locator('.answers li').count(), 5);

  await page.getByRole('button', { name: 'Use the camera' }).click();
  await dialog.waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  await page.waitForFunction(() => window.streams.every((stream) => stream.getTracks().every(({ readyState }) => readyState === 'ended')));
  assert.equal(await page.locator('.card').count(), 1);
});

for (const [name, says] of [['NotAllowedError', /did not allow/], ['NotFoundError', /no camera/], [null, /HTTPS/]]) {
  test(`no camera: ${name ?? 'the browser has none for this page'}`, async () => {
    const page = await openImages(server);
    await page.evaluate((error) => {
      const getUserMedia = error && (() => Promise.reject(new DOMException('', error)));
      Object.defineProperty(navigator, 'mediaDevices', { value: getUserMedia && { getUserMedia } });
    }, name);
    await page.getByRole('button', { name: 'Use the camera' }).click();
    await page.getByRole('alert').waitFor();
    assert.match(await page.getByRole('alert').textContent(), says);
    await accessible(page);
  });
}

test('with the keyboard alone', async () => {
  const page = await openImages(server);
  // Playwright catches file choosers from here on; otherwise a fast key could come first.
  page.on('filechooser', () => {});
  /** Tabs to an element of this name, and checks that everything on the way shows its focus. */
  const tabTo = async (name) => {
    const wanted = new RegExp(`^${name}$`);
    for (let i = 0; i < 40; i += 1) {
      await page.keyboard.press('Tab');
      const { text, outline } = await page.evaluate(() => {
        const element = document.activeElement;
        // At the end, the focus leaves the page once.
        if (element === document.body) return {};
        const style = getComputedStyle(element);
        return { text: element.labels?.[0]?.firstChild.textContent.trim() ?? element.textContent.trim(), outline: `${style.outlineStyle} ${style.outlineWidth}` };
      });
      if (wanted.test(text ?? '')) return;
      if (text) assert.equal(outline, 'solid 2px', `the focus on "${text}" is not seen`);
    }
    assert.fail(`"${name}" is not reached`);
  };
  await tabTo('Skip to the content');
  await page.keyboard.press('Enter');
  await tabTo('Choose images');
  const chooser = page.waitForEvent('filechooser');
  await page.keyboard.press('Enter');
  await (await chooser).setFiles([coffee, rocket]);
  await settled(page);
  await tabTo('Model');
  await tabTo('Answers');
  await page.keyboard.press('ArrowUp');
  await settled(page);
  assert.equal(await page.locator('.answers li').count(), 6);
  await tabTo('Similar');
  await page.keyboard.press('Enter');
  await page.locator('.neighbor').waitFor();
  await tabTo('rocket\\.jpg \\d\\.\\d{3}');
  await tabTo('Remove');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('.card').count(), 1);
});

test('a screen 320 px wide', async () => {
  const page = await openImages(server, { viewport: { width: 320, height: 600 } });
  await fits(page);
  const long = named(coffee, `${'a_long_name_without_spaces_'.repeat(5)}.png`);
  await choose(page, [long, rocket, broken]);
  await fits(page);
  await page.getByRole('button', { name: 'Similar' }).first().click();
  await page.locator('.neighbor').first().waitFor();
  await fits(page);
  await accessible(page);
});

test('light, dark, and the choice between them, which lasts', async () => {
  const page = await openImages(server, { colorScheme: 'light' });
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  await page.emulateMedia({ colorScheme: 'dark' });
  const dark = await paper();
  assert.notEqual(light, dark);
  await page.getByLabel('Colors').selectOption('light');
  assert.equal(await paper(), light);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.getByLabel('Colors').selectOption('dark');
  await page.reload();
  assert.equal(await paper(), dark);
  assert.equal(await page.getByLabel('Colors').inputValue(), 'dark');
});

test('nothing moves for who wants that', async () => {
  const page = await openImages(server, { reducedMotion: 'reduce' });
  await choose(page, [coffee]);
  const moving = await page.evaluate(() => document.getAnimations().length
    + [...document.querySelectorAll('*')].filter((each) => getComputedStyle(each).transitionProperty !== 'none').length);
  assert.equal(moving, 0);
});

test('an empty page', async () => {
  const page = await openImages(server);
  await accessible(page);
  await fits(page);
});

test('nothing is stored but the colors', async () => {
  const page = await open(`${server.address}/`);
  await page.getByLabel('Colors').selectOption('dark');
  const stored = await page.evaluate(() => [Object.keys(localStorage), Object.keys(sessionStorage), document.cookie]);
  assert.deepEqual(stored, [['effnet-colors'], [], '']);
});
