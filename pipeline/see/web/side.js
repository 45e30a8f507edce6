// What is known about the chosen event: its video, what people say, and the receipt of the answer.

import {html, useMemo} from "./vendor/htm-preact.js";
import {useAnswer} from "./api.js";
import {judged, MARKS} from "./events.js";
import {Correction, MissedEvent} from "./forms.js";
import {Player} from "./player.js";
import {clock, date, length, parse} from "./times.js";

const VERDICTS = [["confirmed", "confirm", "Y"], ["rejected", "reject", "N"]];

/** @param props event, moment, form ("", "correct" or "missed"), onForm, judge, about, cameras, labels, view, text, zone, control */
export function Side(props) {
  const {event, moment, form, onForm, view, text, zone, about, control} = props;
  const [known] = useAnswer(event ? `events/${event.event_id}` : "about", {index: event ? view.index : ""});
  const boxes = useMemo(() => (known?.boxes || []).map(box => ({...box, at: parse(box.at)})), [known]);
  if (form === "missed") return html`<section class="side" aria-label=${text.addMissed}><${MissedEvent} ...${props} /></section>`;
  if (!event && !moment) {
    const mayAdd = !about.read_only && props.cameras.length > 0;
    return html`<section class="side idle"><div class="empty"><p>${text.pick}</p>
      ${mayAdd && html`<p class="later"><button onClick=${() => onForm("missed")}>+ ${text.addMissed} <kbd class="hide">M</kbd></button></p>`}</div></section>`;
  }
  return html`<section class="side" aria-label=${text.review}>
    <header>${event ? html`<${Title} ...${{event: judged(event), text, zone}} />` : html`<h2 class="title"><bdi>${moment.camera}</bdi></h2>`}</header>
    <${Player} ...${{event, moment, index: view.index, boxes, zone, text, control}} />
    <div class="body">
      ${about.read_only ? html`<p class="muted small">${text.readOnly}</p>` : event && html`<${Judge} ...${props} />`}
      ${form === "correct" && html`<${Correction} key=${event.event_id} ...${props} />`}
      ${event && html`<${Receipt} ...${{event, all: known, text, zone}} />`}
      ${!about.read_only && !form && html`<p><button class="small" onClick=${() => onForm("missed")}>+ ${text.addMissed} <kbd class="hide">M</kbd></button></p>`}</div></section>`;
}

function Title({event, text, zone}) {
  const [start, end] = [parse(event.start), parse(event.end)], day = date(end, zone);
  return html`<div><h2 class="title"><bdi>${event.text || event.label}</bdi></h2>
    <p class="muted"><bdi>${event.camera}</bdi> · ${date(start, zone)} ${clock(start, zone, true)} – ${day === date(start, zone) ? "" : `${day} `}${clock(end, zone, true)} ${zone} · ${length((end - start) / 1e6)}</p>
    ${event.review && html`<p class="small said ${event.review.verdict}">${MARKS[event.review.verdict]} ${text[event.review.verdict]} · <bdi>${event.review.said_by}</bdi> · ${date(parse(event.review.said_at), zone)} ${clock(parse(event.review.said_at), zone)} <bdi>${event.review.note}</bdi></p>`}</div>`;
}

function Judge({event, judge, form, onForm, text}) {
  const said = event.review?.verdict;
  return html`<div class="judge">
    ${VERDICTS.map(([verdict, word, key]) => html`<button class=${verdict} aria-pressed=${said === verdict}
      onClick=${() => judge(said === verdict ? "open" : verdict)}>${MARKS[verdict]} ${text[word]} <kbd class="hide">${key}</kbd></button>`)}
    <button class="corrected" aria-pressed=${said === "corrected"} aria-expanded=${form === "correct"}
      onClick=${() => onForm(form === "correct" ? "" : "correct")}>${MARKS.corrected} ${text.correct} <kbd class="hide">E</kbd></button></div>`;
}

function Receipt({event, all, text, zone}) {
  const seconds = value => value.toFixed(3);
  const shown = all?.windows?.reduce((sum, window) => sum + window.frame_s.length, 0);
  const rows = [
    [text.confidence, event.confidence === null ? "–" : event.confidence.toFixed(2)],
    [text.file, event.file],
    [text.inFile, `${seconds(event.media_start)} – ${seconds(event.media_end)} s`],
    [text.model, all?.model], [text.prompt, all?.prompt_id], [text.settings, all?.fingerprint],
    [text.shown, shown],
    ...Object.entries(all?.fields || {}),
    ...(all?.parts?.length > 1 ? all.parts.map((part, i) => [`${text.parts} ${i + 1}`, `${part.file} · ${seconds(part.media_start)} – ${seconds(part.media_end)} s`]) : []),
    ...(event.review?.verdict === "corrected" ? [[text.said, `${event.review.was_label} · ${clock(parse(event.review.was_start), zone, true)} – ${clock(parse(event.review.was_end), zone, true)}`]] : []),
  ].filter(([, value]) => value !== undefined && value !== "");
  return html`<dl aria-label=${text.receipt}>${rows.map(([name, value]) => html`<dt><bdi>${name}</bdi></dt><dd>${isChart(value) ? html`<pre>${value.replaceAll(/; ?/g, "\n")}</pre>` : html`<bdi>${value}</bdi>`}</dd>`)}</dl>`;
}

/** Whether a field is a flow chart of Mermaid: it has a line for each statement. */
const isChart = value => /^flowchart (LR|TD);/.test(value);
