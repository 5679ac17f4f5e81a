// What the reader does.

let pending = false;

function redraw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => { pending = false; draw(); });
}

function select(index, go) {
  view.selected = index;
  view.past = index === null ? null : pastOf(index);
  if (index !== null && !isShown(index)) {
    view.hidden.delete(groupOf.get(marks[index].kind)[0]);
    showKinds();
    layOut();
  }
  if (go && index !== null) centre(index);
  tell();
  redraw();
}

function toFinding() {
  if (data.finding && data.finding.line !== null) select(data.finding.line, true);
}

// Changes the layout so that what is at `y` stays there.
function around(y, change) {
  const place = Math.min(shown.length - 1, firstBelow(shown, y));
  const index = shown.length ? shown[Math.max(0, place)] : null;
  const before = index === null ? 0 : yOf(index);
  change();
  if (index !== null) view.top += yOf(index) - before;
  clampView();
  redraw();
}

function zoomBy(factor, y) {
  around(y, () => { view.zoom = Math.max(0.01, Math.min(6, view.zoom * factor)); });
}

function focusHeight() {
  const y = view.selected === null ? -1 : yOf(view.selected);
  return y > HEAD && y < view.height ? y : view.height / 2;
}

function toggle(button, key) {
  view[key] = !view[key];
  button.setAttribute("aria-pressed", view[key]);
}

function togglePast() {
  toggle(document.getElementById("past"), "pastOnly");
  redraw();
}

function toggleScale() {
  around(focusHeight(), () => { toggle(document.getElementById("scale"), "trueTime"); layOut(); });
}

function showKinds() {
  const kinds = document.getElementById("kinds");
  kinds.replaceChildren();
  const there = new Set(marks.map((mark) => groupOf.get(mark.kind)[0]));
  for (const [name, color] of GROUPS.filter((group) => there.has(group[0]))) {
    const button = add(kinds, "button", name);
    button.style.setProperty("--kind", "var(" + color + ")");
    button.setAttribute("aria-pressed", !view.hidden.has(name));
    button.addEventListener("click", () => {
      around(focusHeight(), () => {
        if (!view.hidden.delete(name)) view.hidden.add(name);
        layOut();
      });
      showKinds();
    });
  }
}

function search(text) {
  const wanted = text.toLowerCase();
  view.hits = [];
  view.hit = -1;
  if (wanted) marks.forEach((mark, index) => { if (mark.text.toLowerCase().includes(wanted)) view.hits.push(index); });
  view.found = new Set(view.hits);
  document.getElementById("hits").textContent = wanted ? view.hits.length + " lines" : "";
  redraw();
}

function nextHit(step) {
  if (!view.hits.length) return;
  if (view.hit < 0 && view.selected !== null && step > 0) {
    // From the selected line on; from the beginning where nothing comes behind it.
    view.hit = Math.max(0, view.hits.findIndex((index) => index > view.selected)) - 1;
  }
  view.hit = (view.hit + step + view.hits.length) % view.hits.length;
  document.getElementById("hits").textContent = view.hit + 1 + " of " + view.hits.length;
  select(view.hits[view.hit], true);
}

// The next or previous line of the selected node.
function walk(step) {
  let place = view.selected === null ? firstBelow(shown, HEAD + 1) - step : shown.indexOf(view.selected);
  const node = view.selected === null ? undefined : marks[view.selected].node;
  do place += step; while (shown[place] !== undefined && node !== undefined && marks[shown[place]].node !== node);
  if (shown[place] === undefined) return;
  const y = yOf(shown[place]);
  select(shown[place], y < HEAD + 30 || y > view.height - 30);
}

// The line or the message at a place of the screen.
function at(x, y) {
  let best = null;
  let nearest = 144;
  for (let place = firstBelow(shown, y - 12); place < shown.length && yOf(shown[place]) < y + 12; place++) {
    const index = shown[place];
    const [dx, dy] = [x - xOf(marks[index].node), yOf(index) - y];
    const beside = dx > 0 && dx < Math.min(laneWidth() * 0.8, 11 + shortText(marks[index]).length * 7.3) ? dx / 20 : dx;
    const distance = beside * beside + dy * dy;
    if (distance < nearest) [best, nearest] = [index, distance];
  }
  if (best !== null) return best;
  const bar = data.spans.find((span) => span.node === null && Math.abs(x - slots.get(span) + view.left - 2) < 4
    && y >= yOf(span.from) && (span.until === null || y <= yOf(span.until)));
  if (bar) return bar.from;
  if (view.hidden.has("messages")) return null;
  nearest = 6;
  for (const arrow of data.arrows) {
    const [x0, y0, x1, y1] = endsOf(arrow);
    if (y < Math.min(y0, y1) - 6 || y > Math.max(y0, y1) + 6) continue;
    const [dx, dy] = [x1 - x0, y1 - y0];
    const along = Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy || 1)));
    const distance = Math.hypot(x - x0 - along * dx, y - y0 - along * dy);
    if (distance < nearest) [best, nearest] = [arrow.sent === null ? arrow.ended : arrow.sent, distance];
  }
  return best;
}

