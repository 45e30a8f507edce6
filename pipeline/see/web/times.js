// Times are microseconds since the epoch, as numbers; a zone turns them into what people read.

export const SECOND = 1e6, MINUTE = 60e6, HOUR = 3600e6, DAY = 86400e6;
export const SPANS = [["1m", MINUTE], ["1h", HOUR], ["1d", DAY], ["1w", 7 * DAY], ["1y", 365 * DAY]];
const MONTH = 28 * DAY;  // the shortest one: how far apart months are at least
const STEPS = [
  SECOND / 10, SECOND / 2, SECOND, 5 * SECOND, 15 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE,
  30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, DAY, 2 * DAY, 4 * DAY, 7 * DAY, MONTH, 3 * MONTH, 12 * MONTH,
  24 * MONTH, 60 * MONTH, 120 * MONTH,
];

/** Microseconds of an ISO text; its digits below the millisecond count too. */
export function parse(text) {
  const micros = text.match(/\.\d{3}(\d{1,3})/);
  return Date.parse(text) * 1000 + (micros ? Number(micros[1].padEnd(3, "0")) : 0);
}

export function iso(us) {
  const whole = Math.floor(us / 1000), rest = Math.floor(us - whole * 1000);
  return new Date(whole).toISOString().replace("Z", `${String(rest).padStart(3, "0")}Z`);
}

const clocks = new Map();

/** How far local time in a zone is ahead of UTC at that moment. */
export function offset(us, zone) {
  if (zone === "UTC") return 0;
  if (!clocks.has(zone)) {
    clocks.set(zone, new Intl.DateTimeFormat("sv-SE", {
      timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit",
      hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
    }));
  }
  const seconds = Math.floor(us / SECOND) * 1000;
  const local = Date.parse(`${clocks.get(zone).format(seconds).replace(" ", "T")}Z`);
  return (local - seconds) * 1000;
}

/** As ISO without a zone, in local time: 2026-03-14T09:00:22.700000. */
export const local = (us, zone) => iso(us + offset(us, zone)).slice(0, -1);

/** The moment that a local text names. */
export function fromLocal(text, zone) {
  const guess = parse(`${text}Z`);
  const first = guess - offset(guess, zone);
  return guess - offset(first, zone);
}

export const date = (us, zone) => local(us, zone).slice(0, 10);
export const clock = (us, zone, tenths = false) => local(us, zone).slice(11, tenths ? 21 : 19);

export function length(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return seconds < 360000 ? `${(seconds / 3600).toFixed(1)} h` : `${Math.round(seconds / 86400)} d`;
}

/** The first days of months from a local time on, as local times: every `step` months. */
function* months(localUs, step) {
  const first = new Date(localUs / 1000), months = (first.getUTCFullYear() - 1970) * 12 + first.getUTCMonth();
  for (let month = Math.floor(months / step) * step; ; month += step) yield Date.UTC(1970, month) * 1000;
}

function* multiples(localUs, step) {
  for (let at = Math.ceil(localUs / step) * step; ; at += step) yield at;
}

/** Round moments in local time from `from` to `to`, at least `apart` pixels of `width` from each other. */
export function ticks(from, to, width, apart, zone) {
  const step = STEPS.find(one => one / (to - from) * width >= apart) || STEPS.at(-1);
  const found = [], ahead = offset(from, zone);
  for (const at of step < MONTH ? multiples(from + ahead, step) : months(from + ahead, step / MONTH)) {
    if (at - ahead >= to + HOUR || found.length >= 200) break;
    const moment = at - offset(at - ahead, zone);
    if (moment >= from && moment < to) found.push({at: moment, text: tickText(at, step)});
  }
  return found;
}

function tickText(localUs, step) {
  const text = iso(localUs);
  if (step >= MONTH) return text.slice(0, 7);
  if (step >= DAY) return text.slice(5, 10);
  if (step >= MINUTE) return text.slice(11, 16);
  return step >= SECOND ? text.slice(11, 19) : text.slice(14, 21);
}
