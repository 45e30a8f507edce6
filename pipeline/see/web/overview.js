// The strip of all the time and all cameras, with a brush over what the lanes show.

import {html, useEffect, useRef} from "./vendor/htm-preact.js";
import {palette} from "./colours.js";
import {prepared} from "./drawing.js";

const HEIGHT = 34, MIN_BRUSH = 6;

/** @param props whole (the range of the index), range, counts (the answer of the server), theme, text, onRange */
export function Overview({whole, range, counts, theme, text, onRange}) {
  const canvas = useRef(), drag = useRef(null);
  const scale = () => canvas.current.clientWidth / (whole[1] - whole[0]);
  const paint = () => {
    const width = canvas.current.clientWidth, look = palette(), pen = prepared(canvas.current, width, HEIGHT);
    const most = Math.max(1, ...(counts?.counts || [])), x = at => (at - whole[0]) * scale();
    pen.fillStyle = look.muted;
    pen.globalAlpha = 0.6;
    pen.beginPath();
    (counts?.counts || []).forEach((num, i) => {
      const left = x(counts.start_us + i * counts.step_us), high = num && Math.max(num / most * (HEIGHT - 8), 1.5);
      pen.rect(left, HEIGHT - 3 - high, Math.max(counts.step_us * scale(), 1) + 0.3, high);
    });
    pen.fill();
    const [left, wide] = brush(x(range[0]), x(range[1]));
    pen.fillStyle = pen.strokeStyle = look.accent;
    pen.globalAlpha = 0.16;
    pen.fillRect(left, 0, wide, HEIGHT);
    pen.globalAlpha = 1;
    pen.strokeRect(left + 0.5, 0.5, wide - 1, HEIGHT - 1);
  };
  useEffect(() => {
    paint();
    const watched = new ResizeObserver(paint);
    watched.observe(canvas.current);
    return () => watched.disconnect();
  }, [whole[0], whole[1], range[0], range[1], counts, theme]);

  const at = e => whole[0] + e.offsetX / scale(), span = range[1] - range[0];
  const down = e => {
    const moment = at(e), slack = MIN_BRUSH / scale();
    drag.current = {moment, range, grabs: moment > range[0] - slack && moment < range[1] + slack};
    e.target.setPointerCapture(e.pointerId);
  };
  const move = e => {
    const from = drag.current;
    if (!from || Math.abs(at(e) - from.moment) * scale() < 3) return;
    from.moved = true;
    const by = at(e) - from.moment;
    if (from.grabs) onRange([from.range[0] + by, from.range[1] + by]);
    else onRange([from.moment, at(e)].sort((a, b) => a - b));
  };
  const up = e => {
    if (drag.current && !drag.current.moved) onRange([at(e) - span / 2, at(e) + span / 2]);
    drag.current = null;
  };
  return html`<canvas class="overview" ref=${canvas} role="img" aria-label=${text.overview}
    onPointerDown=${down} onPointerMove=${move} onPointerUp=${up}></canvas>`;
}

/** Left edge and width of the brush, which is never too narrow to be seen and grabbed. */
function brush(left, right) {
  const wide = Math.max(right - left, MIN_BRUSH);
  return [left - (wide - (right - left)) / 2, wide];
}
