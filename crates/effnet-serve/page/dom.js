// Small helpers for both pages.

export const byId = (id) => document.getElementById(id);

/** An element with properties, and with children: elements, text, or nothing (null). */
export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** "2.3 ms", "1,234 ms" */
export function milliseconds(value) {
  const digits = value < 10 ? 1 : 0;
  return `${value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })} ms`;
}

/** Says something to screen readers. */
export function announce(text) {
  byId('status').textContent = text;
}

/** A hint on a button for two seconds. */
function flash(button, text) {
  const label = button.dataset.label ?? button.textContent;
  button.dataset.label = label;
  button.textContent = text;
  announce(text);
  clearTimeout(button.flashing);
  button.flashing = setTimeout(() => { button.textContent = label; }, 2000);
}

/** Copies text, and says so on the button. */
export async function copy(text, button) {
  let copied = false;
  try {
    await navigator.clipboard.writeText(text);
    copied = true;
  } catch {
    // Pages over plain HTTP have no clipboard, except on localhost; there, this old way still works.
    const field = element('textarea', { value: text, className: 'unseen' });
    document.body.append(field);
    field.select();
    copied = document.execCommand('copy');
    field.remove();
    button.focus();
  }
  flash(button, copied ? 'Copied' : 'Not copied: the browser refused');
}

/** Saves text as a file. */
export function download(text, type, name) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  element('a', { href: url, download: name }).click();
  // The download begins after this task.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
