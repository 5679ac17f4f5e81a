// How it looks. Only what is on the screen is drawn, so a run may have any number of lines.

const canvas = document.getElementById("diagram");
const map = document.getElementById("map");
const pen = canvas.getContext("2d");
const mapPen = map.getContext("2d");
const FONT = "12px ui-monospace, Menlo, Consolas, monospace";
let colors = {};
let roleColors = new Map();

function readColors() {
  const style = getComputedStyle(document.documentElement);
  const names = ["bg", "raised", "fg", "dim", "line", "grid", "message", "disk", "op", "output", "fault", "note", "bad", "bad-soft", "past", "select"];
  for (const name of names) colors[name] = style.getPropertyValue("--" + name).trim();
  const palette = [0, 1, 2, 3, 4, 5, 6, 7].map((slot) => style.getPropertyValue("--r" + slot).trim());
  roleColors = new Map();
  for (const span of data.spans) {
    if (span.kind === "role" && !roleColors.has(span.text)) roleColors.set(span.text, palette[roleColors.size % palette.length]);
  }
}

function colorOf(kind) {
  if (kind === "lost" || kind === "refused" || kind === "crash") return colors.bad;
  if (kind === "boot") return colors.output;
  const name = groupOf.get(kind)[1].slice(2);
  return colors[name] || colors.fg;
}

function isDimmed(index) {
  return view.pastOnly && view.past !== null && !view.past.has(index);
}

function fit(element, context) {
  const scale = window.devicePixelRatio || 1;
  const box = element.getBoundingClientRect();
  if (element.width !== Math.round(box.width * scale) || element.height !== Math.round(box.height * scale)) {
    element.width = Math.round(box.width * scale);
    element.height = Math.round(box.height * scale);
  }
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return box;
}

function draw() {
  const box = fit(canvas, pen);
  [view.width, view.height] = [box.width, box.height];
  clampView();
  pen.font = FONT;
  pen.textBaseline = "middle";
  pen.fillStyle = colors.bg;
  // A pixel more: the size need not be whole.
  pen.fillRect(0, 0, view.width + 1, view.height + 1);
  drawFinding();
  drawLanes();
  drawTimes();
  data.spans.forEach(drawSpan);
  data.batches.forEach(drawBatch);
  if (!view.hidden.has("messages")) data.arrows.forEach(drawArrow);
  drawMarks();
  drawHead();
  drawMap();
}

function drawFinding() {
  if (!data.finding || data.finding.line === null) return;
  const y = yOf(data.finding.line);
  pen.fillStyle = colors["bad-soft"];
  pen.fillRect(0, y - 11, view.width, 22);
  pen.fillStyle = colors.bad;
  pen.fillRect(0, y - 11, 4, 22);
}

function drawLanes() {
  const end = marks.length ? Math.min(view.height, yOf(marks.length - 1) + 12) : 0;
  pen.strokeStyle = colors.line;
  pen.lineWidth = 1;
  for (let node = 0; node < data.nodes; node++) {
    pen.beginPath();
    pen.moveTo(xOf(node), HEAD);
    pen.lineTo(xOf(node), end);
    pen.stroke();
  }
}

function drawTimes() {
  let free = -Infinity;
  let told = -1;
  for (let place = firstBelow(shown, HEAD); place < shown.length; place++) {
    const y = yOf(shown[place]);
    if (y > view.height + 20) break;
    const at = marks[shown[place]].at;
    if (y < free || at === told) continue;
    [free, told] = [y + 15, at];
    pen.strokeStyle = colors.grid;
    pen.beginPath();
    pen.moveTo(GUTTER - 4, y);
    pen.lineTo(view.width, y);
    pen.stroke();
    pen.fillStyle = colors.dim;
    pen.textAlign = "right";
    pen.fillText(timeOf(shown[place]).replace(" s", ""), GUTTER - 10, y);
  }
  pen.textAlign = "left";
}

