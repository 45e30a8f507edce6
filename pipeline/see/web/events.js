// The list of events: the same ones as in the lanes, for eyes and for screen readers.

import {html} from "./vendor/htm-preact.js";
import {url} from "./api.js";
import {colourNumber} from "./colours.js";
import {Picture} from "./pictures.js";
import {clock, date, length, parse} from "./times.js";

const NUM_CHIPS = 7;
export const STATES = ["open", "confirmed", "rejected", "corrected"];
export const MARKS = {confirmed: "✓", rejected: "✕", corrected: "✎", missed: "+"};

export const picture = (event, index) => url(`events/${event.event_id}/picture.webp`, {index});

/** What an event is now: as a person corrected it, or as it was found. */
export function judged(event) {
  const said = event.review;
  return said?.verdict === "corrected" ? {...event, label: said.label, start: said.start, end: said.end} : event;
}

/** Chips that choose a label, and a choice of the state of review. */
export function Filters({labels, view, text, onView}) {
  const chips = labels.slice(0, NUM_CHIPS);
  const chosen = view.label;
  for (const label of chosen) if (!chips.includes(label)) chips.push(label);
  const toggle = label => onView({label: chosen.includes(label) ? chosen.filter(one => one !== label) : [...chosen, label]});
  return html`<div class="row push chips">
    <button class="ghost small" aria-pressed=${!chosen.length} onClick=${() => onView({label: []})}>${text.all}</button>
    ${chips.map(label => html`<button key=${label} class="ghost small" aria-pressed=${chosen.includes(label)} onClick=${() => toggle(label)}>
      <i class="dot k${colourNumber(label, labels)}"></i><bdi>${label}</bdi></button>`)}
    ${labels.length > NUM_CHIPS && html`<select class="small" aria-label=${text.label} value="" onChange=${e => toggle(e.target.value)}>
      <option value="">${text.others}</option>${labels.slice(NUM_CHIPS).map(label => html`<option value=${label}>${label}</option>`)}</select>`}
    <select class="small" aria-label=${text.review} value=${view.review[0] || ""}
      onChange=${e => onView({review: e.target.value ? [e.target.value] : []})}>
      <option value="">${text.anyState}</option>
      ${STATES.map(state => html`<option value=${state}>${MARKS[state] || "○"} ${text[state]}</option>`)}</select></div>`;
}

/** @param props events, labels, view, text, zone, onEvent, onMore (null if there are no more) */
export function EventList({events, labels, view, text, zone, onEvent, onMore}) {
  if (!events.length) return html`<p class="empty">${text.none}</p>`;
  const days = new Set(events.map(event => date(parse(event.start), zone)));
  return html`<ul class="grid">
    ${events.map(event => html`<${Card} key=${event.event_id} ...${{event: judged(event), labels, view, text, zone, onEvent, isDated: days.size > 1}} />`)}
  </ul>${onMore && html`<p class="empty"><button onClick=${onMore}>${text.more}</button></p>`}`;
}

function Card({event, labels, view, text, zone, onEvent, isDated}) {
  const start = parse(event.start), verdict = event.review?.verdict;
  return html`<li><button id=${`e${event.event_id}`} class="card ${verdict === "rejected" ? "away" : ""}"
    aria-current=${view.event === event.event_id} onClick=${() => onEvent(event.event_id)}>
    <div class="pic"><${Picture} source=${picture(event, view.index)} text=${text} />
      ${verdict && html`<span class="mark-of ${verdict}">${MARKS[verdict]} ${text[verdict]}</span>`}
      <b>${length((parse(event.end) - start) / 1e6)}</b></div>
    <div class="cap"><strong><i class="dot k${colourNumber(event.label, labels)}"></i><bdi>${event.text || event.label}</bdi></strong>
      <span class="muted small"><bdi>${event.camera}</bdi> · ${isDated ? `${date(start, zone).slice(5)} ` : ""}${clock(start, zone)}</span></div></button></li>`;
}
