// Results as the command `effnet classify` writes them.

const COLUMNS = ['image', 'model', 'rank', 'index', 'synset', 'label', 'probability', 'logit', 'error'];

export function toJson(records) {
  return `[${records.map((record) => `\n${JSON.stringify(record)}`).join(',')}\n]\n`;
}

export function toCsv(records) {
  const rows = records.flatMap(({ image, model, predictions, error }) => (
    error === undefined
      ? predictions.map((p, i) => [image, model, i + 1, p.index, p.synset, p.label, p.probability, p.logit, ''])
      : [[image, model, '', '', '', '', '', '', error]]
  ));
  return [COLUMNS, ...rows].map((row) => `${row.map(cell).join(',')}\n`).join('');
}

function cell(value) {
  const text = String(value ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
