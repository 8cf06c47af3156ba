// The field for the API key, where the server wants one.

import { byId } from './dom.js';
import { askKeyWith } from './requests.js';

/** Shows the field when a request needs it. */
export function showKeyField() {
  const form = byId('key');
  const field = byId('key-value');
  let resolve = () => {};
  askKeyWith((wasRefused) => {
    byId('key-text').textContent = wasRefused
      ? 'The server refused this key. Enter another one.'
      : 'The server wants a key. It stays in the memory of this page and is gone with it.';
    form.hidden = false;
    field.focus();
    return new Promise((given) => { resolve = given; });
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    form.hidden = true;
    resolve(field.value.trim());
    field.value = '';
  });
}
