// Pictures of the camera.

import { byId } from './dom.js';

const PROBLEMS = {
  NotAllowedError: 'The browser did not allow the camera. Allow it in the settings of this page, then try again.',
  NotFoundError: 'There is no camera.',
  NotReadableError: 'Another program uses the camera.',
};

let pictures = 0;
let isOpening = false;

/** Opens the camera. `add` gets the picture, `complain` what went wrong, in words. */
export async function openCamera(add, complain) {
  if (!navigator.mediaDevices?.getUserMedia) {
    complain('The browser gives the camera only to pages over HTTPS or on localhost.');
    return;
  }
  if (isOpening) return;
  isOpening = true;
  const dialog = byId('camera');
  const video = dialog.querySelector('video');
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  } catch (error) {
    complain(PROBLEMS[error.name] ?? `The camera does not work: ${error.message}`);
    return;
  } finally {
    isOpening = false;
  }
  const closing = new AbortController();
  const on = (id, work) => byId(id).addEventListener('click', work, { signal: closing.signal });
  on('camera-take', async () => {
    add(await picture(video));
    dialog.close();
  });
  on('camera-close', () => dialog.close());
  // Esc closes the dialog too.
  dialog.addEventListener('close', () => {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
    closing.abort();
  }, { once: true });
  video.srcObject = stream;
  dialog.showModal();
}

async function picture(video) {
  if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) {
    await new Promise((resolve) => { video.addEventListener('loadeddata', resolve, { once: true }); });
  }
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext('2d').drawImage(video, 0, 0);
  const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.95 });
  pictures += 1;
  const name = `camera ${pictures}.jpg`;
  return { file: new File([blob], name, { type: blob.type }), name };
}
