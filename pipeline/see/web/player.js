// Plays the pieces of an event one after the other, and steps by the real frames of each.

import {html, useEffect, useRef, useState} from "./vendor/htm-preact.js";
import {get, newest, wasGivenUp} from "./api.js";
import {drawBoxes} from "./boxes.js";
import {picture} from "./events.js";
import {tell} from "./now.js";
import {stream} from "./streaming.js";
import {clock, date, parse} from "./times.js";

const INTO_FRAME_S = 0.0005;  // a seek to the very border may show the frame before
const AROUND_NS = 20e9;
const CLOSE_S = 0.05;

const askFrames = newest();

/**
 * @param props event or moment ({camera, at}), boxes, index, zone, text, and `control`, a ref through which keys reach the player
 */
export function Player({event, moment, boxes, index, zone, text, control}) {
  const video = useRef(), over = useRef(), state = useRef({piece: 0, frames: [], at: null, stop: null});
  const [pieces, setPieces] = useState(null), [problem, setProblem] = useState(""), [piece, setPiece] = useState(0);
  const [shownAt, setShownAt] = useState(null), [isBoxed, setBoxed] = useState(localStorage.getItem("boxes") !== "off");
  const wanted = event ? {event: event.event_id} : {camera: moment.camera, at: new Date(moment.at / 1000).toISOString()};
  const name = JSON.stringify([index, wanted]), camera = (event || moment).camera;

  const load = async (found, number, mediaS, goesOn) => {
    const one = found[number], element = video.current, own = state.current;
    if (!one || !element) return;
    own.stop?.abort();
    own.stop = new AbortController();
    Object.assign(own, {piece: number, pieces: found, frames: [], wanted: mediaS - one.zero_s + INTO_FRAME_S});
    setPiece(number);
    element.onloadedmetadata = () => { element.currentTime = own.wanted; };
    try {
      if (one.is_native) element.src = one.url;
      else await stream(element, one, own.stop.signal);
      if (goesOn) await element.play();
    } catch (error) {
      if (!wasGivenUp(error)) setProblem(error.status === 410 ? "gone" : "busy");
    }
  };
  useEffect(() => {
    const given = new AbortController();
    setPieces(null);
    setProblem("");
    setShownAt(null);
    const ask = native => get("playback", {index, ...wanted, native}, given.signal).then(found => {
      setPieces(found.pieces);
      state.current.native = native;
      return load(found.pieces, 0, found.pieces[0].media_start, false);
    }).catch(error => {
      if (!wasGivenUp(error)) setProblem(error.status === 410 ? "gone" : error.status === 404 ? "noVideo" : "busy");
    });
    state.current.ask = ask;
    ask(true);
    return () => {
      given.abort();
      state.current.stop?.abort();
    };
  }, [name]);

  // After a seek the frame of before is on screen for a while: its time is not where the player is.
  const mediaS = () => {
    const element = video.current, {mediaTime, pieces: all, piece: number} = state.current;
    return (element.seeking ? element.currentTime : mediaTime ?? element.currentTime) + all[number].zero_s;
  };
  useEffect(() => {
    const element = video.current, own = state.current;
    if (!element?.requestVideoFrameCallback) return undefined;
    let request = 0;
    const shown = (_, frame) => {
      own.mediaTime = element.seeking ? null : frame.mediaTime;
      const one = own.pieces?.[own.piece];
      if (one) {
        setShownAt(parse(one.start) + (frame.mediaTime + one.zero_s - one.media_start) * 1e6);
        element.dataset.mediaS = frame.mediaTime + one.zero_s;
        const next = own.pieces[own.piece + 1];
        if (next && !element.paused && frame.mediaTime + one.zero_s >= one.media_end - CLOSE_S) onEnd();
      }
      request = element.requestVideoFrameCallback(shown);
    };
    request = element.requestVideoFrameCallback(shown);
    return () => element.cancelVideoFrameCallback(request);
  }, [name, problem]);
  useEffect(() => {  // a frame may stand for seconds while somebody speaks
    let request = 0;
    const follow = () => {
      const element = video.current, one = state.current.pieces?.[state.current.piece];
      if (element?.readyState && one) tell(camera, parse(one.start) + (element.currentTime + one.zero_s - one.media_start) * 1e6);
      request = requestAnimationFrame(follow);
    };
    follow();
    return () => {
      cancelAnimationFrame(request);
      tell("", null);
    };
  }, [name, problem]);

  useEffect(() => {
    const paint = () => video.current?.videoWidth && drawBoxes(over.current, video.current, isBoxed && shownAt !== null ? boxes : [], shownAt);
    paint();
    addEventListener("resize", paint);
    return () => removeEventListener("resize", paint);
  }, [boxes, shownAt, isBoxed, problem]);
  const turnBoxes = () => {
    localStorage.setItem("boxes", isBoxed ? "off" : "on");
    setBoxed(!isBoxed);
  };

  const onEnd = () => {
    const {pieces: found, piece: number} = state.current, next = found?.[number + 1];
    if (next) load(found, number + 1, next.media_start, true);
  };
  const onError = () => {  // the file itself cannot be played here: a clip of it can
    if (video.current?.getAttribute("src") && state.current.native) state.current.ask(false);
    else if (pieces) setProblem("busy");
  };
  const step = async by => {
    const element = video.current, own = state.current, one = own.pieces?.[own.piece];
    if (!one) return;
    element.pause();
    const now = mediaS(), is = () => own.frames.findLastIndex(at => at <= now + INTO_FRAME_S);
    if (is() < 1 || is() >= own.frames.length - 1) {
      const middle = Math.round(now * 1e9), start = Math.max(middle - AROUND_NS, 0);
      const asked = {index, start_ns: start, end_ns: middle + AROUND_NS};
      const found = await askFrames(`videos/${one.video_id}/frames`, asked).catch(() => null);
      if (found) own.frames = found.media_s;
    }
    const target = own.frames[is() + by], after = own.frames[is() + by + 1];
    if (target === undefined) return;
    const into = after === undefined ? INTO_FRAME_S : Math.min((after - target) / 2, 0.01);
    element.currentTime = target - one.zero_s + into;
  };
  const toggle = () => (video.current?.paused ? video.current.play() : video.current?.pause());
  /** Go to a time of a camera, if it is in what plays here; whether it is. */
  const seek = (asked, at) => {
    const found = state.current.pieces || [], element = video.current;
    if (asked !== camera || !element) return false;
    const mediaS = one => one.media_start + (at - parse(one.start)) / 1e6;
    const number = found.findIndex(one => (one.is_native && element.duration ? 0 <= mediaS(one) && mediaS(one) < element.duration : one.media_start <= mediaS(one) && mediaS(one) < one.media_end));
    if (number < 0) return false;
    if (number === state.current.piece) element.currentTime = mediaS(found[number]) - found[number].zero_s + INTO_FRAME_S;
    else load(found, number, mediaS(found[number]), !element.paused);
    return true;
  };
  control.current = {step, toggle, seek, boxes: turnBoxes};

  if (problem) {
    return html`<div class="screen">${event && html`<img alt="" src=${picture(event, index)} onError=${e => e.target.classList.add("lost")} />`}
      <p class="notice" role="status">${text[problem]}</p></div>`;
  }
  const one = pieces?.[piece];
  return html`<div class="screen"><video key=${name} ref=${video} controls muted playsinline preload="auto" aria-label=${text.moment}
      poster=${event ? picture(event, index) : undefined} onSeeking=${() => { state.current.mediaTime = null; }} onEnded=${onEnd} onError=${onError}></video><canvas ref=${over} class="over" aria-hidden="true"></canvas></div>
    <p class="under small muted"><span class="now">${shownAt === null ? "" : `${date(shownAt, zone)} ${clock(shownAt, zone)}${(shownAt % 1e6 / 1e6).toFixed(3).slice(1)}`}</span>
      ${pieces?.length > 1 && html`<span>${text.part} ${piece + 1} / ${pieces.length}</span>`}
      ${one && !one.is_native && html`<span>${text.converted}</span>`}
      ${boxes.length > 0 && html`<button class="ghost small push" aria-pressed=${isBoxed} onClick=${turnBoxes}>▢ ${text.boxes} <kbd class="hide">B</kbd></button>`}</p>`;
}
