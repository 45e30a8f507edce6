// What a search found, the best first: events and captions of all the time. Each hit is an address.

import {html} from "./vendor/htm-preact.js";
import {write} from "./address.js";
import {useAnswer} from "./api.js";
import {picture} from "./events.js";
import {Picture} from "./pictures.js";
import {clock, date, iso, MINUTE, parse} from "./times.js";
import {pageOf} from "./transcript.js";

const WITHIN = ["", "seen", "said", "shown"];
const KIND = {events: "seenIn", segments: "seenIn", utterances: "saidIn", slides: "shownIn"};

/** @param props view, text, zone, onView */
export function Hits({view, text, zone, onView}) {
  return html`<div class="head" role="group" aria-label=${text.search}>${WITHIN.map(name => html`<button key=${name} class="ghost small"
      aria-pressed=${view.within === name} onClick=${() => onView({within: name})}>${text[name ? `${name}In` : "all"]}</button>`)}</div>
    <${Found} ...${{view, text, zone, onView}} />`;
}

function Found({view, text, zone, onView}) {
  const [found, problem] = useAnswer("search", {index: view.index, words: view.text, camera: view.camera, within: view.within});
  if (problem) return html`<p class="problem" role="alert">${problem}</p>`;
  if (!found) return html`<p class="empty" role="status">${text.loading}</p>`;
  if (!found.hits.length) return html`<p class="empty">${text.none}</p>`;
  return html`<ol class="hits">${found.hits.map(hit => html`<${Hit} key=${hit.id} ...${{hit, view, text, zone, onView}} />`)}</ol>`;
}

function Hit({hit, view, text, zone, onView}) {
  const start = parse(hit.start), isEvent = hit.table === "events";
  const source = isEvent ? picture({event_id: hit.id}, view.index) : hit.table === "slides" ? pageOf(hit.id, view.index) : "";
  const isSeen = view.range[0] <= start && start < view.range[1];
  const there = {
    event: isEvent ? hit.id : "", moment: isEvent ? "" : `${iso(start)} ${hit.camera}`,
    range: isSeen ? view.range : [start - 5 * MINUTE, parse(hit.end) + 5 * MINUTE],
  };
  const go = e => {
    if (e.ctrlKey || e.metaKey || e.shiftKey) return;  // into a tab of its own
    e.preventDefault();
    onView(there, true);
  };
  return html`<li><a href=${write({...view, ...there})} onClick=${go} aria-current=${isEvent && hit.id === view.event}>
    <div class="pic">${source && html`<${Picture} ...${{source, text}} />`}</div>
    <div><strong>${hit.excerpt.split("**").map((part, i) => (i % 2 ? html`<mark>${part}</mark>` : part))}</strong>
      <span class="muted small"><bdi>${hit.camera}</bdi> · ${date(start, zone)} ${clock(start, zone)} · ${isEvent ? "" : `${text[KIND[hit.table]]} · `}<bdi>${hit.label}</bdi></span></div></a></li>`;
}
