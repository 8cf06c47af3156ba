// What the tests share: a browser, pages that are watched, and questions that are asked of every state.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, afterEach, before } from 'node:test';

import { chromium } from 'playwright-core';

import { Stub } from './stub.js';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** The server that is tested: the one of the command line, or a stub. */
export const ADDRESS = process.env.EFFNET_ADDRESS?.replace(/\/$/, '');

let browser;
const opened = [];

/** Starts the browser for a file's tests, and checks after each what no page may ever do. */
export function useBrowser() {
  before(async () => {
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
        '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
    });
  });
  afterEach(async () => {
    for (const watched of opened.splice(0)) {
      try {
        await watched.check();
      } finally {
        await watched.page.context().close();
      }
    }
  });
  after(() => browser?.close());
}

/** A server for a file's tests: `server.address`; `server.stub` if it is a stub. */
export function useServer({ prefix = '', stubOnly = false } = {}) {
  const server = {};
  before(async () => {
    if (ADDRESS && !stubOnly) {
      server.address = ADDRESS;
    } else {
      server.stub = await new Stub(prefix).start();
      server.address = server.stub.address;
    }
  });
  after(() => server.stub?.stop());
  return server;
}

/** A page in a profile of its own. */
export async function open(url, options = {}, script = null) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const { origin } = new URL(url);
  const wrong = [];
  page.on('request', (request) => {
    const isOwn = request.url().startsWith(`${origin}/`) || request.url().startsWith(`blob:${origin}/`);
    if (!isOwn) wrong.push(`a request left the origin: ${request.url()}`);
  });
  page.on('console', (message) => {
    // Chromium reports every status from 400 up.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) wrong.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => wrong.push(`uncaught: ${error.stack}`));
  await page.exposeFunction('reportViolation', (what) => wrong.push(`against the policy: ${what}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      window.reportViolation(`${event.effectiveDirective} ${event.blockedURI}`);
    });
  });
  if (script) await page.addInitScript(script);
  opened.push({ page, wrong, check: async () => assert.deepEqual(wrong, []) });
  await page.goto(url);
  return page;
}

/** The page of images, with its models there. */
export async function openImages(server, options, script) {
  const page = await open(`${server.address}/`, options, script);
  await page.locator('#model:enabled').waitFor();
  return page;
}

/** Chooses files, and waits until all images are answered. */
export async function choose(page, files) {
  await page.locator('#files').setInputFiles(files);
  await settled(page);
}

export async function settled(page) {
  await page.waitForFunction(() => {
    const cards = [...document.querySelectorAll('.card')];
    return cards.length > 0 && cards.every((card) => card.dataset.state !== 'waiting');
  });
}

export const card = (page, name) => page.locator('.card').filter({ has: page.getByRole('heading', { name, exact: true }) });

/** What axe leaves to people: colors over pictures, and captions, which the camera's live picture has no sound for. */
const UNDECIDED = ['color-contrast', 'video-caption'];

/** axe finds nothing, in light and in dark. */
export async function accessible(page) {
  const isLoaded = await page.evaluate(() => 'axe' in window);
  if (!isLoaded) await page.evaluate(axe);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const { violations, incomplete } = await page.evaluate(() => window.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    }));
    const said = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('\n')}`);
    assert.deepEqual(said, [], `in ${colorScheme}`);
    const undecided = incomplete.map(({ id }) => id).filter((id) => !UNDECIDED.includes(id));
    assert.deepEqual(undecided, [], `undecided in ${colorScheme}`);
  }
}

/** Nothing is wider than the screen. */
export async function fits(page) {
  const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(content <= screen, `the content is ${content} px wide, the screen ${screen} px`);
}
