// Every view is an address: what is seen can be sent to somebody, and found again.

import {iso, parse} from "./times.js";

const LISTS = ["label", "camera", "review"];
const TEXT = ["index", "text", "event", "tab", "zone", "moment", "within"];

/** The view that an address names. */
export function read(search) {
  const given = new URLSearchParams(search), view = {};
  for (const name of TEXT) view[name] = given.get(name) || "";
  for (const name of LISTS) view[name] = given.getAll(name);
  const [from, to] = [given.get("from"), given.get("to")].map(text => (text ? parse(text) : NaN));
  view.range = from < to ? [from, to] : null;
  return view;
}

/** The address of a view. */
export function write(view) {
  const query = new URLSearchParams();
  if (view.range) {
    query.set("from", short(view.range[0]));
    query.set("to", short(view.range[1]));
  }
  for (const name of TEXT) if (view[name]) query.set(name, view[name]);
  for (const name of LISTS) for (const one of view[name]) query.append(name, one);
  return `/?${query}`;
}

const short = us => iso(us).replace(/\.?0*Z$/, "Z");
