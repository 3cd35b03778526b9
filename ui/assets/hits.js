// What a turn recalled: lines as they were written, and each part of the score as a bar. Text only, never HTML.

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function bar(label, value) {
  const row = element("div", "bar");
  const track = element("span", "track"), fill = element("span", "fill");
  fill.style.width = `${Math.round(100 * Math.max(0, Math.min(1, value)))}%`;
  track.append(fill);
  row.append(element("span", "label", label), track, element("span", "value", value.toFixed(2)));
  return row;
}

function said(line) {
  const row = element("p", line.role);
  if (line.speaker) row.append(element("b", "", line.speaker), document.createTextNode(" "));
  row.append(document.createTextNode(line.text));
  return row;
}

// The anchor and the answer it got; what stood around them is folded away.
function core(hit) {
  const start = hit.lines.findIndex((line) => line.role === "user" && line.text === hit.anchor);
  if (start < 0) return hit.lines.length ? hit.lines.slice(0, 3) : [{ role: "user", speaker: "", text: hit.anchor }];
  let end = start + 1;
  while (end < hit.lines.length && hit.lines[end].role === "assistant") end += 1;
  return hit.lines.slice(start, end);
}

function card(hit, strings) {
  const node = element("article");
  const shown = core(hit);
  node.append(...shown.map(said));
  if (hit.lines.length > shown.length) {
    const around = element("details");
    around.append(element("summary", "", `${strings.around} (${hit.lines.length})`), ...hit.lines.map(said));
    node.append(around);
  }
  for (const part of ["semantic", "lexical", "recency", "retrieval"]) node.append(bar(strings[part], hit[`${part}_score`]));
  return node;
}

export default function ({ parentElement, data }) {
  const root = parentElement.querySelector(".hits");
  root.replaceChildren(...data.hits.map((hit) => card(hit, data.strings)));
  if (!data.hits.length) root.append(element("p", "none", data.strings.no_hits));
}
