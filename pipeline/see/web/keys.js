// Everything can be done with keys alone; `?` shows them.

import {html, useEffect, useRef} from "./vendor/htm-preact.js";

const HELP = [
  ["J K", "keyNext"], ["Space", "keyPlay"], [", .", "keyFrame"], ["[ ]", "keyCamera"], ["Y N E", "keyJudge"], ["U", "keyUndo"], ["B", "keyBoxes"],
  ["M", "keyMissed"], ["/", "keySearch"], ["← → + −", "keyTimeline"], ["?", "keyHelp"],
];
const TYPING = "input,select,textarea";

/** Call the action of a key, unless somebody types; `actions` maps the key to what it does. */
export function useKeys(actions) {
  useEffect(() => {
    const press = e => {
      if (e.ctrlKey || e.metaKey || e.altKey) return;
      if (e.target.matches(TYPING)) {
        if (e.key === "Escape") e.target.blur();
        return;
      }
      const key = e.key.length === 1 ? e.key.toLowerCase() : e.key, does = actions[key];
      if (!does || key === " " && e.target.matches("button,video,a")) return;
      does();
      e.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });
}

export function KeyHelp({text, onClose}) {
  const dialog = useRef();
  useEffect(() => dialog.current.showModal(), []);
  return html`<dialog ref=${dialog} onClose=${onClose} aria-label=${text.keys}>
    <h2>${text.keys}</h2>
    <dl>${HELP.map(([keys, name]) => html`<dt>${keys.split(" ").map(one => html`<kbd>${one}</kbd> `)}</dt><dd>${text[name]}</dd>`)}</dl>
    <form method="dialog"><button>${text.close}</button></form></dialog>`;
}
