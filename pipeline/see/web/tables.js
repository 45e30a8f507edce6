// What was looked at and what failed: the tabs "coverage" and "runs".

import {html} from "./vendor/htm-preact.js";
import {useAnswer} from "./api.js";
import {clock, date, length, parse} from "./times.js";

const moment = (value, zone) => (value ? `${date(parse(value), zone)} ${clock(parse(value), zone)}` : "–");

function Table({title, head, rows, empty}) {
  if (!rows.length) return html`<h3>${title}</h3><p class="muted">${empty}</p>`;
  const kind = value => (typeof value === "number" ? "number" : "");
  return html`<h3>${title}</h3><div class="wide" tabindex="0" role="region" aria-label=${title}><table>
    <thead><tr>${head.map((name, i) => html`<th scope="col" class=${kind(rows[0][i])}>${name}</th>`)}</tr></thead>
    <tbody>${rows.map(row => html`<tr>${row.map(value => html`<td class=${kind(value)}><bdi>${value}</bdi></td>`)}</tr>`)}</tbody></table></div>`;
}

export function Coverage({index, cameras, text, zone}) {
  const [found, problem] = useAnswer("videos", {index, status: ["failed", "partial", "pending"], limit: 500});
  return html`<${Table} title=${text.coverage} empty=${text.none}
      head=${[text.camera, text.first, text.last, text.videos, text.hours, text.partial, text.failed, text.pending, text.events]}
      rows=${cameras.map(one => [one.camera, moment(one.first_start, zone), moment(one.last_end, zone), one.num_videos,
        Number((one.footage_s / 3600).toFixed(1)), one.num_partial, one.num_failed, one.num_pending, one.num_events])} />
    ${problem && html`<p class="problem" role="alert">${text.error}: ${problem}</p>`}
    ${found && html`<${Table} title=${text.problems} empty=${text.noProblems} head=${[text.file, text.camera, text.state, text.start, text.cause]}
      rows=${found.videos.map(one => [one.file, one.camera, text[one.status] || one.status, moment(one.start, zone), one.error])} />`}`;
}

export function Runs({index, text, zone}) {
  const [found, problem] = useAnswer("runs", {index});
  if (problem) return html`<p class="problem" role="alert">${text.error}: ${problem}</p>`;
  return found && html`<${Table} title=${text.runs} empty=${text.noRuns}
    head=${[text.began, text.took, text.state, text.finished, text.notTaken, text.windows]}
    rows=${found.runs.map(one => [moment(one.start, zone), one.end ? length((parse(one.end) - parse(one.start)) / 1e6) : "–", one.state,
      one.num_videos_done, one.num_videos_failed, one.num_windows])} />`;
}
