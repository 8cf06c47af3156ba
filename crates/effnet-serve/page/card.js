// An image on the page: its file, what the server said about it, and how that looks.

import { announce, byId, copy, element, milliseconds } from './dom.js';
import { Failure, askAbout, inTurn, inWords } from './requests.js';

const TIMES = ['decode', 'preprocess', 'infer', 'queue'];

/** "95.1%", or the network's output if the model gives no probabilities. */
export function score({ probability, logit }) {
  return typeof probability === 'number' ? `${(probability * 100).toFixed(1)}%` : logit.toFixed(2);
}

export function className({ label, synset, index }) {
  return label ?? synset ?? `class ${index}`;
}

function isPrediction(value) {
  return Number.isInteger(value?.index) && typeof value.logit === 'number';
}

export class Card {
  /** What the server said last; `null` before. Its `image` is the file's name. */
  record = null;
  /** `waiting`, `answered` or `failed`. */
  state;
  #asking = new AbortController();

  /** `changed` is called after each change of `state`; `remove` and `similar` when a button is pressed. */
  constructor(file, name, { changed, again, remove, similar }) {
    Object.assign(this, { file, name, changed });
    this.element = byId('card').content.firstElementChild.cloneNode(true);
    this.picture = URL.createObjectURL(file);
    this.part('name').textContent = name;
    const image = this.element.querySelector('img');
    image.src = this.picture;
    image.addEventListener('error', () => image.replaceWith(this.noPicture()));
    const buttons = { again, remove, similar, copy: () => copy(this.json(), this.part('copy')) };
    for (const [button, work] of Object.entries(buttons)) {
      this.part(button).addEventListener('click', () => work(this));
      this.part(button).setAttribute('aria-describedby', this.nameId());
    }
    this.#show('waiting', 'Waiting');
  }

  part(name) {
    return this.element.querySelector(`.${name}`);
  }

  /** Buttons of all cards have the same names; this describes whose they are. */
  nameId() {
    const name = this.part('name');
    Card.count = (Card.count ?? 0) + (name.id ? 0 : 1);
    name.id ||= `image-${Card.count}`;
    return name.id;
  }

  /** What stands for a picture that the browser cannot show, though the server may read it. */
  noPicture() {
    const ending = this.name.match(/\.(\w{1,5})$/)?.[1] ?? '?';
    return element('span', { className: 'no-picture', textContent: ending.toUpperCase() });
  }

  json() {
    return JSON.stringify(this.record, null, 2);
  }

  /** Asks for the classes, in place of what was asked before. */
  async classify(settings) {
    this.#asking.abort();
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    this.#show('waiting', 'Waiting');
    try {
      const answer = await inTurn(signal, () => {
        this.#show('waiting', 'Asking the server');
        const onBusy = (seconds) => this.#show('waiting', `The server is busy. The next try is in ${seconds.toFixed(0)} s.`);
        return askAbout(this.file, 'classify', settings, { signal, onBusy });
      });
      const { predictions, model } = answer.json ?? {};
      if (!Array.isArray(predictions) || !predictions.every(isPrediction)) {
        throw new Failure('The server’s answer has no predictions.');
      }
      this.record = { image: this.name, model, predictions };
      this.#showAnswers(predictions, answer);
      this.#show('answered', '');
    } catch (error) {
      if (signal.aborted) return;
      // The server calls an image without a name `image`; the card has the name above.
      const words = inWords(error).replace(/^image: /, '');
      this.record = { image: this.name, model: settings.model, error: `${this.name}: ${words}` };
      this.#showAnswers([], null);
      this.#show('failed', words);
    }
  }

  /** Stops what is asked, and frees the picture. */
  discard() {
    this.#asking.abort();
    URL.revokeObjectURL(this.picture);
    this.element.remove();
  }

  #show(state, text) {
    this.state = state;
    this.element.dataset.state = state;
    this.part('answers').ariaBusy = String(state === 'waiting');
    this.part('state').textContent = text;
    this.part('again').hidden = state !== 'failed';
    this.part('similar').hidden = state === 'failed';
    this.part('copy').hidden = state === 'waiting';
    this.changed(this);
  }

  #showAnswers(predictions, answer) {
    this.part('answers').replaceChildren(...predictions.map((prediction) => {
      const bar = element('span', { className: 'meter' });
      bar.style.setProperty('--share', prediction.probability ?? 0);
      return element('li', {},
        element('span', { className: 'class', textContent: className(prediction) }),
        ' ',
        element('span', { className: 'score', textContent: score(prediction) }),
        bar);
    }));
    const times = answer === null ? [] : [
      ...TIMES.filter((name) => name in answer.timing).map((name) => [name, answer.timing[name]]),
      ['round trip', answer.took],
    ];
    this.part('timing').replaceChildren(...times.map(([name, value]) => element('div', {},
      element('dt', { textContent: name }), ' ', element('dd', { textContent: milliseconds(value) }))));
  }
}

/** Says how it went, once nothing is under way. */
export function announceAll(cards) {
  const failed = cards.filter((card) => card.state === 'failed').length;
  if (cards.length === 1) {
    const [{ name, record }] = cards;
    const best = record.predictions?.[0];
    announce(record.error ?? `${name}: ${best ? `${className(best)}, ${score(best)}` : 'no classes'}`);
  } else {
    announce(`${cards.length} images: ${cards.length - failed} answered, ${failed} failed.`);
  }
}
