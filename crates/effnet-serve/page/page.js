// The page of images: what is on it, and what is asked about it.

import { openCamera } from './camera.js';
import { Card, announceAll } from './card.js';
import { announce, byId, copy, download, element } from './dom.js';
import { dropped, pasted } from './files.js';
import { showKeyField } from './key.js';
import { Failure, ask, inWords } from './requests.js';
import { toCsv, toJson } from './results.js';
import { forget, forgetOtherModels, toggleSimilar } from './similar.js';

const cards = [];
let model = null;

showKeyField();

const settings = () => ({ k: byId('k').value, model });

// ---- images

function add(found) {
  notice(found.length === 0 ? 'There are no images in it.' : null);
  const added = found.map(({ file, name }) => new Card(file, name, {
    changed: showProgress,
    again: (card) => card.classify(settings()),
    remove,
    similar: (card) => toggleSimilar(card, cards, model),
  }));
  cards.push(...added);
  byId('cards').append(...added.map((card) => card.element));
  if (model !== null) added.forEach((card) => card.classify(settings()));
  showProgress();
}

function remove(card) {
  const at = cards.indexOf(card);
  cards.splice(at, 1);
  card.discard();
  forget(card);
  // The focus goes to the neighbor, or to where images are added.
  const next = cards[at] ?? cards[at - 1];
  (next?.part('remove') ?? byId('pick')).focus();
  announce(`${card.name} removed`);
  showProgress();
}

function classifyAll() {
  // Without a model, they wait for one.
  if (model === null) return;
  cards.forEach((card) => card.classify(settings()));
}

let wasBusy = false;

function showProgress() {
  const count = (state) => cards.filter((card) => card.state === state).length;
  const [waiting, failed] = [count('waiting'), count('failed')];
  byId('results').hidden = cards.length === 0;
  document.body.classList.toggle('has-images', cards.length > 0);
  byId('progress').textContent = `${cards.length - waiting} of ${cards.length} done${failed ? `, ${failed} failed` : ''}`;
  const isBusy = waiting > 0;
  for (const id of ['copy', 'json', 'csv']) byId(id).disabled = isBusy;
  if (wasBusy && !isBusy && cards.length > 0) announceAll(cards);
  wasBusy = isBusy;
}

/** Shows one line of what went wrong; `null` takes it away. */
function notice(text) {
  // Screen readers would say the same text again.
  if (byId('notice').textContent === (text ?? '')) return;
  byId('notice').textContent = text ?? '';
  byId('notice').hidden = text === null;
}

// ---- models

/** Milliseconds until the models are asked for again, while some are loading or none is there. */
const MODELS_AGAIN = 2000;
let areUnknown = false;

async function loadModels() {
  const select = byId('model');
  let all;
  try {
    ({ json: all } = await ask('models'));
    if (!Array.isArray(all)) throw new Failure('The server’s answer is no list of models.');
  } catch (error) {
    areUnknown = true;
    notice(`The models are unknown, and images wait: ${inWords(error)}`);
    setTimeout(loadModels, MODELS_AGAIN);
    return;
  }
  if (areUnknown) notice(null);
  areUnknown = false;
  const ready = all.filter(({ state }) => state === 'ready');
  // A model may be there in several versions; a question without one is answered by the latest.
  const names = [...new Set(ready.map(({ name }) => name))];
  select.replaceChildren(...names.map((name) => {
    const { classes } = ready.findLast((each) => each.name === name);
    return element('option', { value: name, textContent: classes ? `${name} (${classes} classes)` : name });
  }));
  const wanted = names.includes(model) ? model : ready.find((each) => each.default)?.name ?? names[0] ?? null;
  select.disabled = wanted === null;
  if (wanted === null) select.append(element('option', { textContent: 'none is ready' }));
  else select.value = wanted;
  choose(wanted);
  if (wanted === null || all.some(({ state }) => state === 'loading')) setTimeout(loadModels, MODELS_AGAIN);
}

function choose(name) {
  if (name === model) return;
  model = name;
  forgetOtherModels(model, cards);
  classifyAll();
}

byId('model').addEventListener('change', (event) => choose(event.target.value));
byId('k').addEventListener('change', classifyAll);

// ---- ways to add images

byId('pick').addEventListener('click', () => byId('files').click());
byId('files').addEventListener('change', (event) => {
  add(Array.from(event.target.files, (file) => ({ file, name: file.name })));
  // The same file can be chosen again.
  event.target.value = '';
});
byId('camera-open').addEventListener('click', () => {
  notice(null);
  openCamera((picture) => add([picture]), notice);
});

// `dragenter` and `dragleave` come for every element under the pointer.
let depth = 0;
const hover = (change) => {
  depth = change === 0 ? 0 : Math.max(0, depth + change);
  document.body.classList.toggle('is-over', depth > 0);
};
document.addEventListener('dragenter', () => hover(1));
document.addEventListener('dragleave', () => hover(-1));
document.addEventListener('dragover', (event) => event.preventDefault());
document.addEventListener('drop', async (event) => {
  event.preventDefault();
  hover(0);
  try {
    add(await dropped(event.dataTransfer));
  } catch (error) {
    notice(`The folder cannot be read: ${error.message}`);
  }
});
document.addEventListener('paste', (event) => {
  const files = pasted(event.clipboardData);
  if (files.length === 0) return;
  event.preventDefault();
  add(files);
});

// ---- all results

const records = () => cards.map((card) => card.record);

byId('copy').addEventListener('click', (event) => copy(toJson(records()), event.currentTarget));
byId('json').addEventListener('click', () => download(toJson(records()), 'application/json', 'effnet.json'));
byId('csv').addEventListener('click', () => download(toCsv(records()), 'text/csv', 'effnet.csv'));
byId('clear').addEventListener('click', () => {
  cards.splice(0).forEach((card) => card.discard());
  showProgress();
  byId('pick').focus();
  announce('All images removed');
});

loadModels();
