// Draws the boxes of an event over its video: those of the moment that is nearest to the frame on screen.

import {css} from "./colours.js";
import {prepared} from "./drawing.js";

const NEAR_US = 0.6e6;  // a box that is farther from the frame says nothing about it

/** Draw over `video` the box that is nearest to `at`; each has `at` in microseconds, and edges in shares of the picture. */
export function drawBoxes(canvas, video, boxes, at) {
  const wide = video.clientWidth, high = video.clientHeight, pen = prepared(canvas, wide, high);
  let nearest = null;
  for (const box of boxes) if (!nearest || Math.abs(box.at - at) < Math.abs(nearest.at - at)) nearest = box;
  if (!nearest || Math.abs(nearest.at - at) > NEAR_US) return;
  const scale = Math.min(wide / video.videoWidth, high / video.videoHeight);
  const [across, down] = [video.videoWidth * scale, video.videoHeight * scale];
  const [left, top] = [(wide - across) / 2, (high - down) / 2];
  for (const box of boxes.filter(one => one.at === nearest.at)) {
    for (const [colour, thick] of [["#000a", 4], [css("--box"), 2]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = thick;
      pen.strokeRect(left + box.x0 * across, top + box.y0 * down, (box.x1 - box.x0) * across, (box.y1 - box.y0) * down);
    }
  }
}
