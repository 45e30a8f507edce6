// Draws the lanes that are on screen: a scale, events or their number per bin, and coverage.

import {colourNumber, palette, stateStyles} from "./colours.js";
import {clock, date, DAY, MINUTE, parse, ticks} from "./times.js";

export const drawingMs = [];  // how long each drawing took, for the bench
const SCALE = 26;

/** Where things are on a canvas of this width. */
export function layout(width) {
  const isNarrow = width < 560;
  return {width, isNarrow, gutter: isNarrow ? 0 : 132, top: SCALE, lane: isNarrow ? 52 : 44};
}

/** Functions from time to pixel and back. */
export function axis([from, to], {gutter, width}) {
  const perUs = (width - gutter) / (to - from);
  return {x: at => gutter + (at - from) * perUs, at: x => from + (x - gutter) / perUs};
}

/** Make a canvas as sharp as the screen, and give its pen. */
export function prepared(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

/**
 * Draw the lanes `first` to `last` of `cameras`, of which the first is `shift` pixels above the edge.
 * `scene` has range, zone, cameras, first, last, shift, height, labels, chosen, hover and `lanes`, the answer of the server.
 */
export function drawLanes(canvas, scene) {
  const began = performance.now(), place = layout(canvas.clientWidth), look = palette();
  const pen = prepared(canvas, place.width, scene.height), along = axis(scene.range, place);
  pen.font = `12px ${look.font}`;
  pen.textBaseline = "middle";
  const most = busiest(scene.lanes);
  for (let i = scene.first; i < scene.last; i++) {
    const y = place.top + (i - scene.first) * place.lane - scene.shift;
    drawLane(pen, {...scene, camera: scene.cameras[i], y, place, look, along, most});
  }
  drawScale(pen, scene, place, look, along);
  if (scene.isLoading && !place.isNarrow) pen.fillText(`${scene.text.loading} …`, 14, 13);
  if (scene.hover > place.gutter) drawHover(pen, scene, place, look, along);
  drawingMs.push(performance.now() - began);
}

function drawLane(pen, lane) {
  const {place, look, camera, y, lanes, labels} = lane, base = y + place.lane - 11;
  const tall = place.lane - 17 - (place.isNarrow ? 12 : 0);
  rule(pen, look.line, 0, y + 0.5, place.width, y + 0.5);
  if (lanes) {
    drawCoverage(pen, lane, base + 2);
    if (lanes.events) drawEvents(pen, lane, base, tall);
    else drawDensity(pen, lane, base, tall, labels);
  }
  if (!place.isNarrow) {
    pen.fillStyle = look.surface;
    pen.fillRect(0, y + 1, place.gutter - 4, place.lane - 1);
  }
  pen.fillStyle = place.isNarrow ? look.muted : look.ink;
  const room = place.isNarrow ? place.width - 16 : place.gutter - 24;
  pen.fillText(fitted(pen, camera, room), place.isNarrow ? 8 : 14, place.isNarrow ? y + 10 : y + place.lane / 2);
}

function drawCoverage(pen, {lanes, camera, along, place}, y) {
  const runs = lanes.coverage[camera] || [], styles = stateStyles(pen);
  const edge = bin => along.x(lanes.start_us + bin * lanes.step_us);
  for (let i = 0; i < runs.length; i += 3) {
    const left = Math.max(edge(runs[i]), place.gutter), right = Math.min(edge(runs[i + 1]), place.width);
    const style = styles[runs[i + 2]];
    if (right <= left || !style) continue;
    if (style.dash) {
      pen.setLineDash([3, 3]);
      pen.strokeStyle = style.dash;
      pen.strokeRect(left + 0.5, y + 0.5, Math.max(right - left - 1, 1), style.high - 1);
      pen.setLineDash([]);
    } else {
      pen.fillStyle = style.fill;
      pen.fillRect(left, y, Math.max(right - left, 1), style.high);
    }
  }
}

/** Bars of events per bin: one path for each label, which costs a twentieth of a call for each bar. */
function drawDensity(pen, {lanes, camera, along, place, look, most, labels}, base, tall) {
  const below = {}, width = along.x(lanes.step_us) - along.x(0), gap = width > 3 ? 1 : 0;
  for (const [label, pairs] of Object.entries(lanes.density[camera] || {})) {
    pen.fillStyle = look.labels[colourNumber(label, labels)];
    pen.beginPath();
    for (let i = 0; i < pairs.length; i += 2) {
      const left = along.x(lanes.start_us + pairs[i] * lanes.step_us), under = below[pairs[i]] || 0;
      if (left + width < place.gutter || left > place.width) continue;
      const high = Math.max(pairs[i + 1] / most * tall, 1.5);
      pen.rect(left, base - 1 - under - high, Math.max(width - gap, 1), high);
      below[pairs[i]] = under + high;
    }
    pen.fill();
  }
}

/** The most events that one bin of one camera has: the height of the highest bar. */
function busiest(lanes) {
  let most = 1;
  for (const ofLabels of Object.values(lanes?.density || {})) {
    const sums = {};
    for (const pairs of Object.values(ofLabels)) {
      for (let i = 0; i < pairs.length; i += 2) {
        most = Math.max(most, sums[pairs[i]] = (sums[pairs[i]] || 0) + pairs[i + 1]);
      }
    }
  }
  return most;
}

function drawEvents(pen, lane, base, tall) {
  const {lanes, camera, look, labels, chosen} = lane, high = tall / 2 - 2;
  for (const {event, left, right, row} of placed(lanes.events, camera, lane)) {
    const top = base - 2 - high - row * (high + 2);
    pen.fillStyle = look.labels[colourNumber(event.label, labels)];
    pen.beginPath();
    pen.roundRect(left, top, right - left, high, 2.5);
    pen.fill();
    if (event.event_id === chosen) {
      pen.strokeStyle = look.chosen;
      pen.lineWidth = 2;
      pen.strokeRect(left - 1.5, top - 1.5, right - left + 3, high + 3);
      pen.lineWidth = 1;
    }
  }
}

/** Where each event of a camera is drawn; two that overlap are in two rows. */
export function placed(events, camera, {along, place}) {
  const ends = [0, 0], found = [];
  for (const event of events) {
    if (event.camera !== camera) continue;
    const left = Math.max(along.x(parse(event.start)), place.gutter);
    const right = Math.max(Math.min(along.x(parse(event.end)), place.width), left + 3);
    if (right < place.gutter || left > place.width) continue;
    const row = ends[0] <= left ? 0 : ends[1] <= left ? 1 : Number(ends[1] < ends[0]);
    ends[row] = Math.max(ends[row], right);
    found.push({event, left, right, row});
  }
  return found;
}

function drawScale(pen, {range, zone, height}, place, look, along) {
  pen.fillStyle = look.surface;
  pen.fillRect(0, 0, place.width, place.top);
  rule(pen, look.line, 0, place.top + 0.5, place.width, place.top + 0.5);
  for (const {at, text} of ticks(...range, place.width - place.gutter, place.isNarrow ? 64 : 92, zone)) {
    const x = Math.round(along.x(at)) + 0.5;
    pen.globalCompositeOperation = "destination-over";
    rule(pen, look.line, x, place.top - 5, x, height);
    pen.globalCompositeOperation = "source-over";
    pen.fillStyle = look.muted;
    if (x + pen.measureText(text).width + 6 < place.width) pen.fillText(text, x + 5, 13);
  }
}

function drawHover(pen, {range, zone, hover, height}, place, look, along) {
  const at = along.at(hover), span = range[1] - range[0];
  const text = span > 30 * DAY ? `${date(at, zone)} ${clock(at, zone).slice(0, 5)}` : clock(at, zone, span < 10 * MINUTE);
  const wide = pen.measureText(text).width + 12;
  const left = Math.min(Math.max(hover - wide / 2, 0), place.width - wide);
  rule(pen, look.accent, Math.round(hover) + 0.5, place.top - 4, Math.round(hover) + 0.5, height);
  pen.fillStyle = look.accent;
  pen.beginPath();
  pen.roundRect(left, 3, wide, 19, 4);
  pen.fill();
  pen.fillStyle = look["accent-ink"];
  pen.fillText(text, left + 6, 13);
}

function rule(pen, colour, x0, y0, x1, y1) {
  pen.strokeStyle = colour;
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}

function fitted(pen, text, room) {
  if (pen.measureText(text).width <= room) return text;
  let shown = text.slice(0, 60);
  while (shown && pen.measureText(`${shown}…`).width > room) shown = shown.slice(0, -1);
  return `${shown}…`;
}
