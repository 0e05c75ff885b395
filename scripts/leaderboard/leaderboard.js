// Sorts, filters and draws what the page holds; text goes in as text, never as markup.
const held = JSON.parse(document.getElementById("held").textContent);
const [find, measure, column, cost, figure] = ["find", "measure", "column", "cost", "figure"].map((id) =>
  document.getElementById(id));
const body = document.querySelector("tbody");
const lines = [...body.rows].map((row, place) => ({ row, place, ...held.lines[place] }));
const heads = [...document.querySelectorAll("thead button")];
const NAMES = 4; // mean place, model, prompt, scorer
const WAYS = held.lines.length ? held.lines[0].cells.length : 0;
let chosen = null;

function number(value) {
  return (held.shares[measure.value] ? 100 * value : value).toFixed(held.shares[measure.value] ? 1 : 3);
}

function fill() {
  for (const line of lines) {
    line.cells.forEach((cell, place) => {
      const td = line.row.cells[NAMES + place];
      if (!cell) {
        td.textContent = "–";
        return;
      }
      const [value, low, high] = cell[measure.value];
      const interval = document.createElement("span");
      interval.textContent = ` [${number(low)}, ${number(high)}]`;
      td.replaceChildren(number(value), interval);
    });
  }
}

// what a column sorts by; undefined where a line has nothing there
function key(line, place) {
  if (place === 0) return line.mean_place ?? undefined;
  if (place < NAMES) return line.names[place - 1];
  if (place < NAMES + WAYS) return line.cells[place - NAMES]?.[measure.value][0];
  return line.costs[place - NAMES - WAYS] ?? undefined;
}

function sort(place, down) {
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  const sorted = [...lines].sort((one, other) => {
    const [a, b] = [key(one, place), key(other, place)];
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined) || one.place - other.place;
    return compare(a, b) * (down ? -1 : 1) || one.place - other.place;
  });
  body.replaceChildren(...sorted.map((line) => line.row));
  heads.forEach((head, at) => {
    if (at === place) head.parentElement.setAttribute("aria-sort", down ? "descending" : "ascending");
    else head.parentElement.removeAttribute("aria-sort");
  });
}

function filter() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const line of lines) {
    const name = line.names.join(" ").toLowerCase();
    line.row.hidden = !words.every((word) => name.includes(word));
  }
  document.getElementById("none").hidden = lines.some((line) => !line.row.hidden);
  draw();
}

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  figure.append(made);
  return made;
}

// round steps, at most so many, from the least to the most
function ticks(least, most, count) {
  const raw = (most - least) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= raw);
  const found = [];
  for (let at = Math.ceil(least / step) * step; at <= most + step / 1e6; at += step) found.push(at);
  return found;
}

function draw() {
  figure.replaceChildren();
  const dots = lines
    .filter((line) => !line.row.hidden && line.costs[cost.value] && line.cells[column.value])
    .map((line) => ({ line, x: Math.log10(line.costs[cost.value]), y: line.cells[column.value][measure.value] }));
  document.getElementById("nothing").hidden = dots.length > 0;
  figure.parentElement.hidden = !dots.length;
  if (!dots.length) return;
  const [left, right, top, bottom] = [70, 880, 20, 370];
  const xs = dots.map((dot) => dot.x);
  const [least, most] = [Math.min(...xs) - 0.1, Math.max(...xs) + 0.1];
  const low = Math.min(...dots.map((dot) => dot.y[1]));
  const high = Math.max(...dots.map((dot) => dot.y[2]));
  const [from, to] = [low - 0.05 * (high - low || 1), high + 0.05 * (high - low || 1)];
  const across = (x) => left + ((x - least) / (most - least)) * (right - left);
  const up = (y) => bottom - ((y - from) / (to - from)) * (bottom - top);
  for (const y of ticks(from, to, 6)) {
    element("line", { x1: left, x2: right, y1: up(y), y2: up(y), class: "grid" });
    element("text", { x: left - 8, y: up(y) + 4, "text-anchor": "end" }, number(y));
  }
  const decades = [];
  for (let power = Math.floor(least); power <= most; power += 1)
    for (const times of [1, 2, 5]) decades.push(times * 10 ** power);
  for (const value of decades.filter((one) => Math.log10(one) >= least && Math.log10(one) <= most))
    element("text", { x: across(Math.log10(value)), y: bottom + 20, "text-anchor": "middle" },
      value.toLocaleString("en", { maximumSignificantDigits: 3 }));
  element("line", { x1: left, x2: right, y1: bottom, y2: bottom, class: "axis" });
  element("text", { x: right, y: bottom + 42, "text-anchor": "end", class: "name" },
    cost.selectedOptions[0].textContent);
  element("text", { x: left, y: 12, class: "name" },
    `${measure.selectedOptions[0].textContent}, ${column.selectedOptions[0].textContent}`);
  // of a model, the best run has its interval and a name, which gives way to those above it
  const named = new Map();
  for (const { line, x, y: [value, below, above] } of [...dots].sort((a, b) => b.y[0] - a.y[0])) {
    const best = !named.has(line.names[0]);
    const mine = chosen === null || chosen === line.names[0] ? "" : " faint";
    if (best) {
      const far = across(x) > right - 140;
      const place = { x: across(x) + (far ? -9 : 9), y: up(value) - 6 };
      while ([...named.values()].some((one) => Math.abs(one.x - place.x) < 140 && Math.abs(one.y - place.y) < 14))
        place.y += 1;
      named.set(line.names[0], place);
      element("text", { ...place, "text-anchor": far ? "end" : "start" }, line.names[0]);
      element("line", { x1: across(x), x2: across(x), y1: up(below), y2: up(above), class: `bar${mine}` });
    }
    const dot = element("circle", { cx: across(x), cy: up(value), r: best ? 5 : 2.5, class: `dot${mine}` });
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = `${line.names.join(" · ")}: ${number(value)} [${number(below)}, ${number(above)}]`;
    dot.append(title);
  }
}

heads.forEach((head, place) => head.addEventListener("click", () => {
  const was = head.parentElement.getAttribute("aria-sort");
  // names and places begin with the first, numbers with the most
  const begins = place < NAMES ? "ascending" : "descending";
  sort(place, (was ? (was === "ascending" ? "descending" : "ascending") : begins) === "descending");
}));
body.addEventListener("click", (event) => {
  const name = event.target.closest("th") && lines.find((line) => line.row === event.target.closest("tr")).names[0];
  chosen = name && name !== chosen ? name : null;
  draw();
});
measure.addEventListener("change", () => { fill(); draw(); });
for (const select of [column, cost]) select.addEventListener("change", draw);
find.addEventListener("input", filter);
fill();
draw();
