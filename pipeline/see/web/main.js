// The page: one view, which is an address; questions to the server follow from it.

import {html, render, useEffect, useMemo, useRef, useState} from "./vendor/htm-preact.js";
import {get, newest, post, wasGivenUp} from "./api.js";
import {read, write} from "./address.js";
import {Bar, RangeHeader} from "./bar.js";
import {EventList, Filters} from "./events.js";
import {Hits} from "./hits.js";
import {KeyHelp, useKeys} from "./keys.js";
import {Overview} from "./overview.js";
import {Side} from "./side.js";
import {Coverage, Runs} from "./tables.js";
import {TEXTS} from "./texts.js";
import {Timeline} from "./timeline.js";
import {Transcript} from "./transcript.js";
import {iso, parse} from "./times.js";
import {Zones} from "./zones.js";

const PAUSE_MS = 80, PAGE = 60, MOST = 500, EXACT_COUNT_US = 31 * 86400e6;
const LEGEND = ["analysed", "quiet", "failed", "pending", "not_analysed", "erased", "no_footage"];
const TABLES = ["coverage", "runs", "zones"];  // what needs all of the width
const ask = {lanes: newest(), events: newest(), count: newest()};

/** What the reader of this browser chose before, or what the browser prefers. */
function remembered(name, otherwise) {
  const given = new URLSearchParams(location.search).get(name) || localStorage.getItem(name);
  return given || otherwise;
}

