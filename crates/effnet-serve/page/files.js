// Files from what was dropped or pasted.

/** The endings of the images that are taken from a folder; a file that is dropped itself is always taken. */
const IMAGE = /^[^.].*\.(jpe?g|jpe|jfif|jif|jfi|mpo|pjpeg|pjp|a?png|webp|gif|bmp|dib|tiff?|p[bfgpn]m|qoi|ico|cur|tga|icb|vda|vst|jp2|j2[kc]|jpc|jpf|jpx)$/i;

/** The files of a drop, with those in its folders. Their names have the folder's in front. */
export async function dropped(transfer) {
  // Both must be taken before the first wait: the browser empties the list after the event.
  const items = Array.from(transfer.items)
    .filter((item) => item.kind === 'file')
    .map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }));
  const found = [];
  for (const { entry, file } of items) {
    if (entry?.isDirectory) await addFolder(entry, found);
    else if (file) found.push({ file, name: file.name });
  }
  return found;
}

async function addFolder(folder, found) {
  const entries = await entriesOf(folder);
  entries.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  for (const entry of entries) {
    if (entry.isDirectory) {
      await addFolder(entry, found);
    } else if (IMAGE.test(entry.name)) {
      const file = await new Promise((resolve, reject) => { entry.file(resolve, reject); });
      found.push({ file, name: entry.fullPath.replace(/^\//, '') });
    }
  }
}

/** A reader gives its entries in parts, and an empty one at the end. */
async function entriesOf(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    const part = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (part.length === 0) return entries;
    entries.push(...part);
  }
}

let pastedImages = 0;

/** The files of a paste. Browsers call every copied picture `image.png`; these get a number. */
export function pasted(clipboard) {
  return Array.from(clipboard.files, (file) => {
    if (file.name !== 'image.png') return { file, name: file.name };
    pastedImages += 1;
    return { file, name: `pasted ${pastedImages}.png` };
  });
}
