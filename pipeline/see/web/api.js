// Questions to the server. One that a newer question replaces is given up, and the server stops it.

import {useEffect, useState} from "./vendor/htm-preact.js";

export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function answered(response) {
  if (response.ok) return response.json();
  const said = await response.json().catch(() => ({}));
  throw new ApiError(response.status, typeof said.detail === "string" ? said.detail : response.statusText);
}

export function url(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of [value].flat()) if (one !== undefined && one !== null && one !== "") query.append(name, one);
  }
  return `/api/v1/${path}${query.size ? `?${query}` : ""}`;
}

export const get = async (path, params, signal) => answered(await fetch(url(path, params), {signal}));

export const post = async (path, body) => answered(await fetch(url(path), {
  method: "POST",
  headers: {"Content-Type": "application/json", "X-Timereel": "1"},
  body: JSON.stringify(body),
}));

/** A function that asks, and gives up its former question of the same kind. */
export function newest() {
  let former = null;
  return async (path, params) => {
    former?.abort();
    const own = former = new AbortController();
    return get(path, params, own.signal);
  };
}

/** What the server answers, null until then, and why it did not. */
export function useAnswer(path, params) {
  const [answer, setAnswer] = useState(null), [problem, setProblem] = useState("");
  useEffect(() => {
    const given = new AbortController();
    setAnswer(null);
    setProblem("");
    get(path, params, given.signal).then(setAnswer).catch(error => { if (!wasGivenUp(error)) setProblem(error.message); });
    return () => given.abort();
  }, [path, JSON.stringify(params)]);
  return [answer, problem];
}

export const wasGivenUp = error => error.name === "AbortError";
