// Colours come from the style sheet, so that both themes have their own.

const NUM_COLOURS = 8;

export const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The number of a label's colour: the most frequent labels have their own, all others share the last. */
export function colourNumber(label, labels) {
  const place = labels.indexOf(label);
  return place < 0 ? NUM_COLOURS - 1 : Math.min(place, NUM_COLOURS - 1);
}

/** What drawing needs, read once for each drawing. */
export function palette() {
  const found = {};
  for (const name of ["ink", "muted", "line", "surface", "soft", "accent", "accent-ink", "chosen"]) {
    found[name] = css(`--${name}`);
  }
  found.labels = Array.from({length: NUM_COLOURS}, (_, i) => css(`--c${i}`));
  found.font = getComputedStyle(document.body).fontFamily;
  return found;
}

/** How each state of coverage is drawn: no two differ by colour alone. */
export function stateStyles(context) {
  return {
    analysed: {fill: css("--analysed"), high: 5},
    quiet: {fill: css("--quiet"), high: 2},
    failed: {fill: hatched(context, css("--failed")), high: 5},
    erased: {fill: hatched(context, css("--todo"), true), high: 5},
    pending: {fill: striped(context, css("--todo")), high: 5},
    not_analysed: {dash: css("--todo"), high: 5},
  };
}

function striped(context, colour) {
  const tile = document.createElement("canvas"), pen = tile.getContext("2d");
  tile.width = 6;
  tile.height = 1;
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 2, 1);
  return context.createPattern(tile, "repeat");
}

function hatched(context, colour, isDotted = false) {
  const tile = document.createElement("canvas"), pen = tile.getContext("2d");
  tile.width = tile.height = 4;
  pen.strokeStyle = pen.fillStyle = colour;
  if (isDotted) pen.fillRect(0, 0, 2, 2);
  pen.lineWidth = 1.4;
  pen.beginPath();
  pen.moveTo(-1, 5);
  pen.lineTo(5, -1);
  if (!isDotted) pen.stroke();
  return context.createPattern(tile, "repeat");
}
