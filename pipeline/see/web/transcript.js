// What is said, beside the player: the word of the moment is marked, and a click on a word goes there.

import {html, useEffect, useMemo, useRef, useState} from "./vendor/htm-preact.js";
import {url, useAnswer} from "./api.js";
import {useNow} from "./now.js";
import {Picture} from "./pictures.js";
import {clock, date, iso, parse} from "./times.js";

const FIRST = 200, MOST = 3000;
const BESIDE = matchMedia("(min-width: 761px)");  // on a phone the player would hide what is scrolled to

/** @param props view, names, text, zone, control, onView */
export function Transcript({view, names, text, zone, control, onView}) {
  const [limit, setLimit] = useState(FIRST);
  const [found, problem] = useAnswer("transcript", {index: view.index, start: iso(view.range[0]), end: iso(view.range[1]), camera: view.camera, limit});
  const [told] = useAnswer("topics", {index: view.index, start: iso(view.range[0]), end: iso(view.range[1]), camera: view.camera, limit});
  const topics = useMemo(() => new Map((told?.topics || []).map(one => [one.utterance_id, one])), [told]);
  const said = useMemo(() => (found?.utterances || []).map(timed), [found]);
  const pages = useMemo(() => (found?.slides || []).map(timed), [found]);
  if (problem) return html`<p class="problem" role="alert">${problem}</p>`;
  if (!found) return html`<p class="empty" role="status">${text.loading}</p>`;
  if (!said.length && !pages.length) return html`<p class="empty">${text.nothingSaid}</p>`;
  const go = (camera, at) => {
    if (!control.current?.seek?.(camera, at)) onView({event: "", moment: `${iso(at)} ${camera}`}, true);
  };
  const isMany = names.length > 1, isDated = date(view.range[0], zone) !== date(view.range[1], zone);
  return html`${pages.length > 0 && html`<${Pages} ...${{pages, index: view.index, text, zone, go}} />`}
    <ol class="transcript">${said.map(one => html`<${Utterance} key=${one.utterance_id} ...${{one, topic: topics.get(one.utterance_id), pages, text, isMany, isDated, zone, go}} />`)}</ol>
    ${said.length === limit && limit < MOST && html`<p class="empty"><button onClick=${() => setLimit(Math.min(limit * 4, MOST))}>${text.more}</button></p>`}`;
}

/** The strip of pages: the one on the screen is marked. */
function Pages({pages, index, text, zone, go}) {
  const shown = useNow((camera, at) => pages.findLast(one => isNow(one, camera, at))?.slide_id, pages);
  return html`<ul class="pages" aria-label=${text.pages}>${pages.map(one => html`<li key=${one.slide_id}>
    <button class="page" aria-current=${one.slide_id === shown} title=${one.deck_text || one.text || ""} onClick=${() => go(one.camera, one.from)}>
      <div class="pic"><${Picture} source=${pageOf(one.slide_id, index)} text=${text} /></div>
      <span class="small">${text.page} ${one.deck_page ?? one.page} <span class="muted">· ${clock(one.from, zone)}</span></span></button></li>`)}</ul>`;
}

function Utterance({one, topic, pages, text, isMany, isDated, zone, go}) {
  const item = useRef(), parts = useMemo(() => pieces(one), [one]);
  const now = useNow((camera, at) => (isNow(one, camera, at) ? parts.findLastIndex((part, i) => i === 0 || part.from <= at) : -1), one);
  useEffect(() => {
    if (now >= 0 && BESIDE.matches) item.current.scrollIntoView({block: "nearest"});
  }, [now >= 0]);
  const click = e => {
    const part = parts[e.target.dataset.part];
    if (part) go(one.camera, part.from);
  };
  return html`<li ref=${item} aria-current=${now >= 0}>
    <button class="ghost small" onClick=${() => go(one.camera, one.from)}>${isDated ? `${date(one.from, zone).slice(5)} ` : ""}${clock(one.from, zone)}</button>
    <div>${(one.speaker || isMany) && html`<p class="small"><bdi class="speaker">${one.speaker}</bdi>${isMany && html` <bdi class="muted">${one.camera}</bdi>`}</p>`}
      <p lang=${one.language || undefined} onClick=${click}>${parts.map((part, i) => html`<span data-part=${i} class="word ${i === now ? "now" : ""}">${part.text}</span>${part.after}`)}</p>
      ${topic && html`<${Topic} ...${{one, topic, pages, text, go}} />`}</div></li>`;
}

/** The page that is spoken of, where another one is on the screen; a click goes to where it is shown. */
function Topic({one, topic, pages, text, go}) {
  const shown = showing(one, topic, pages), says = `${text.speaksOf} ${topic.topic_deck_page ?? topic.topic_page}`;
  return html`<p class="topic small" title=${topic.topic_reason}>→ ${shown ? html`<button onClick=${() => go(shown.camera, shown.from)}>${says}</button>` : says}</p>`;
}

/** Where a page is shown, nearest to what is said; undefined if it is not, in the range that is looked at. */
function showing(one, topic, pages) {
  const shows = page => page.video_id === one.video_id && (topic.topic_deck_page ? page.deck_page === topic.topic_deck_page : page.page === topic.topic_page);
  const away = page => Math.max(0, page.from - one.from, one.from - page.to);
  return pages.filter(shows).sort((a, b) => away(a) - away(b))[0];
}

/** The picture of a page that was shown. */
export const pageOf = (slideId, index) => url(`slides/${slideId}/picture.webp`, {index});

const timed = row => ({...row, from: parse(row.start), to: parse(row.end)});
const isNow = (one, camera, at) => one.camera === camera && one.from <= at && at < one.to;

/** The words with their times and what stands between them; an utterance without timed words is one piece. */
function pieces(one) {
  const found = [];
  let from = 0;
  for (const word of one.words) {
    const at = word.text ? one.text.indexOf(word.text, from) : -1;
    if (at < 0) continue;
    if (found.length) found.at(-1).after = one.text.slice(from, at);
    from = at + word.text.length;
    found.push({text: word.text, from: parse(word.start), after: ""});
  }
  if (!found.length) return [{text: one.text, from: one.from, after: ""}];
  found.at(-1).after = one.text.slice(from);
  return found;
}
