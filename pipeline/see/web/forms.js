// Two forms of review: correct an event, and add one that nobody found.

import {html, useEffect, useRef, useState} from "./vendor/htm-preact.js";
import {judged} from "./events.js";
import {fromLocal, iso, local, parse} from "./times.js";

/** A time as a field shows it: local, to the millisecond. */
const shown = (us, zone) => local(us, zone).slice(0, 23);

function Form({title, fields, labels, zone, text, onSave, onCancel}) {
  const form = useRef(), [problem, setProblem] = useState("");
  useEffect(() => form.current.querySelector("input,select").focus(), []);
  const save = async e => {
    e.preventDefault();
    const given = Object.fromEntries(new FormData(form.current));
    for (const name of ["start", "end"]) given[name] = iso(fromLocal(given[name], zone));
    try {
      await onSave(given);
    } catch (error) {
      setProblem(error.message);
    }
  };
  const key = e => { if (e.key === "Escape") onCancel(); };
  return html`<form class="form" ref=${form} onSubmit=${save} onKeyDown=${key}>
    <h3>${title}</h3>
    ${fields.camera && html`<label>${text.camera}<select name="camera" defaultValue=${fields.camera.value}>
      ${fields.camera.all.map(one => html`<option value=${one} selected=${one === fields.camera.value}>${one}</option>`)}</select></label>`}
    <label>${text.label}<input name="label" list="labels" required maxlength="200" defaultValue=${fields.label} autocomplete="off" /></label>
    <datalist id="labels">${labels.map(label => html`<option value=${label} />`)}</datalist>
    <label>${text.start}<input name="start" type="datetime-local" step="0.001" required defaultValue=${shown(fields.start, zone)} /></label>
    <label>${text.end}<input name="end" type="datetime-local" step="0.001" required defaultValue=${shown(fields.end, zone)} /></label>
    <label>${text.note}<input name="note" maxlength="2000" autocomplete="off" /></label>
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}
    <p class="row"><button type="submit" class="save">${text.save}</button>
      <button type="button" onClick=${onCancel}>${text.cancel}</button><span class="muted small push">${zone}</span></p></form>`;
}

export function Correction({event, labels, zone, text, judge, onForm}) {
  const now = judged(event);
  const fields = {label: now.label, start: parse(now.start), end: parse(now.end)};
  const save = given => {  // what was not touched stays as it is to the microsecond
    for (const name of ["start", "end"]) if (shown(fields[name], zone) === shown(parse(given[name]), zone)) given[name] = now[name];
    return judge("corrected", given);
  };
  return html`<${Form} ...${{title: text.correct, fields, labels, zone, text, onSave: save, onCancel: () => onForm("")}} />`;
}

export function MissedEvent({event, moment, cameras, labels, view, zone, text, judge, onForm}) {
  const middle = (view.range[0] + view.range[1]) / 2, start = moment ? moment.at : event ? parse(event.start) : middle;
  const chosen = moment?.camera || event?.camera || cameras[0] || "";
  const fields = {camera: {value: chosen, all: cameras}, label: "", start, end: start + 5e6};
  return html`<div class="body"><${Form} ...${{
    title: text.addMissed, fields, labels, zone, text, onSave: given => judge("missed", given), onCancel: () => onForm(""),
  }} /></div>`;
}