function useView() {
  const [view, setView] = useState(() => read(location.search));
  useEffect(() => {
    const back = () => setView(read(location.search));
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);
  const change = (changes, isStep = false) => setView(now => {
    const next = {...now, ...changes};
    history[isStep ? "pushState" : "replaceState"](null, "", write(next));
    return next;
  });
  return [view, change];
}

/** The range of all footage of an index, with a little room. */
function wholeRange(cameras) {
  const dated = cameras.filter(one => one.first_start);
  if (!dated.length) return [Date.now() * 1000 - 86400e6, Date.now() * 1000];
  const from = Math.min(...dated.map(one => parse(one.first_start))), to = Math.max(...dated.map(one => parse(one.last_end)));
  const room = Math.max((to - from) * 0.015, 1e6);
  return [from - room, to + room];
}

function App() {
  const [view, onView] = useView(), [about, setAbout] = useState(null), [cameras, setCameras] = useState(null);
  const [overview, setOverview] = useState(null), [lanes, setLanes] = useState(null), [visible, setVisible] = useState([]);
  const [events, setEvents] = useState([]), [count, setCount] = useState(null), [limit, setLimit] = useState(PAGE);
  const [form, setForm] = useState(""), [help, setHelp] = useState(false), [problem, setProblem] = useState(""), [said, setSaid] = useState(0);
  const [isSpoken, setSpoken] = useState(false), [picked, setPicked] = useState(null), [drawn, setDrawn] = useState("");
  const [language, setLanguage] = useState(remembered("lang", navigator.language.startsWith("zh") ? "zh" : "en"));
  const [theme, setTheme] = useState(remembered("theme", matchMedia("(prefers-color-scheme:dark)").matches ? "dark" : "light"));
  const input = useRef(), control = useRef(null), text = TEXTS[language] || TEXTS.en, {index} = view;
  const moment = useMemo(() => momentOf(view.moment), [view.moment]);
  const failed = error => { if (!wasGivenUp(error)) setProblem(error.status === 401 ? text.token : error.message); };

  document.documentElement.dataset.theme = theme;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";

  useEffect(() => { get("about").then(setAbout).catch(failed); }, []);
  useEffect(() => {
    if (!about) return;
    setCameras(null);
    get("cameras", {index}).then(async found => {
      const whole = wholeRange(found.cameras);
      if (!view.range) onView({range: whole});
      const first = await get("transcript", {index, limit: 1});
      setSpoken(first.utterances.length + first.slides.length > 0);
      setOverview(await get("overview", {index, start: iso(whole[0]), end: iso(whole[1]), bins: 400}));
      setCameras(found.cameras);
    }).catch(failed);
  }, [about, index]);

  const names = useMemo(() => (cameras || []).map(one => one.camera).filter(name => !view.camera.length || view.camera.some(glob => matches(glob, name))), [cameras, view.camera.join("\n")]);
  const filters = {index, label: view.label, text: view.text, review: view.review};
  const asked = view.range && {...filters, start: iso(view.range[0]), end: iso(view.range[1])};
  const question = JSON.stringify(asked), shownCameras = visible.join("\n");
  useEffect(() => {
    if (!cameras || !asked || !visible.length) return undefined;
    const later = setTimeout(() => {
      const bins = Math.max(Math.min(Math.round(innerWidth / 3), 600), 50);
      ask.lanes("lanes", {...asked, camera: visible, bins}).then(found => { setLanes(found); setDrawn(question + shownCameras); }).catch(failed);
    }, PAUSE_MS);
    return () => clearTimeout(later);
  }, [cameras, question, shownCameras, said]);
  useEffect(() => {
    if (!cameras || !asked) return undefined;
    const later = setTimeout(async () => {
      try {
        const found = await ask.events("events", {...asked, camera: view.camera, limit});
        setEvents(found.events);
        setProblem("");
        const isFull = found.events.length === limit, isExact = view.range[1] - view.range[0] <= EXACT_COUNT_US;
        setCount(found.events.length);
        if (isFull && isExact) setCount((await ask.count("count", {...asked, camera: view.camera})).num_events);
        else if (isFull) setCount(Infinity);
        document.body.dataset.ready = question;
      } catch (error) {
        failed(error);
      }
    }, PAUSE_MS);
    return () => clearTimeout(later);
  }, [cameras, question, limit, view.camera.join("\n"), said]);
  useEffect(() => setLimit(PAGE), [question]);

  const listed = events.find(one => one.event_id === view.event);
  useEffect(() => {  // an event that the address names need not be in the list
    if (!view.event || listed || !cameras) return;
    get(`events/${view.event}`, {index}).then(setPicked).catch(() => setPicked(null));
  }, [view.event, !listed, said, cameras]);
  const event = view.event ? listed || (picked?.event_id === view.event ? picked : null) : null;

  const pick = id => { chosen.current = id; setForm(""); onView({event: id, moment: ""}, true); };
  const show = one => {
    if (!one) return;
    pick(one.event_id);
    document.getElementById(`e${one.event_id}`)?.scrollIntoView({block: "nearest"});
  };
  const chosen = useRef();  // keys may come faster than the page is drawn
  chosen.current = view.event;
  const beside = (by, isOnCamera = false) => {
    const now = events.find(one => one.event_id === chosen.current), among = isOnCamera ? events.filter(one => one.camera === now?.camera) : events;
    show(among[Math.max(among.indexOf(now) + by, 0)]);
  };
  const judge = async (verdict, given = {}) => {
    await post("feedback", {index, verdict, ...(verdict === "missed" ? {} : {event_id: chosen.current}), ...given});
    setForm("");
    setSaid(said + 1);
  };
  const isDrawing = view.tab === "zones", canJudge = event && !isDrawing && about && !about.read_only, quick = verdict => canJudge && judge(verdict).catch(failed);
  useKeys({
    "/": () => { input.current?.focus(); input.current?.select(); },
    "?": () => setHelp(true),
    j: () => beside(1), k: () => beside(-1), "[": () => beside(-1, true), "]": () => beside(1, true),
    y: () => quick("confirmed"), n: () => quick("rejected"), u: () => quick("open"),
    e: () => canJudge && setForm("correct"), m: () => about && !about.read_only && setForm("missed"),
    b: () => control.current?.boxes(), " ": () => control.current?.toggle(), ",": () => control.current?.step(-1), ".": () => control.current?.step(1),
  });
  const turn = (name, set, now, [one, other]) => () => { const next = now === one ? other : one; localStorage.setItem(name, next); set(next); };
  const onLanguage = turn("lang", setLanguage, language, ["en", "zh"]), onTheme = turn("theme", setTheme, theme, ["light", "dark"]);

  if (problem && !cameras) return html`<main class="empty" role="alert">${text.error}: ${problem}</main>`;
  if (!about || !cameras || !view.range) return html`<main class="empty" role="status">…</main>`;
  const zone = view.zone || about.zone, here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zones = [...new Set([zone, about.zone, "UTC", here])], labels = overview?.labels || [], tab = view.tab || "events";
  const whole = wholeRange(cameras);
  const bar = html`<${Bar} ...${{about, cameras, view, text, zone, theme, input, onView, onTheme, onLanguage, onHelp: () => setHelp(true)}} />`;
  if (!cameras.length) {
    return html`<div class="app">${bar}<main class="empty"><h2 class="title">${text.noIndex}</h2><p class="later">${text.fill} <code>timereel index /recordings --index ${view.index || about.indexes[0]}</code></p></main></div>`;
  }
  return html`<div class="app">${bar}
    <section class="time" aria-label=${text.timeline}>
      <${RangeHeader} ...${{view, whole, zones, zone, text, onView}} />
      <${Overview} ...${{whole, range: view.range, counts: overview, theme, text, onRange: range => onView({range})}} />
      ${names.length ? html`<${Timeline} ...${{range: view.range, zone, cameras: names, lanes, labels, chosen: view.event, isLoading: drawn !== question + shownCameras, theme, text,
        onRange: range => onView({range}), onVisible: setVisible, onEvent: pick,
        onMoment: (camera, at) => { setForm(""); onView({event: "", moment: `${iso(at)} ${camera}`}, true); }}} />` : html`<p class="empty">${text.none}</p>`}
      <div class="legend">${LEGEND.map(state => html`<span><i class="sw ${state}"></i>${text[state]}</span>`)}</div></section>
    <main class="main ${TABLES.includes(tab) ? "tables" : ""}"><section class="list" aria-label=${text[tab]}>
      <div class="head"><div class="row" role="tablist">${["events", ...(isSpoken ? ["transcript"] : []), ...(view.text ? ["search"] : []), ...TABLES].map(name => html`<button key=${name} role="tab" class="tab"
          aria-selected=${tab === name} onClick=${() => onView({tab: name === "events" ? "" : name})}>${text[name]}</button>`)}</div>
        ${tab === "events" && html`<span class="muted small" role="status">${count === Infinity ? `${events.length}+` : `${events.length} ${text.of} ${(count ?? 0).toLocaleString("en")}`}</span>
          <${Filters} ...${{labels, view, text, onView}} />`}</div>
      ${problem && html`<p class="problem" role="alert">${text.error}: ${problem}</p>`}
      ${tab === "events" ? html`<${EventList} ...${{events, labels, view, text, zone, onEvent: pick,
          onMore: events.length === limit && limit < MOST ? () => setLimit(Math.min(limit * 3, MOST)) : null}} />`
        : tab === "transcript" ? html`<${Transcript} ...${{view, names, text, zone, control, onView}} />`
        : tab === "search" ? html`<${Hits} ...${{view, text, zone, onView}} />`
        : tab === "coverage" ? html`<${Coverage} ...${{index, cameras, text, zone}} />`
        : isDrawing ? html`<${Zones} key=${index} ...${{index: index || about.indexes[0], cameras, text, onView, shown: event ? {camera: event.camera, at: parse(event.start)} : moment}} />` : html`<${Runs} ...${{index, text, zone}} />`}</section>
      <${Side} ...${{event: isDrawing ? null : event, moment: isDrawing ? null : moment, form, onForm: setForm, judge, about, cameras: names, labels, view, text, zone, control}} /></main>
    ${help && html`<${KeyHelp} ...${{text, onClose: () => setHelp(false)}} />`}</div>`;
}

/** A moment of a camera, from its form in an address: an instant and the camera. */
function momentOf(given) {
  const at = parse(given.split(" ", 1)[0] || "-"), camera = given.slice(given.indexOf(" ") + 1);
  return Number.isFinite(at) && camera ? {at, camera} : null;
}

/** Whether a name is meant by a name or a glob with * and ?. */
function matches(glob, name) {
  if (glob === name) return true;
  const pattern = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  return new RegExp(`^${pattern}$`, "s").test(name);
}

render(html`<${App} />`, document.getElementById("app"));