function drawSpan(span) {
  const from = Math.max(HEAD, yOf(span.from));
  const last = span.until === null ? yOf(marks.length - 1) + 12 : yOf(span.until);
  const until = Math.min(view.height, last);
  if (until <= from || from > view.height || until < HEAD) return;
  if (span.node === null) {
    if (view.hidden.has("faults")) return;
    pen.globalAlpha = view.selected === span.from ? 1 : 0.55;
    pen.fillStyle = span.kind === "partition" ? colors.bad : colors.fault;
    pen.fillRect(slots.get(span) - view.left, from, SLOT - 2, until - from);
    pen.globalAlpha = 1;
    return;
  }
  const x = xOf(span.node);
  if (span.kind === "role") {
    pen.fillStyle = roleColors.get(span.text);
    pen.fillRect(x - 4, from, 8, until - from);
    return;
  }
  // Where a node does not run its column is empty; where it waits the column is hatched.
  pen.fillStyle = span.kind === "down" ? colors.bg : colors.raised;
  pen.fillRect(x - 5, from, 10, until - from);
  pen.strokeStyle = span.kind === "down" ? colors.bad : colors.fault;
  pen.lineWidth = 1.5;
  pen.setLineDash(span.kind === "down" ? [2, 5] : [6, 3]);
  pen.beginPath();
  pen.moveTo(x, from);
  pen.lineTo(x, until);
  pen.stroke();
  pen.setLineDash([]);
}

function drawBatch(batch) {
  if (view.hidden.has("disk") || batch.answered === null) return;
  const [from, until] = [yOf(batch.ordered), yOf(batch.answered)];
  if (until < HEAD || from > view.height) return;
  const x = xOf(batch.node) - 11;
  pen.globalAlpha = isDimmed(batch.ordered) ? 0.12 : 0.8;
  pen.strokeStyle = colors.disk;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.moveTo(x + 5, from);
  pen.lineTo(x, from + 2);
  pen.lineTo(x, until - 2);
  pen.lineTo(x + 5, until);
  pen.stroke();
  pen.globalAlpha = 1;
}

// Where an arrow begins and ends on the screen.
function endsOf(arrow) {
  const [left, right] = [xOf(arrow.from), xOf(arrow.to)];
  if (arrow.sent === null) {
    const y = yOf(arrow.ended);
    return [right + Math.sign(left - right) * 46, y - 14, right, y];
  }
  const top = yOf(arrow.sent);
  if (arrow.fate === "received" || arrow.fate === "refused") return [left, top, right, yOf(arrow.ended)];
  const end = arrow.ended === null ? top + 22 : Math.max(yOf(arrow.ended), top + 8);
  return [left, top, left + (right - left) * 0.45, end];
}

function drawArrow(arrow) {
  const [x0, y0, x1, y1] = endsOf(arrow);
  if (y1 < HEAD - 20 || y0 > view.height + 20) return;
  const isSelected = view.selected !== null && marks[view.selected].number === arrow.number;
  const dimmed = isDimmed(arrow.ended === null ? arrow.sent : arrow.ended);
  const isPast = data.finding && arrow.ended !== null && pastOfFinding.has(arrow.ended) && pastOfFinding.has(arrow.sent);
  pen.globalAlpha = dimmed && !isSelected ? 0.08 : isSelected || isPast ? 1 : 0.6;
  pen.strokeStyle = pen.fillStyle = arrow.fate === "received" ? colors.message : arrow.fate === "open" ? colors.dim : colors.bad;
  pen.lineWidth = isSelected ? 2.6 : isPast ? 2 : 1.1;
  pen.setLineDash(arrow.fate === "received" ? [] : [4, 4]);
  pen.beginPath();
  pen.moveTo(x0, y0);
  if (x0 === x1) pen.quadraticCurveTo(x0 + 30, (y0 + y1) / 2, x1, y1);
  else pen.lineTo(x1, y1);
  pen.stroke();
  pen.setLineDash([]);
  if (arrow.fate === "lost") cross(x1, y1, 4);
  else if (arrow.fate !== "open") head(x0, y0, x1, y1);
  pen.globalAlpha = 1;
}

function head(x0, y0, x1, y1) {
  const angle = Math.atan2(y1 - y0, x1 - x0);
  const [x, y] = [x1 - 5 * Math.cos(angle), y1 - 5 * Math.sin(angle)];
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x - 8 * Math.cos(angle - 0.38), y - 8 * Math.sin(angle - 0.38));
  pen.lineTo(x - 8 * Math.cos(angle + 0.38), y - 8 * Math.sin(angle + 0.38));
  pen.fill();
}

