// Zones in the form of the user's config: what it would refuse, and the YAML.

export const RULES = ["in_zone", "enters", "leaves"];

/** A share of the picture as the config takes it. */
export const share = value => Math.round(Math.min(Math.max(value, 0), 1) * 1000) / 1000;

/** The name of the text that says why the config would refuse a zone; "" if it would not. */
export function problemOf(zone, zones) {
  const {name, isLine, points, rules, loitersS, minCount} = zone, different = new Set(points.map(String)).size;
  if (!name || name === "none" || zones.some(one => one !== zone && one.name === name)) return "badName";
  if (isLine) return different < 2 || different < points.length ? "badLine" : "";
  if (different < 3) return "badPolygon";
  return rules.length || loitersS > 0 || minCount >= 2 ? "" : "noRule";
}

/** The section `zones:` of a config; "" if there is no zone that it would take. */
export function yamlOf(zones) {
  const lines = zones.filter(zone => !problemOf(zone, zones)).flatMap(linesOf);
  return lines.length ? `${["zones:", ...lines].join("\n")}\n` : "";
}

function linesOf({name, camera, isLine, points, labels, rules, loitersS, minCount}) {
  const corners = `[${points.map(([x, y]) => `[${x}, ${y}]`).join(", ")}]`, wanted = labels.split(",").map(one => one.trim()).filter(Boolean);
  return [
    `  ${quoted(name)}:`,
    `    camera: ${quoted(camera)}`,
    `    ${isLine ? "line" : "polygon"}: ${corners}`,
    wanted.length && `    labels: [${wanted.map(quoted).join(", ")}]`,
    !isLine && rules.length && `    rules: [${RULES.filter(rule => rules.includes(rule)).join(", ")}]`,
    !isLine && loitersS > 0 && `    loiters_s: ${Number(loitersS)}`,
    !isLine && minCount >= 2 && `    min_count: ${Math.floor(minCount)}`,
  ].filter(Boolean);
}

/** A text that YAML reads as this text, also where it looks like a number or holds what YAML does not print. */
const quoted = text => JSON.stringify(text).replace(/[\x7f-\x9f\u2028\u2029\ufeff]/g, one => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
