// Draws zones and lines into a picture of a camera. Nothing is sent: the result is text for the user's config.

import {html, useEffect, useLayoutEffect, useRef, useState} from "./vendor/htm-preact.js";
import {url, useAnswer} from "./api.js";
import {iso, parse} from "./times.js";
import {problemOf, RULES, share, yamlOf} from "./zone_yaml.js";

const STEP = 0.01, FINE = 0.001, SECOND_US = 1e6;
const TOWARDS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
const FIRST = {false: [[0.3, 0.4], [0.7, 0.4], [0.7, 0.8], [0.3, 0.8]], true: [[0.3, 0.6], [0.7, 0.6]]};

/** @param props index, cameras (of the index), shown (the camera and moment that the page is at, or null), labels, text, onView */
export function Zones({index, cameras, shown, text, onView}) {
  const key = `zones ${index}`, [zones, setZones] = useState(() => JSON.parse(localStorage.getItem(key) || "[]"));
  const [number, setNumber] = useState(0), of = cameras.find(one => one.camera === shown?.camera) || cameras[0], {camera} = of;
  useEffect(() => localStorage.setItem(key, JSON.stringify(zones)), [zones]);
  const here = zones.filter(one => one.camera === camera), zone = zones[number]?.camera === camera ? zones[number] : here.at(-1);

  const change = changes => setZones(zones.map(one => (one === zone ? {...one, ...changes} : one)));
  const add = (isLine, points = []) => {
    const names = zones.map(one => one.name), word = isLine ? "line" : "zone";
    let count = 1;
    while (names.includes(`${word}${count}`)) count += 1;
    setZones([...zones, {name: `${word}${count}`, camera, isLine, points, labels: "", rules: isLine ? [] : ["enters"], loitersS: "", minCount: ""}]);
    setNumber(zones.length);
  };
  const onPoints = points => (zone ? change({points}) : add(false, points));
  const last = one => `${iso((parse(one.last_end || "") || SECOND_US) - SECOND_US)} ${one.camera}`;
  const at = shown?.camera === camera ? iso(shown.at) : of.last_end && last(of).split(" ")[0];
  return html`<div class="drawing">
    <${Field} key=${camera} ...${{index, camera, at, here, zone, number: zones.indexOf(zone), text, onPoints}} />
    <div class="form">
      <label>${text.camera}<select value=${camera} onChange=${e => onView({event: "", moment: last(cameras.find(one => one.camera === e.target.value))}, true)}>
        ${cameras.map(one => html`<option value=${one.camera} selected=${one.camera === camera}>${one.camera}</option>`)}</select></label>
      <p class="row"><button onClick=${() => add(false)}>+ ${text.zoneArea}</button><button onClick=${() => add(true)}>+ ${text.zoneLine}</button></p>
      ${here.length > 1 && html`<p class="row" role="group" aria-label=${text.zones}>${here.map(one => html`<button class="small" aria-pressed=${one === zone}
        onClick=${() => setNumber(zones.indexOf(one))}><bdi>${one.name || "?"}</bdi></button>`)}</p>`}
      ${zone && html`<${Facts} ...${{zone, text, change, problem: problemOf(zone, zones), onRemove: () => setZones(zones.filter(one => one !== zone))}} />`}
      <${Result} ...${{yaml: yamlOf(zones.filter(one => cameras.some(other => other.camera === one.camera))), text}} /></div></div>`;
}