function cross(x, y, size) {
  pen.lineWidth = 2;
  pen.beginPath();
  pen.moveTo(x - size, y - size);
  pen.lineTo(x + size, y + size);
  pen.moveTo(x + size, y - size);
  pen.lineTo(x - size, y + size);
  pen.stroke();
}

function drawMarks() {
  const widest = Math.max(4, Math.floor((laneWidth() - 24) / 7.3));
  const free = new Map();
  for (let place = firstBelow(shown, HEAD - 8); place < shown.length; place++) {
    const index = shown[place];
    const mark = marks[index];
    const [x, y] = [xOf(mark.node), yOf(index)];
    if (y > view.height + 10) break;
    pen.globalAlpha = isDimmed(index) ? 0.18 : 1;
    drawRing(index, x, y);
    glyph(mark, x, y);
    const lane = mark.node === null ? -1 : mark.node;
    const isChosen = index === view.selected || (data.finding && index === data.finding.line);
    if (isChosen || y >= (free.get(lane) || 0)) {
      free.set(lane, y + 13);
      label(mark, index, x + 11, y, mark.node === null ? 16 : widest);
    }
    pen.globalAlpha = 1;
  }
}

// Rings: the selected line, hits of the search, the finding and what led to it.
function drawRing(index, x, y) {
  const isFinding = data.finding && data.finding.line === index;
  const color = index === view.selected ? colors.select : isFinding ? colors.bad : pastOfFinding.has(index) ? colors.past : view.found.has(index) ? colors.op : null;
  if (color === null) return;
  pen.strokeStyle = color;
  pen.lineWidth = index === view.selected || isFinding ? 2.4 : 1.6;
  pen.beginPath();
  pen.arc(x, y, 8, 0, 2 * Math.PI);
  pen.stroke();
}

function glyph(mark, x, y) {
  const color = colorOf(mark.kind);
  pen.fillStyle = pen.strokeStyle = color;
  pen.lineWidth = 1.8;
  pen.beginPath();
  switch (mark.kind) {
    case "crash": case "lost": case "refused":
      cross(x, y, mark.kind === "crash" ? 5 : 3);
      return;
    case "send":
      pen.arc(x, y, 3.6, 0, 2 * Math.PI);
      pen.fillStyle = colors.bg;
      pen.fill();
      pen.stroke();
      return;
    case "op": case "fault":
      pen.moveTo(x, y - 6); pen.lineTo(x + 6, y); pen.lineTo(x, y + 6); pen.lineTo(x - 6, y); pen.fill();
      return;
    case "persist": case "stored":
      pen.rect(x - 4, y - 4, 8, 8);
      if (mark.kind === "persist") { pen.fillStyle = colors.bg; }
      pen.fill();
      pen.stroke();
      return;
    case "output": case "boot":
      pen.moveTo(x - 4, y - 5); pen.lineTo(x + 6, y); pen.lineTo(x - 4, y + 5); pen.fill();
      return;
    case "role":
      pen.fillStyle = roleColors.get(mark.text.slice(5).split(",")[0]) || colors.fg;
      pen.arc(x, y, 5, 0, 2 * Math.PI);
      pen.fill();
      return;
    default:
      pen.arc(x, y, mark.kind === "wake" ? 2.2 : 3.8, 0, 2 * Math.PI);
      pen.fill();
  }
}

function shortText(mark) {
  const text = mark.text.replace(/NodeIndex\((\d+)\)/g, "n$1");
  if (text.startsWith("-> ")) return "→ " + text.slice(3);
  if (text.startsWith("<- ")) return "← " + text.slice(3);
  if (text.startsWith("-x ")) return "lost → " + text.slice(3);
  if (mark.kind !== "fault") return text;
  return text.slice(6).replace(/ \{ ?/, " ").replace(/ ?\}$/, "").replace(/from: (\w+), to: (\w+)/, "$1→$2").replace(/node: /, "").replace(/groups: /, "");
}

