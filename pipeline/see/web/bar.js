// The bar above, and the header of the timeline: search, index, date, zone, spans, language, theme.

import {html} from "./vendor/htm-preact.js";
import {clock, date, fromLocal, SECOND, SPANS} from "./times.js";
import {zoomed} from "./timeline.js";

const TIME = /^(\d{4}-\d\d-\d\d)?[ T]?(\d{1,2}:\d\d(?::\d\d)?(?:\.\d+)?)?$/;
const CAMERA = /(?:^|\s)cam:("[^"]*"|\S+)/g;

/** What a search means: a jump to a time, or words and cameras. */
export function searched(typed, range, zone) {
  const given = typed.trim(), time = given.match(TIME);
  if (given && time && (time[1] || time[2])) {
    const day = time[1] || date(range[0], zone), hour = (time[2] || "00:00").padStart(5, "0");
    const at = fromLocal(`${day}T${hour}${hour.length < 6 ? ":00" : ""}`, zone), half = time[2] ? 30 * SECOND : 43200 * SECOND;
    return time[2] ? {range: [at - half, at + half]} : {range: [at, at + 2 * half]};
  }
  const camera = [...given.matchAll(CAMERA)].map(([, name]) => name.replaceAll('"', ""));
  const text = given.replace(CAMERA, " ").trim();
  return {text, camera, tab: text ? "search" : ""};
}

/** What a view would have been searched with. */
export const searchOf = view => [...view.camera.map(name => `cam:${/\s/.test(name) ? `"${name}"` : name}`), view.text].filter(Boolean).join(" ");

export function Bar({about, cameras, view, text, zone, theme, input, onView, onTheme, onLanguage, onHelp}) {
  const search = e => {
    e.preventDefault();
    onView(searched(input.current.value, view.range, zone));
    input.current.blur();
  };
  return html`<header class="bar"><h1 class="mark">time<i>reel</i></h1>
    <form class="find" role="search" onSubmit=${search}><span class="muted" aria-hidden="true">⌕</span>
      <input ref=${input} type="search" placeholder=${text.find} aria-label=${text.find} defaultValue=${searchOf(view)} key=${searchOf(view)}
        onSearch=${e => e.target.value || onView({text: "", camera: [], tab: ""})} /><kbd>/</kbd></form>
    <div class="row push">${about.indexes.length > 1
      ? html`<select aria-label=${text.index} value=${view.index || about.indexes[0]} onChange=${e => onView({index: e.target.value, range: null, event: "", camera: [], label: []})}>
          ${about.indexes.map(name => html`<option value=${name}>${name}</option>`)}</select>`
      : html`<span class="muted small hide"><bdi>${about.indexes[0]}</bdi> · ${text.cameras}: ${cameras.length}</span>`}
      <button class="ghost" lang=${text.language === "English" ? "en" : "zh-CN"} onClick=${onLanguage}>${text.language}</button>
      <button class="ghost" aria-label=${text.theme} onClick=${onTheme}>${theme === "dark" ? "☀" : "☾"}</button>
      <button class="ghost hide" aria-label=${text.keys} onClick=${onHelp}>?</button></div></header>`;
}

/** @param props view, whole, zones, zone, text, onView */
export function RangeHeader({view, whole, zones, zone, text, onView}) {
  const [from, to] = view.range, day = date(from, zone), until = date(to, zone), middle = (from + to) / 2;
  const isShort = to - from < 600 * SECOND;
  const jump = e => {
    if (!e.target.value) return;
    const at = fromLocal(`${e.target.value}T00:00:00`, zone), same = from - fromLocal(`${day}T00:00:00`, zone);
    onView({range: to - from >= 86400 * SECOND ? [at, at + to - from] : [at + same, at + same + to - from]});
  };
  return html`<header><input type="date" aria-label=${text.date} value=${day} onChange=${jump} />
    <span class="muted range">${clock(from, zone, isShort)} – ${until === day ? "" : `${until} `}${clock(to, zone, isShort)}</span>
    <select class="small" aria-label=${text.zone} value=${zone} onChange=${e => onView({zone: e.target.value})}>
      ${zones.map(name => html`<option value=${name}>${name}</option>`)}</select>
    <div class="row push spans">${SPANS.map(([name, span]) => html`<button key=${name} class="ghost small"
      onClick=${() => onView({range: zoomed(view.range, middle, span / (to - from))})}>${name}</button>`)}
      <button class="ghost small" onClick=${() => onView({range: whole})}>${text.all}</button></div></header>`;
}
