// The lanes: only those on screen are drawn and asked for, however many cameras there are.

import {html, useEffect, useRef, useState} from "./vendor/htm-preact.js";
import {axis, drawLanes, layout, placed} from "./drawing.js";
import {SECOND} from "./times.js";

const LONGEST = 64e12;  // two years

/** A range zoomed by a factor around a moment. */
export function zoomed([from, to], at, factor) {
  const span = Math.min(Math.max((to - from) * factor, SECOND), LONGEST), share = (at - from) / (to - from);
  return [at - span * share, at + span * (1 - share)];
}

/**
 * @param props range, zone, cameras, lanes, labels, chosen, theme, text, and what to do: onRange, onVisible, onEvent, onMoment
 */
export function Timeline(props) {
  const {range, cameras, lanes, text, onRange, onVisible} = props;
  const box = useRef(), canvas = useRef(), hover = useRef(-1), drag = useRef(null), [scroll, setScroll] = useState(0);
  const [size, setSize] = useState({width: 0, height: 0});
  const place = layout(size.width || 1000);
  const first = Math.min(Math.floor(scroll / place.lane), Math.max(cameras.length - 1, 0));
  const num = Math.ceil(Math.max(size.height - place.top, 0) / place.lane) + 1;
  const last = Math.min(first + num, cameras.length), whole = place.top + cameras.length * place.lane;
  const scene = {
    ...props, first, last, shift: scroll - first * place.lane, hover: hover.current,
    height: Math.min(size.height || whole, whole),
  };
  const paint = () => canvas.current && drawLanes(canvas.current, {...scene, hover: hover.current});
  useEffect(() => {
    const measure = () => setSize({width: box.current.clientWidth, height: box.current.clientHeight});
    const watched = new ResizeObserver(measure);
    watched.observe(box.current);
    return () => watched.disconnect();
  }, []);
  useEffect(paint);
  useEffect(() => onVisible(cameras.slice(first, last)), [first, last, cameras]);

  const along = axis(range, place);
  const hit = (x, y) => {
    const number = first + Math.floor((y - place.top + scene.shift) / place.lane), camera = cameras[number];
    if (!camera || y < place.top || !lanes?.events) return {camera};
    const near = placed(lanes.events, camera, {along, place}).filter(one => one.left - 2 <= x && x <= one.right + 2);
    const tall = place.lane - 17 - (place.isNarrow ? 12 : 0), base = place.top + (number - first + 1) * place.lane - scene.shift - 11;
    const row = y < base - tall / 2 ? 1 : 0;
    return {camera, event: (near.find(one => one.row === row) || near[0])?.event};
  };
  const click = e => {
    const {camera, event} = hit(e.offsetX, e.offsetY), at = along.at(e.offsetX);
    if (event) props.onEvent(event.event_id);
    else if (camera && lanes && !lanes.events) onRange(zoomed(range, at, 0.25));
    else if (camera && e.offsetX > place.gutter) props.onMoment(camera, at);
  };
  const wheel = e => {
    if (Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
      const moved = e.deltaX / (place.width - place.gutter) * (range[1] - range[0]);
      onRange([range[0] + moved, range[1] + moved]);
    } else if (e.shiftKey || e.offsetX < place.gutter) {
      return;  // scrolls the lanes
    } else {
      onRange(zoomed(range, along.at(e.offsetX), Math.exp(e.deltaY * 0.0016)));
    }
    e.preventDefault();
  };
  useEffect(() => {
    const element = canvas.current;
    element.addEventListener("wheel", wheel, {passive: false});
    return () => element.removeEventListener("wheel", wheel);
  });
  const key = e => {
    const span = range[1] - range[0], middle = (range[0] + range[1]) / 2;
    const moved = {ArrowLeft: -0.2, ArrowRight: 0.2}[e.key];
    if (moved) onRange([range[0] + moved * span, range[1] + moved * span]);
    else if (e.key === "+" || e.key === "=") onRange(zoomed(range, middle, 0.6));
    else if (e.key === "-") onRange(zoomed(range, middle, 1 / 0.6));
    else return;
    e.preventDefault();
  };
  const move = e => {
    hover.current = e.offsetX;
    const from = drag.current;
    if (!from || Math.abs(e.offsetX - from.x) < 4 && !from.moved) {
      requestAnimationFrame(paint);
      return;
    }
    from.moved = true;
    const by = (from.x - e.offsetX) / (place.width - place.gutter) * (range[1] - range[0]);
    onRange([from.range[0] + by, from.range[1] + by]);
  };
  return html`<div class="lanes" ref=${box} onScroll=${e => setScroll(e.target.scrollTop)}>
    <div class="tall" ref=${node => node && (node.style.height = `${whole}px`)}>
      <canvas ref=${canvas} tabindex="0" role="img" aria-label=${text.lanes} onKeyDown=${key}
        onPointerDown=${e => { drag.current = {x: e.offsetX, range}; e.target.setPointerCapture(e.pointerId); }}
        onPointerMove=${move}
        onPointerUp=${e => { const was = drag.current; drag.current = null; if (was && !was.moved) click(e); }}
        onPointerCancel=${() => { drag.current = null; }}
        onPointerLeave=${() => { hover.current = -1; paint(); }}></canvas>
    </div></div>`;
}
