// What stands where. Lines go downwards in the order in which they happened; columns are nodes.

const data = JSON.parse(document.getElementById("data").textContent);
const marks = data.marks;

// Kinds of lines that are shown or hidden together, with their colours.
const GROUPS = [
  ["messages", "--message", ["send", "receive", "lost", "refused", "link"]],
  ["operations", "--op", ["op"]],
  ["disk", "--disk", ["persist", "stored"]],
  ["outputs", "--output", ["output"]],
  ["deadlines", "--dim", ["wake"]],
  ["roles", "--r0", ["role", "state"]],
  ["notes", "--note", ["note", "log"]],
  ["faults", "--fault", ["fault", "crash", "exit", "boot"]],
];
const groupOf = new Map(GROUPS.flatMap((group) => group[2].map((kind) => [kind, group])));

const GUTTER = 86;
const FAULTS = 164;
const MARGIN = 14;
const SLOT = 6;
const SLOTS = 4;
const HEAD = 30;
const ROW = 17;

const view = {
  top: 0, left: 0, zoom: 1, width: 0, height: 0, lane: 150,
  selected: null, hidden: new Set(), pastOnly: false, trueTime: false, past: null, hits: [], found: new Set(), hit: -1,
};

// The height of each line in the whole diagram, before zooming; hidden ones have that of the next.
let heights = new Float64Array(marks.length);
// The lines that are shown.
let shown = [];

function isShown(index) {
  return !view.hidden.has(groupOf.get(marks[index].kind)[0]) || (data.finding && data.finding.line === index);
}

function layOut() {
  shown = [];
  let height = 0;
  let before = null;
  const begin = marks.length ? marks[0].at : 0;
  for (let index = 0; index < marks.length; index++) {
    const at = marks[index].at;
    if (view.trueTime) {
      height = (at - begin) / 50000;
    } else if (isShown(index)) {
      // Time that passed makes a gap, but never a desert.
      const passed = before === null ? 0 : at - before;
      height += ROW + (passed > 0 ? Math.min(40, 5 * Math.log10(1 + passed / 1000)) : 0);
    }
    heights[index] = height;
    if (isShown(index)) {
      before = at;
      shown.push(index);
    }
  }
}

function laneWidth() {
  const fit = (view.width - GUTTER - FAULTS - MARGIN) / Math.max(1, data.nodes);
  return Math.max(view.lane, fit);
}

// What is between nodes stands beside each other as long as it lasts at the same time.
const slots = new Map();

function placeSpans() {
  const free = new Array(SLOTS).fill(-1);
  for (const span of data.spans.filter((span) => span.node === null)) {
    let slot = free.findIndex((until) => until <= span.from);
    if (slot < 0) slot = SLOTS - 1;
    free[slot] = span.until === null ? Infinity : span.until;
    slots.set(span, GUTTER + slot * SLOT);
  }
}

function totalWidth() {
  return GUTTER + FAULTS + MARGIN + laneWidth() * data.nodes;
}

function totalHeight() {
  return (marks.length ? heights[marks.length - 1] : 0) * view.zoom + HEAD + 80;
}

function xOf(node) {
  if (node === null || node === undefined) return GUTTER + 12 + SLOT * SLOTS - view.left;
  return GUTTER + FAULTS + MARGIN + laneWidth() * node - view.left;
}

function yOf(index) {
  return heights[index] * view.zoom - view.top + HEAD + 16;
}

// The first of `list` whose height on the screen is at least `y`; lists are in the order of lines.
function firstBelow(list, y) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (yOf(list[middle]) < y) low = middle + 1;
    else high = middle;
  }
  return low;
}

function clampView() {
  view.top = Math.max(0, Math.min(view.top, totalHeight() - view.height));
  view.left = Math.max(0, Math.min(view.left, totalWidth() - view.width));
}

function centre(index) {
  view.top = heights[index] * view.zoom + HEAD + 16 - view.height * 0.55;
  const x = xOf(marks[index].node) + view.left;
  if (x < view.left + GUTTER || x > view.left + view.width - 80) view.left = x - view.width / 2;
  clampView();
}

// Everything that led to a line.
function pastOf(index) {
  const past = new Set();
  const open = [index];
  while (open.length) {
    const next = open.pop();
    if (past.has(next)) continue;
    past.add(next);
    open.push(...marks[next].causes);
  }
  return past;
}

function timeOf(index) {
  return seconds(marks[index].at);
}

function seconds(nanos) {
  const whole = Math.floor(nanos / 1e9);
  return whole + "." + String(Math.floor((nanos % 1e9) / 1000)).padStart(6, "0") + " s";
}

function nameOf(node) {
  return node === null || node === undefined ? "cluster" : "n" + node;
}