function onKey(event) {
  const inField = event.target.id === "query";
  if (event.key === "Escape") {
    canvas.focus();
    return select(null, false);
  }
  if (inField) {
    if (event.key === "Enter") nextHit(event.shiftKey ? -1 : 1);
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = {
    ArrowDown: () => { view.top += 60; }, ArrowUp: () => { view.top -= 60; },
    ArrowRight: () => { view.left += 60; }, ArrowLeft: () => { view.left -= 60; },
    PageDown: () => { view.top += view.height * 0.85; }, PageUp: () => { view.top -= view.height * 0.85; },
    Home: () => { view.top = 0; }, End: () => { view.top = totalHeight(); },
    "+": () => zoomBy(1.25, focusHeight()), "=": () => zoomBy(1.25, focusHeight()), "-": () => zoomBy(0.8, focusHeight()),
    "[": () => { view.lane = Math.max(40, laneWidth() * 0.8); }, "]": () => { view.lane = laneWidth() * 1.25; },
    j: () => walk(1), k: () => walk(-1), f: toFinding, p: togglePast, t: toggleScale,
    n: () => nextHit(1), N: () => nextHit(-1), "/": () => document.getElementById("query").focus(),
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
  clampView();
  redraw();
}

function listen() {
  let drag = null;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey) return zoomBy(Math.exp(-event.deltaY / 300), event.offsetY);
    view.top += event.shiftKey ? 0 : event.deltaY;
    view.left += event.shiftKey ? event.deltaY : event.deltaX;
    redraw();
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    drag = { x: event.clientX, y: event.clientY, top: view.top, left: view.left, moved: false };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (Math.hypot(dx, dy) > 4) drag.moved = true;
    if (!drag.moved) return;
    canvas.classList.add("grabbed");
    [view.top, view.left] = [drag.top - dy, drag.left - dx];
    redraw();
  });
  canvas.addEventListener("pointerup", (event) => {
    canvas.classList.remove("grabbed");
    if (drag && !drag.moved) select(at(event.offsetX, event.offsetY), false);
    drag = null;
  });
  const toPlace = (event) => {
    view.top = event.offsetY / map.getBoundingClientRect().height * totalHeight() - view.height / 2;
    redraw();
  };
  map.addEventListener("pointerdown", (event) => { map.setPointerCapture(event.pointerId); toPlace(event); });
  map.addEventListener("pointermove", (event) => { if (event.buttons) toPlace(event); });
  document.addEventListener("keydown", onKey);
  document.getElementById("past").addEventListener("click", togglePast);
  document.getElementById("scale").addEventListener("click", toggleScale);
  document.getElementById("in").addEventListener("click", () => zoomBy(1.25, focusHeight()));
  document.getElementById("out").addEventListener("click", () => zoomBy(0.8, focusHeight()));
  document.getElementById("home").addEventListener("click", toFinding);
  document.getElementById("query").addEventListener("input", (event) => search(event.target.value));
  window.addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColors(); tell(); redraw(); });
}

function begin() {
  document.getElementById("title").textContent = data.title;
  const box = document.getElementById("finding");
  document.getElementById("home").hidden = !data.finding;
  if (data.finding) {
    box.hidden = false;
    add(box, "strong", data.finding.property);
    const where = data.finding.node === null ? "" : " on n" + data.finding.node;
    box.append(" at " + seconds(data.finding.at) + where + ": " + data.finding.message);
    box.addEventListener("click", toFinding);
  }
  readColors();
  placeSpans();
  showKinds();
  layOut();
  draw();
  tell();
  toFinding();
  listen();
  document.documentElement.dataset.drawn = "true";
}

begin();
