// The images on the page that resemble one, by the cosine of their embeddings.

import { announce, element } from './dom.js';
import { Failure, askAbout, inTurn, inWords } from './requests.js';

const NEAREST = 5;

/** The embeddings that were asked for, of one model: a promise of a vector of length 1 for a card. */
let known = { model: null, vectors: new WeakMap(), asking: new AbortController() };

function embedding(card, model) {
  if (!known.vectors.has(card)) {
    const { vectors, asking: { signal } } = known;
    const vector = embed(card.file, model, signal);
    vectors.set(card, vector);
    // A failure is not kept: the next press asks again.
    vector.catch(() => vectors.delete(card));
  }
  return known.vectors.get(card);
}

async function embed(file, model, signal) {
  const { json } = await inTurn(signal, () => askAbout(file, 'embed', { model }, { signal }));
  const values = json?.embedding;
  if (!Array.isArray(values) || !values.every(Number.isFinite)) {
    throw new Failure('The server’s answer has no embedding.');
  }
  const length = Math.hypot(...values) || 1;
  return Float32Array.from(values, (value) => value / length);
}

function cosine(a, b) {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

/** Forgets the embeddings of other models, and closes what shows them. */
export function forgetOtherModels(model, cards) {
  if (known.model === model) return;
  known.asking.abort();
  known = { model, vectors: new WeakMap(), asking: new AbortController() };
  cards.forEach(close);
}

/** Takes an image that was removed out of what is shown. */
export function forget(card) {
  for (const button of document.querySelectorAll('.neighbor')) {
    if (button.dataset.of === card.nameId()) button.parentElement.remove();
  }
}

function close(card) {
  card.part('similar').ariaExpanded = 'false';
  card.part('neighbors').hidden = true;
}

/** Shows the nearest of `cards` to `card`, or hides them if they are shown. */
export async function toggleSimilar(card, cards, model) {
  const button = card.part('similar');
  const panel = card.part('neighbors');
  if (!panel.hidden) {
    close(card);
    return;
  }
  button.ariaExpanded = 'true';
  panel.hidden = false;
  const all = cards.filter((other) => other !== card);
  const others = all.filter((other) => other.state !== 'failed');
  if (all.length === 0) {
    panel.replaceChildren(element('p', { textContent: 'There is no other image on the page.' }));
    return;
  }
  panel.replaceChildren(element('p', { textContent: 'Comparing' }));
  const { signal } = known.asking;
  const results = await Promise.allSettled([card, ...others].map((each) => embedding(each, model)));
  if (signal.aborted) return;
  const [own, ...rest] = results;
  if (own.status === 'rejected') {
    panel.replaceChildren(element('p', { className: 'error', textContent: inWords(own.reason) }));
    return;
  }
  const compared = others
    .map((other, i) => ({ other, vector: rest[i].value }))
    .filter(({ vector }) => vector?.length === own.value.length)
    .map(({ other, vector }) => ({ other, cosine: cosine(own.value, vector) }))
    .sort((a, b) => b.cosine - a.cosine);
  show(panel, compared, all.length - compared.length);
  announce(compared.length === 0 ? 'No other image could be compared.'
    : `Nearest to ${card.name}: ${compared[0].other.name}, cosine ${compared[0].cosine.toFixed(3)}`);
}

function show(panel, compared, failed) {
  const not = failed === 0 ? '' : ` ${failed} could not be compared.`;
  panel.replaceChildren(
    element('p', { textContent: `Nearest of ${compared.length}, by cosine.${not}` }),
    element('ol', {}, ...compared.slice(0, NEAREST).map(({ other, cosine: value }) => {
      const button = element('button', { className: 'neighbor' },
        other.element.querySelector('.picture').firstElementChild.cloneNode(true),
        element('span', { textContent: other.name }),
        ' ',
        element('span', { className: 'score', textContent: value.toFixed(3) }));
      button.dataset.of = other.nameId();
      button.addEventListener('click', () => {
        other.element.scrollIntoView({ block: 'nearest' });
        other.part('name').focus();
      });
      return element('li', {}, button);
    })));
}