/** The picture with what is drawn into it; a grid of the same shape where there is no picture. */
function Field({index, camera, at, here, zone, number, text, onPoints}) {
  const source = at ? url("cameras/picture.webp", {index, camera, at}) : "", field = useRef(), grabbed = useRef([0, 0]), wanted = useRef(null), more = useRef();
  const [corner, setCorner] = useState(0), [seen, setSeen] = useState({}), [known] = useAnswer("videos", {index, camera, limit: 1});
  const points = zone?.points || [], chosen = Math.min(corner, points.length - 1), isLost = !source || seen.lost === source;
  const [wide, high] = seen.size || sizeOf(known?.videos[0]);
  useEffect(() => setCorner(points.length), [number]);
  useLayoutEffect(() => {  // before the next key: keys go on with the corner that they just made, or the one before what they removed
    if (wanted.current === null) return;
    (field.current.querySelectorAll(".corner")[wanted.current] || more.current).focus();
    wanted.current = null;
  });

  const placeOf = e => {
    const {left, top, width, height} = field.current.getBoundingClientRect();
    return [(e.clientX - left) / width, (e.clientY - top) / height];
  };
  const insert = point => {
    onPoints(points.toSpliced(chosen + 1, 0, point.map(share)));
    setCorner(chosen + 1);
  };
  const append = () => {  // without a pointer: a rectangle or a line, and then corners half way to the next one
    const first = FIRST[!!zone?.isLine], [x, y] = points[chosen] || [], [nextX, nextY] = points[chosen + 1] || (zone?.isLine ? [1, y] : points[0] || []);
    wanted.current = chosen + 1;
    insert(chosen === points.length - 1 && points.length < first.length ? first[points.length] : [(x + nextX) / 2, (y + nextY) / 2]);
  };
  const move = (i, [x, y]) => onPoints(points.with(i, [share(x), share(y)]));
  const remove = () => {
    wanted.current = Math.max(chosen - 1, 0);
    setCorner(wanted.current);
    onPoints(points.toSpliced(chosen, 1));
  };
  const down = (e, i) => {
    const [x, y] = placeOf(e);
    grabbed.current = [points[i][0] - x, points[i][1] - y];
    e.currentTarget.focus();
    e.currentTarget.setPointerCapture(e.pointerId);
  };
  const drag = (e, i) => {
    if (!e.currentTarget.hasPointerCapture(e.pointerId)) return;
    const [x, y] = placeOf(e);
    move(i, [x + grabbed.current[0], y + grabbed.current[1]]);
  };
  const press = (e, i) => {
    const towards = TOWARDS[e.key], step = e.shiftKey ? FINE : STEP;
    if (towards) move(i, [points[i][0] + towards[0] * step, points[i][1] + towards[1] * step]);
    else if (e.key === "Delete" || e.key === "Backspace") remove();
    else if (e.key === "Enter") append();
    else return;
    e.preventDefault();
  };
  return html`<div class="canvas">
    <div ref=${field} class="field ${isLost ? "lost-field" : ""}" style=${{aspectRatio: `${wide} / ${high}`, maxWidth: `calc(56dvh * ${wide / high})`}}
      onClick=${e => e.target.closest(".corner") || insert(placeOf(e))}>
      ${!isLost && html`<img key=${source} alt=${camera} src=${source} onLoad=${e => setSeen({size: [e.target.naturalWidth, e.target.naturalHeight]})} onError=${() => setSeen({...seen, lost: source})} />`}
      <svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">${["edge", ""].map(look => here.map(one => html`<${one.isLine ? "polyline" : "polygon"}
        class=${look || (one === zone ? "chosen" : "")} points=${one.points.join(" ")} />`))}</svg>
      ${here.map(one => one.points.length > 0 && html`<bdi class="tag" style=${placed(one.points[0])}>${one.name}</bdi>`)}
      ${points.map((point, i) => html`<button key=${i} class="corner" aria-label=${`${text.corner} ${i + 1}: ${point.join(", ")}`} aria-describedby="corner-keys" aria-current=${i === chosen}
        style=${placed(point)} onFocus=${() => setCorner(i)} onPointerDown=${e => down(e, i)} onPointerMove=${e => drag(e, i)} onKeyDown=${e => press(e, i)}>${i + 1}</button>`)}</div>
    ${isLost ? html`<p role="status">${text.noCameraPicture}</p>` : !seen.size && html`<p class="muted small" role="status">${text.loading}</p>`}
    <p class="row"><button ref=${more} class="small" onClick=${append}>+ ${text.corner}</button>
      ${points.length > 0 && html`<button class="small" onClick=${remove}>− ${text.corner} ${chosen + 1}</button>
        <span class="muted small" role="status">${text.corner} ${chosen + 1}: ${points[chosen].join(", ")}</span>`}</p>
    <p id="corner-keys" class="muted small">${text.drawHelp}</p></div>`;
}

function Facts({zone, text, change, problem, onRemove}) {
  const {name, isLine, labels, rules, loitersS, minCount} = zone;
  const turn = rule => change({rules: rules.includes(rule) ? rules.filter(one => one !== rule) : [...rules, rule]});
  return html`<label>${text.zoneName}<input value=${name} maxlength="64" autocomplete="off" onInput=${e => change({name: e.target.value.replace(/[\x00-\x1f\x7f]/g, "")})} /></label>
    <label>${text.zoneLabels}<input value=${labels} placeholder=${text.all} maxlength="1000" autocomplete="off" onInput=${e => change({labels: e.target.value})} /></label>
    ${isLine ? html`<p class="small">${text.zoneCrosses}</p>` : html`<fieldset><legend class="small muted">${text.zoneRules}</legend>
        ${RULES.map(rule => html`<label class="tick"><input type="checkbox" checked=${rules.includes(rule)} onChange=${() => turn(rule)} />${text[rule]} <code class="small">${rule}</code></label>`)}</fieldset>
      <label>${text.loiters}<input type="number" min="0" step="any" value=${loitersS} placeholder=${text.off} onInput=${e => change({loitersS: e.target.value})} /></label>
      <label>${text.minCount}<input type="number" min="2" step="1" value=${minCount} placeholder=${text.off} onInput=${e => change({minCount: e.target.value})} /></label>`}
    ${problem && html`<p class="problem small" role="status">${text[problem]}</p>`}
    <p><button class="small" onClick=${onRemove}>${text.removeZone}</button></p>`;
}

function Result({yaml, text}) {
  const shown = useRef(), [copied, setCopied] = useState("");
  const copy = () => {  // as a selection: the clipboard itself is closed to a page that came without TLS
    getSelection().selectAllChildren(shown.current);
    if (document.execCommand("copy")) setCopied(yaml);
  };
  if (!yaml) return html`<p class="muted small">${text.noZone}</p>`;
  return html`<div class="row"><h3>${text.zoneYaml}</h3><button class="small save push" onClick=${copy}>${text.copy}</button>
      <span class="small" role="status">${copied === yaml ? text.copied : ""}</span></div>
    <pre ref=${shown} class="yaml" tabindex="0" role="region" aria-label=${text.zoneYaml}>${yaml}</pre>
    <p class="muted small">${text.pasteZones}</p>`;
}

const placed = ([x, y]) => ({left: `${x * 100}%`, top: `${y * 100}%`});

/** Width and height of the upright picture of a recording. */
function sizeOf(video) {
  const {width, height, rotation} = video?.width && video.height ? video : {width: 16, height: 9, rotation: 0};
  return rotation % 180 ? [height, width] : [width, height];
}