function label(mark, index, x, y, widest) {
  let text = shortText(mark).replace(/\s+/g, " ");
  if (text.length > widest) text = text.slice(0, widest - 1) + "…";
  const width = text.length * 7.23;
  // Arrows pass behind the words.
  pen.fillStyle = data.finding && index === data.finding.line ? colors["bad-soft"] : colors.bg;
  const alpha = pen.globalAlpha;
  pen.globalAlpha = alpha * 0.82;
  pen.fillRect(x - 1, y - 7, width + 2, 14);
  pen.globalAlpha = alpha;
  const isLoud = index === view.selected || ["crash", "boot", "op", "fault", "role", "output"].includes(mark.kind);
  pen.fillStyle = data.finding && index === data.finding.line ? colors.bad : isLoud ? colors.fg : colors.dim;
  pen.fillText(text, x, y + 0.5);
}

function drawHead() {
  pen.fillStyle = colors.raised;
  pen.fillRect(0, 0, view.width, HEAD);
  pen.strokeStyle = colors.line;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(0, HEAD - 0.5);
  pen.lineTo(view.width, HEAD - 0.5);
  pen.stroke();
  pen.fillStyle = colors.dim;
  pen.textAlign = "right";
  pen.fillText("seconds", GUTTER - 10, HEAD / 2);
  pen.textAlign = "left";
  pen.fillText("cluster", xOf(null) - 6, HEAD / 2);
  for (let node = 0; node < data.nodes; node++) {
    pen.fillStyle = colors.fg;
    pen.font = "600 " + FONT;
    pen.fillText("n" + node, xOf(node) - 7, HEAD / 2);
    pen.font = FONT;
    const role = roleAt(node);
    if (role) {
      const widest = Math.max(3, Math.floor((laneWidth() - 44) / 7.3));
      pen.fillStyle = roleColors.get(role);
      pen.fillText(role.length > widest ? role.slice(0, widest - 1) + "…" : role, xOf(node) + 20, HEAD / 2);
    }
  }
}

// The role of a node in the middle of the screen, or at the selected line if that is to be seen.
function roleAt(node) {
  const place = Math.min(shown.length - 1, firstBelow(shown, HEAD + (view.height - HEAD) / 2));
  let at = place >= 0 ? shown[place] : 0;
  if (view.selected !== null && yOf(view.selected) > HEAD && yOf(view.selected) < view.height) at = view.selected;
  const span = data.spans.find((span) => span.kind === "role" && span.node === node && span.from <= at && (span.until === null || span.until > at));
  return span ? span.text : null;
}

// The whole run beside it: how much happened when, crashes, the finding, and what is on the screen.
function drawMap() {
  const box = fit(map, mapPen);
  const [width, height] = [box.width, box.height];
  mapPen.fillStyle = colors.raised;
  mapPen.fillRect(0, 0, width, height);
  const whole = totalHeight();
  const place = (index) => (heights[index] * view.zoom + HEAD + 16) / whole * height;
  const dense = new Float64Array(Math.ceil(height) + 1);
  let most = 1;
  for (const index of shown) most = Math.max(most, ++dense[Math.min(dense.length - 1, Math.floor(place(index)))]);
  mapPen.fillStyle = colors.dim;
  mapPen.globalAlpha = 0.45;
  dense.forEach((count, y) => { if (count) mapPen.fillRect(4, y, 2 + (width - 10) * count / most, 1); });
  mapPen.globalAlpha = 1;
  for (const index of shown) {
    const kind = marks[index].kind;
    if (kind !== "crash" && kind !== "fault") continue;
    mapPen.fillStyle = kind === "crash" ? colors.bad : colors.fault;
    mapPen.fillRect(width - 9, place(index) - 1, 6, 2);
  }
  if (data.finding && data.finding.line !== null) {
    mapPen.fillStyle = colors.bad;
    mapPen.fillRect(0, place(data.finding.line) - 1.5, width, 3);
  }
  mapPen.strokeStyle = colors.message;
  mapPen.lineWidth = 1.5;
  mapPen.strokeRect(1.5, view.top / whole * height + 1, width - 3, Math.max(6, Math.min(height - 2, view.height / whole * height)));
}
