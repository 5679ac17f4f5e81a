// What is said of the selected line. All of it is text: nothing that a run says is taken for markup.

const panel = document.getElementById("panel");
const pastOfFinding = new Set(data.finding ? data.finding.past : []);

function add(parent, tag, text, name) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  parent.append(element);
  return element;
}

function jump(index, prefix) {
  const text = (prefix ? prefix + " " : "") + timeOf(index) + "  " + nameOf(marks[index].node) + "  " + shortText(marks[index]);
  const button = add(panel, "button", text);
  button.title = marks[index].text;
  button.addEventListener("click", () => select(index, true));
}

function tell() {
  panel.replaceChildren();
  const index = view.selected;
  if (index === null) return help();
  const mark = marks[index];
  add(panel, "h2", mark.kind + " · " + nameOf(mark.node));
  add(panel, "p", timeOf(index) + " of simulated time");
  if (data.finding && data.finding.line === index) {
    add(panel, "h3", "Found here");
    add(panel, "pre", data.finding.property + ": " + data.finding.message, "bad");
    if (data.finding.site) add(panel, "p", data.finding.site);
  }
  add(panel, "pre", mark.text);
  if (mark.number !== undefined) tellMessage(mark.number);
  for (const batch of data.batches) {
    if (batch.ordered !== index && batch.answered !== index) continue;
    add(panel, "h3", "Batch");
    jump(batch.ordered, "ordered");
    if (batch.answered === null) add(panel, "p", "not answered");
    else jump(batch.answered, "answered");
  }
  if (mark.step !== undefined) {
    add(panel, "h3", "In the step of");
    jump(mark.step);
  }
  const causes = [...new Set(mark.causes)].filter((cause) => cause !== mark.step);
  if (causes.length) {
    add(panel, "h3", "Comes from");
    causes.forEach((cause) => jump(cause));
  }
  const effects = [];
  for (let next = index + 1; next < marks.length && effects.length < 12; next++) {
    if (marks[next].step === index) effects.push(next);
  }
  if (effects.length) {
    add(panel, "h3", "Brought forth");
    effects.forEach((effect) => jump(effect));
  }
}

function tellMessage(number) {
  add(panel, "h3", "Message " + number);
  const copies = data.arrows.filter((arrow) => arrow.number === number);
  const sent = copies.find((arrow) => arrow.sent !== null);
  if (sent) jump(sent.sent, "sent");
  for (const copy of copies) {
    if (copy.ended !== null) jump(copy.ended, copy.fate);
    else add(panel, "p", "to n" + copy.to + ": no arrival in this trace");
  }
}

function help() {
  add(panel, "h2", "What it shows");
  add(panel, "p", "A column for each node, time downwards. Arrows are messages, from sending to arrival; dashed red ones are lost or refused. Teal brackets are batches of the disk. A dotted column is a node that is down, a dashed one a node that waits. Bars in the first column last as long as partitions, cuts, clogs and filters; coloured columns are roles.");
  if (data.finding) add(panel, "p", "The red band is where the property broke; yellow rings are what led there.");
  add(panel, "h3", "Keys");
  const keys = [
    ["j k", "next and previous line of the node"], ["↓ ↑ ← →", "scroll"], ["+ −", "zoom, also Ctrl and wheel"],
    ["[ ]", "width of columns"], ["f", "to the finding"], ["p", "only the past of the selected line"],
    ["t", "true time"], ["/", "search; Enter and Shift+Enter go through hits"], ["Esc", "nothing selected"],
  ];
  const list = add(panel, "dl");
  for (const [key, text] of keys) {
    add(add(list, "dt"), "kbd", key);
    add(list, "dd", text);
  }
  if (roleColors.size) {
    add(panel, "h3", "Roles");
    for (const [role, color] of [...roleColors].slice(0, 16)) {
      const line = add(panel, "p", "■ " + role, "role");
      line.title = role;
      line.style.color = color;
    }
    if (roleColors.size > 16) add(panel, "p", "and " + (roleColors.size - 16) + " more");
  }
}
