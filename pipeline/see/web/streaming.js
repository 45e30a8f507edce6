// Plays a clip while the server still makes it: its pieces go to a MediaSource as they come.

import {ApiError} from "./api.js";

const once = (target, name) => new Promise(resolve => target.addEventListener(name, resolve, {once: true}));

/** Play a clip from its first piece on; ends when all of it is there. */
export async function stream(video, piece, signal) {
  if (!globalThis.MediaSource?.isTypeSupported(piece.content_type)) {
    video.src = piece.url;  // the browser waits for the whole clip
    return;
  }
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await once(source, "sourceopen");
  URL.revokeObjectURL(video.src);
  const response = await fetch(piece.url, {signal});
  if (!response.ok) throw new ApiError(response.status, response.statusText);
  const buffer = source.addSourceBuffer(piece.content_type), reader = response.body.getReader();
  source.duration = Math.max(piece.media_end - piece.zero_s, 0.001);
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    if (source.readyState !== "open") return;  // another video plays now
    const updated = once(buffer, "updateend");
    buffer.appendBuffer(read.value);
    await updated;
  }
  if (source.readyState === "open") source.endOfStream();
}
