// The explorer. All that it shows is in the page or, where there are many runs, in scripts beside it;
// nothing else is fetched. Whatever comes from the dataset becomes text, never markup.

const byId = (id) => document.getElementById(id);
const stored = (id) => JSON.parse(byId(id).textContent);

const held = stored("held");
const phrases = stored("phrases");
const pictures = stored("pictures");

const WAYS = ["text_to_image", "image_to_text"];
const OUTCOMES = { first: [1, 1], top5: [2, 5], top10: [6, 10], beyond: [11, Infinity] };
const DUELS = {
  first_a: (a, b) => a === 1 && b !== 1,
  first_b: (a, b) => b === 1 && a !== 1,
  better_a: (a, b) => a < b,
  better_b: (a, b) => b < a,
  first_neither: (a, b) => a !== 1 && b !== 1,
};
const SORTS = ["order", "rank", "margin", "score", "change"];
const PAUSE = 200; // ms before the address follows: browsers limit how often it may change
const SPARE = 6; // rows drawn above and below what is seen

// on a narrow screen the list and the chosen query take turns
const narrow = matchMedia("(max-width: 56rem)");

// ---- what is shown, and how it is written in the address ----

const START = {
  way: "text_to_image",
  query: null, // a row of the queries; null is the first of the list
  open: false, // on a narrow screen: the query, not the list
  a: 0,
  b: null,
  find: "",
  outcomes: [],
  kind: null,
  category: null,
  words: [null, null],
  rank: [null, null],
  duel: null,
  sort: "order",
  down: false,
  language: null,
};
const FILTERS = ["find", "outcomes", "kind", "category", "words", "rank", "duel"];

let state = { ...START };

function addressOf(view) {
  const place = new URLSearchParams({ way: view.way });
  if (view.query !== null && (view.open || !narrow.matches)) place.set("query", view.query);
  place.set("run", held.runs[view.a].name);
  if (view.b !== null) place.set("with", held.runs[view.b].name);
  if (view.find.trim()) place.set("find", view.find.trim());
  if (view.outcomes.length) place.set("outcome", view.outcomes.join(","));
  for (const key of ["kind", "category", "duel"]) if (view[key] !== null) place.set(key, view[key]);
  for (const key of ["words", "rank"]) {
    if (isRange(view[key])) place.set(key, view[key].map((bound) => bound ?? "").join("-"));
  }
  if (view.sort !== "order") place.set("sort", view.sort);
  if (view.down) place.set("order", "down");
  if (view.language) place.set("lang", view.language);
  return `#${place}`;
}

// What an address names and this page does not hold is left out.
function viewAt(address) {
  const place = new URLSearchParams(address.replace(/^#/, ""));
  const one = (key, known) => (known.includes(place.get(key)) ? place.get(key) : null);
  const runAt = (key) => held.runs.findIndex((run) => run.name === place.get(key));
  const range = (key) => {
    const bounds = /^(\d*)-(\d*)$/.exec(place.get(key) ?? "") ?? [];
    return [1, 2].map((part) => (bounds[part] ? Number(bounds[part]) : null));
  };
  const way = one("way", WAYS) ?? START.way;
  const row = /^\d+$/.test(place.get("query") ?? "") ? Number(place.get("query")) : Infinity;
  const query = row < queriesOf(way) ? row : null;
  const a = Math.max(0, runAt("run"));
  const b = runAt("with");
  const compared = b >= 0 && b !== a;
  const sort = one("sort", SORTS) ?? START.sort;
  return {
    way,
    query,
    open: query !== null,
    a,
    b: compared ? b : null,
    find: place.get("find") ?? "",
    outcomes: (place.get("outcome") ?? "").split(",").filter((name) => name in OUTCOMES),
    kind: one("kind", held.kinds),
    category: one("category", held.categories.map((category) => category.name)),
    words: range("words"),
    rank: range("rank"),
    duel: compared ? one("duel", Object.keys(DUELS)) : null,
    sort: sort === "change" && !compared ? START.sort : sort,
    down: place.get("order") === "down",
    language: one("lang", Object.keys(phrases)),
  };
}

let waiting = 0;

function remember(how = "replace") {
  clearTimeout(waiting);
  const write = () => {
    const address = addressOf(state);
    if (address === location.hash) return;
    history[how === "push" ? "pushState" : "replaceState"](null, "", address);
  };
  if (how === "push") write();
  else waiting = setTimeout(write, PAUSE);
}

// ---- words ----

let language = "en";

// made once: making one takes longer than filtering all queries
const formats = Object.fromEntries(
  Object.keys(phrases).map((name) => [name, new Intl.NumberFormat(name)]),
);
const number = (value) => formats[language].format(value);
const score = (units) => (units / held.unit).toFixed(4).replace("-", "−");

function say(key, values = {}) {
  const phrase = key.split(".").reduce((part, name) => part[name], phrases[language]);
  return phrase.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function preferred() {
  const own = navigator.languages?.length ? navigator.languages : [navigator.language ?? ""];
  const known = own.map((one) => one.slice(0, 2).toLowerCase()).find((one) => one in phrases);
  return known ?? "en";
}

function speak() {
  language = state.language ?? preferred();
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll("[data-say]")) one.textContent = say(one.dataset.say);
  for (const one of document.querySelectorAll("[data-hint]")) one.placeholder = say(one.dataset.hint);
  for (const one of document.querySelectorAll("[data-name]")) {
    one.setAttribute("aria-label", say(one.dataset.name));
    if (one.tagName === "BUTTON") one.title = say(one.dataset.name);
  }
  byId("language").lang = language === "en" ? "zh" : "en";
  byId("about").textContent = say("of_split", held);
  const { warned } = phrases[language];
  if (warned.length) {
    const [summary, list] = byId("warnings").children;
    summary.textContent = say("warnings", { n: number(warned.length) });
    list.replaceChildren(...warned.map((sentence) => element("li", "", sentence)));
  }
  document.title = `${held.dataset} · ${say("title")}`;
}

function element(tag, className, text) {
  const one = document.createElement(tag);
  if (className) one.className = className;
  if (text !== undefined) one.textContent = text;
  return one;
}

function option(value, text) {
  const one = element("option", "", text);
  one.value = value;
  return one;
}

// ---- the dataset ----

const starts = [0]; // first caption of each image, and the number of captions
for (const count of held.counts) starts.push(starts.at(-1) + count);
const owners = held.counts.flatMap((count, image) => Array(count).fill(image));
const fitting = new Set(held.accepted.map(([caption, image]) => `${caption} ${image}`));

const queriesOf = (way) => (way === "text_to_image" ? held.captions : held.images).length;
const galleryOf = (way) => (way === "text_to_image" ? held.images : held.captions).length;
const imageOf = (way, query) => (way === "text_to_image" ? owners[query] : query);

function captionsOf(image) {
  return Array.from({ length: held.counts[image] }, (_, place) => starts[image] + place);
}

// letters of any case and width are alike
const folded = (text) => text.normalize("NFKC").toLowerCase();
const foldedCaptions = held.captions.map(folded);
const haystacks = {
  text_to_image: foldedCaptions,
  image_to_text: held.images.map((_, image) =>
    foldedCaptions.slice(starts[image], starts[image + 1]).join("\n"),
  ),
};
const lengths = {
  text_to_image: held.words,
  image_to_text: held.images.map((_, image) => {
    const own = held.words.slice(starts[image], starts[image + 1]);
    return Math.round(own.reduce((sum, words) => sum + words, 0) / own.length);
  }),
};
const categories = new Map(
  held.categories.map(({ name, ...ways }) => [
    name,
    Object.fromEntries(WAYS.map((way) => [way, new Set(ways[way])])),
  ]),
);

// ---- runs, loaded and unpacked when they are chosen ----

const unpacked = new Map();
const arrived = new Map(); // name -> what the script beside the page handed over
globalThis.explorer = (name, text) => arrived.set(name, text);

const fileOf = (run) => `explorer_files/${held.runs[run].name}.js`;

// Nothing where the script is not there.
async function packed(run) {
  const inside = byId(`run-${run}`);
  if (inside) return inside.textContent;
  const script = element("script");
  script.src = fileOf(run);
  await new Promise((done) => {
    script.onload = script.onerror = done;
    document.head.append(script);
  });
  return arrived.get(held.runs[run].name);
}

async function inflated(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let place = 0; place < bytes.length; place += 1) bytes[place] = letters.charCodeAt(place);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

// Whether the run is there to be shown.
async function unpack(run) {
  if (run === null || unpacked.has(run)) return true;
  const text = await packed(run);
  if (text === undefined) return false;
  const lists = await inflated(text);
  const ofCaptions = lists.image_to_text.rank;
  lists.text_to_image.ranks = lists.text_to_image.rank;
  // an image has several right captions; the best one counts
  lists.image_to_text.ranks = held.images.map((_, image) =>
    Math.min(...captionsOf(image).map((caption) => ofCaptions[caption])),
  );
  for (const way of WAYS) {
    const { failed, top } = lists[way];
    lists[way].depth = top.length / queriesOf(way);
    // query -> why it failed: known where the first prompt and scorer of a model were looked at
    lists[way].reasons =
      failed && new Map(failed.map(([query, kind, differing]) => [query, { kind, differing }]));
  }
  unpacked.set(run, lists);
  return true;
}

const listsOf = (run) => unpacked.get(run)[state.way];
const rankIn = (run, query) => listsOf(run).ranks[query];
const firstScore = (run, query) => listsOf(run).score[query * listsOf(run).depth];

function isRight(query, item) {
  return state.way === "text_to_image" ? owners[query] === item : owners[item] === query;
}

function isAccepted(query, item) {
  return fitting.has(state.way === "text_to_image" ? `${query} ${item}` : `${item} ${query}`);
}

function resultsOf(run, query) {
  const { depth, top, score: steps } = listsOf(run);
  let units = 0;
  return Array.from({ length: depth }, (_, place) => {
    const at = query * depth + place;
    units = place ? units - steps[at] : steps[at];
    const item = top[at];
    return { item, place: place + 1, units, right: isRight(query, item) };
  });
}

// Right answers that the list does not hold, best rank first.
function beyondOf(run, query, results) {
  const { rank, right } = listsOf(run);
  const shown = new Set(results.map((result) => result.item));
  if (state.way === "text_to_image") {
    const item = owners[query];
    return shown.has(item) ? [] : [{ item, rank: rank[query], units: right[query], right: true }];
  }
  return captionsOf(query)
    .filter((caption) => !shown.has(caption))
    .map((item) => ({ item, rank: rank[item], right: true }))
    .sort((one, other) => one.rank - other.rank);
}

function tiedOf(run, query) {
  const { tied, rank, ranks } = listsOf(run);
  if (state.way === "text_to_image") return tied[query];
  return tied[captionsOf(query).find((caption) => rank[caption] === ranks[query])];
}


// ---- choosing and ordering ----

const isRange = ([from, to]) => from !== null || to !== null;
const within = (value, [from, to]) => (from === null || value >= from) && (to === null || value <= to);
const outcomeOf = (rank) => Object.keys(OUTCOMES).find((name) => within(rank, OUTCOMES[name]));
const isOn = (key) => JSON.stringify(state[key]) !== JSON.stringify(START[key]);

// Each filter that is on, as a test of a query.
function tests() {
  const { way, a, b } = state;
  const found = new Map();
  const parts = folded(state.find).split(/\s+/).filter(Boolean);
  if (parts.length) {
    found.set("find", (query) => parts.every((part) => haystacks[way][query].includes(part)));
  }
  if (state.outcomes.length) {
    found.set("outcomes", (query) => state.outcomes.includes(outcomeOf(rankIn(a, query))));
  }
  const { reasons } = listsOf(a);
  if (state.kind !== null && reasons) {
    found.set("kind", (query) => reasons.get(query)?.kind === state.kind);
  }
  if (state.category !== null) {
    const members = categories.get(state.category)[way];
    found.set("category", (query) => members.has(query));
  }
  if (isRange(state.words)) found.set("words", (query) => within(lengths[way][query], state.words));
  if (isRange(state.rank)) found.set("rank", (query) => within(rankIn(a, query), state.rank));
  if (state.duel !== null && b !== null) {
    found.set("duel", (query) => DUELS[state.duel](rankIn(a, query), rankIn(b, query)));
  }
  return found;
}

// What choosing another value of a filter would leave: queries that fail by no other filter.
function choose() {
  const checks = [...tests()];
  const left = [];
  const almost = { outcomes: [], kind: [], category: [], duel: [] };
  for (let query = 0; query < queriesOf(state.way); query += 1) {
    const failed = checks.filter(([, test]) => !test(query)).map(([name]) => name);
    if (!failed.length) left.push(query);
    for (const name in almost) {
      if (failed.every((one) => one === name)) almost[name].push(query);
    }
  }
  return { left, almost };
}

const KEYS = {
  order: (query) => query,
  rank: (query) => rankIn(state.a, query),
  margin: (query) => listsOf(state.a).margin[query],
  score: (query) => firstScore(state.a, query),
  change: (query) => rankIn(state.b, query) - rankIn(state.a, query),
};

// Stable, so that equal queries stay in the order of the dataset; unknown values come last.
function ordered(queries) {
  const keys = new Map(queries.map((query) => [query, KEYS[state.sort](query)]));
  const sign = state.down ? -1 : 1;
  return queries.sort((one, other) => {
    const [left, right] = [keys.get(one), keys.get(other)];
    if (left === null || right === null) return (left === null) - (right === null) || one - other;
    return sign * (left - right) || one - other;
  });
}

// ---- changing the view ----

let list = [];
let rowPixels = 0;

const current = () => state.query ?? list[0] ?? null;

async function show(change = {}, how = "replace") {
  const chosen = [change.a ?? state.a, change.b ?? state.b];
  const there = await Promise.all(chosen.map(unpack));
  const lost = chosen.filter((_, place) => !there[place]).map(fileOf);
  if (lost.length) {
    change = { ...change, a: state.a, b: state.b };
    await unpack(state.a); // when the page opens, the first run
  }
  const turned = "way" in change && change.way !== state.way;
  state = { ...state, ...change };
  if (turned) state = { ...state, query: change.query ?? null };
  if (state.b === null) {
    state.duel = null;
    if (state.sort === "change") state.sort = START.sort;
  }
  const { left, almost } = choose();
  list = ordered(left);
  const filtered = [...FILTERS, "a", "b"].some((key) => key in change);
  if (filtered && how !== "read" && !list.includes(state.query)) state.query = null;
  speak();
  byId("lost").hidden = !lost.length;
  byId("lost").textContent = say("lost", { files: lost.join(", ") });
  showControls(almost);
  showCount();
  showList();
  showDetail();
  if (how !== "read") remember(how);
}

function move(query, how = "replace") {
  if (query === null || query === undefined) return;
  state = { ...state, query };
  scrollTo(list.indexOf(query));
  showRows();
  showDetail();
  remember(how);
}

function step(by) {
  const place = list.indexOf(current());
  move(list[place < 0 ? 0 : Math.min(list.length - 1, Math.max(0, place + by))]);
}

function openQuery(query) {
  const was = state.open;
  state = { ...state, open: true };
  move(query, was || !narrow.matches ? "replace" : "push");
  showPanes();
}

function closeQuery() {
  state = { ...state, open: false };
  remember();
  showPanes();
  scrollTo(list.indexOf(current()));
  showRows();
  byId("list").focus();
}

function compareOrStop() {
  if (held.runs.length < 2) return;
  const other = state.a === 0 ? 1 : 0;
  show({ b: state.b === null ? other : null });
}

const turn = () => show({ way: WAYS.find((way) => way !== state.way), kind: null, words: [null, null] });

// ---- controls ----

const nameOf = (run) => run.name.replaceAll("/", " · ");

function fill(select, options, value) {
  select.replaceChildren(...options);
  select.value = value ?? "";
}

function counted(name, count) {
  return `${name} (${number(count)})`;
}

function showControls(almost) {
  for (const radio of document.querySelectorAll("[name=way]")) radio.checked = radio.value === state.way;
  const runs = held.runs.map((run, place) => option(place, nameOf(run)));
  fill(byId("a"), runs, state.a);
  if (byId("b")) {
    const others = held.runs.flatMap((run, place) =>
      place === state.a ? [] : [option(place, nameOf(run))],
    );
    fill(byId("b"), [option("", say("alone")), ...others], state.b);
  }
  document.body.classList.toggle("compared", state.b !== null);
  if (document.activeElement !== byId("find")) byId("find").value = state.find;
  showMeasures();
  showOutcomes(almost.outcomes);
  showKinds(almost.kind);
  showCategories(almost.category);
  showDuels(almost.duel);
  byId("words-name").textContent = say(state.way === "text_to_image" ? "words" : "words_of_image");
  for (const key of ["words", "rank"]) {
    for (const [place, end] of ["from", "to"].entries()) {
      const input = byId(`${key}-${end}`);
      if (document.activeElement !== input) input.value = state[key][place] ?? "";
    }
  }
  const sorts = SORTS.filter((name) => name !== "change" || state.b !== null);
  fill(byId("sort"), sorts.map((name) => option(name, phrases[language].sorts[name])), state.sort);
  const down = byId("down");
  down.textContent = state.down ? "↓" : "↑";
  down.title = say(state.down ? "descending" : "ascending");
  down.setAttribute("aria-label", down.title);
  down.setAttribute("aria-pressed", state.down);
  showFilters();
}

// An interval stays in one piece where there is no room for it beside its value.
const unbroken = (text) => text.replace(", ", ",\u00a0");

// What all queries of the chosen runs come to.
function showMeasures() {
  const runs = chosenRuns();
  const line = (head, cells) => {
    const row = element("tr");
    row.append(element("th", "", head), ...cells.map(() => element("td")));
    row.firstChild.scope = "row";
    cells.forEach((cell, place) => row.cells[place + 1].append(cell));
    return row;
  };
  const letters = ["a", "b"].map((name) => element("b", name, name.toUpperCase()));
  byId("measures").querySelector("table").replaceChildren(
    ...(runs.length > 1 ? [line(say("run"), letters)] : []),
    ...Object.entries(phrases[language].measures).map(([name, head]) =>
      line(head, runs.map((run) => unbroken(held.runs[run].measures[state.way][name]))),
    ),
  );
}

function showOutcomes(queries) {
  const counts = {};
  for (const query of queries) {
    const outcome = outcomeOf(rankIn(state.a, query));
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  for (const button of byId("outcomes").children) {
    button.setAttribute("aria-pressed", state.outcomes.includes(button.value));
    button.querySelector("b").textContent = number(counts[button.value] ?? 0);
  }
}

function showKinds(queries) {
  const { reasons } = listsOf(state.a);
  byId("kind-label").hidden = !held.kinds.length;
  byId("kind").disabled = !reasons;
  byId("kind-label").title = reasons ? "" : say("kind_elsewhere");
  const of = (kind) => queries.filter((query) => reasons?.get(query)?.kind === kind).length;
  const options = held.kinds.map((kind) =>
    option(kind, counted(phrases[language].kinds[kind], of(kind))),
  );
  fill(byId("kind"), [option("", say("any")), ...(reasons ? options : [])], reasons && state.kind);
}

function showCategories(queries) {
  byId("category-label").hidden = !held.categories.length;
  const options = [...categories].map(([name, members]) => {
    const count = queries.filter((query) => members[state.way].has(query)).length;
    return option(name, counted(phrases[language].categories[name], count));
  });
  fill(byId("category"), [option("", say("any")), ...options], state.category);
}

function showDuels(queries) {
  byId("duel-label").hidden = state.b === null;
  if (state.b === null) return;
  const options = Object.entries(DUELS).map(([name, test]) => {
    const fits = (query) => test(rankIn(state.a, query), rankIn(state.b, query));
    return option(name, counted(phrases[language].duels[name], queries.filter(fits).length));
  });
  fill(byId("duel"), [option("", say("any")), ...options], state.duel);
}

function showFilters() {
  const inside = ["kind", "category", "words", "rank", "duel"].filter(isOn).length;
  byId("filters-name").textContent = inside
    ? say("filters_on", { n: number(inside) })
    : say("filters");
  byId("clear").hidden = !FILTERS.some(isOn);
}

function showCount() {
  const all = queriesOf(state.way);
  byId("count").textContent = list.length
    ? say("count", { n: number(list.length), all: number(all) })
    : say("nothing");
}

// ---- the list: only rows in sight are in the page ----

const drawn = new Map(); // query -> its row

function showList() {
  for (const row of drawn.values()) row.remove();
  drawn.clear();
  rowPixels = parseFloat(getComputedStyle(byId("rows")).lineHeight); // computed values are pixels
  byId("rows").style.height = `${list.length * rowPixels}px`;
  scrollTo(list.indexOf(current()));
  showRows();
}

function scrollTo(place) {
  const box = byId("list");
  const top = Math.max(0, place) * rowPixels;
  if (top < box.scrollTop) box.scrollTop = top;
  const bottom = top + rowPixels - box.clientHeight;
  if (bottom > box.scrollTop) box.scrollTop = bottom;
}

function showRows() {
  const box = byId("list");
  const first = Math.max(0, Math.floor(box.scrollTop / rowPixels) - SPARE);
  const last = Math.ceil((box.scrollTop + box.clientHeight) / rowPixels) + SPARE;
  const seen = new Set(list.slice(first, last));
  for (const [query, row] of drawn) {
    if (seen.has(query)) continue;
    row.remove();
    drawn.delete(query);
  }
  for (const [offset, query] of [...seen].entries()) {
    if (!drawn.has(query)) drawn.set(query, rowOf(query, first + offset));
    drawn.get(query).setAttribute("aria-selected", query === current());
  }
  // in the order of the list, for readers of the page who do not see it
  const rows = [...seen].map((query) => drawn.get(query));
  if (rows.some((row, place) => byId("rows").children[place] !== row)) {
    byId("rows").replaceChildren(...rows);
  }
  if (drawn.has(current())) box.setAttribute("aria-activedescendant", `query-${current()}`);
  else box.removeAttribute("aria-activedescendant");
}

function rowOf(query, place) {
  const row = element("div", "row");
  row.id = `query-${query}`;
  row.dataset.query = query;
  row.setAttribute("role", "option");
  row.setAttribute("aria-posinset", place + 1);
  row.setAttribute("aria-setsize", list.length);
  row.style.transform = `translateY(${place * rowPixels}px)`;
  const badges = element("span", "badges");
  badges.append(...chosenRuns().map((run) => badge(rankIn(run, query))));
  row.append(badges);
  if (state.way === "image_to_text") row.append(picture(query));
  row.append(element("span", "text", textOf(query)));
  return row;
}

const chosenRuns = () => (state.b === null ? [state.a] : [state.a, state.b]);
const textOf = (query) => held.captions[state.way === "text_to_image" ? query : starts[query]];

function badge(rank) {
  const one = element("b", `badge ${outcomeOf(rank)}`, number(rank));
  one.title = say("rank_short", { rank: number(rank) });
  return one;
}

function picture(image) {
  const one = element("img");
  one.src = `data:image/webp;base64,${pictures[image]}`;
  one.alt = held.captions[starts[image]];
  one.title = captionsOf(image).map((caption) => held.captions[caption]).join("\n");
  return one;
}

// ---- the chosen query ----

function showPanes() {
  document.body.classList.toggle("open", state.open && current() !== null);
}

function showDetail() {
  showPanes();
  const query = current();
  const detail = byId("detail");
  detail.scrollTop = 0;
  if (query === null) {
    detail.replaceChildren(element("p", "empty", say("nothing")));
    return;
  }
  const runs = element("div", "runs");
  runs.append(...chosenRuns().map((run, place) => runPart(run, query, "AB"[place])));
  detail.replaceChildren(steps(query), asked(query), runs);
}

function button(className, text, name, action) {
  const one = element("button", className, text);
  one.type = "button";
  one.title = name;
  one.setAttribute("aria-label", name);
  one.addEventListener("click", action);
  return one;
}

function steps(query) {
  const bar = element("div", "steps");
  const place = list.indexOf(query);
  const values = { place: number(place + 1), n: number(list.length) };
  const told = place < 0 ? say("not_listed") : say("place", values);
  bar.append(
    button("quiet back", "←", say("back"), closeQuery),
    element("span", "where", `${told} · ${say("row", { row: query })}`),
    button("quiet", "‹", say("previous"), () => step(-1)),
    button("quiet", "›", say("next"), () => step(1)),
  );
  return bar;
}

function asked(query) {
  const image = imageOf(state.way, query);
  const part = element("div", `asked ${state.way}`);
  const words = element("div", "words");
  if (state.way === "text_to_image") {
    words.append(element("h2", "", held.captions[query]));
    words.append(captionList(captionsOf(image).filter((caption) => caption !== query), "siblings"));
    const figure = element("figure", "answer");
    figure.append(link("image_to_text", image, picture(image)), element("figcaption", "", say("other")));
    part.append(words, figure);
  } else {
    const figure = element("figure");
    figure.append(picture(image), element("figcaption", "", held.images[image]));
    const own = captionList(captionsOf(image), "its_captions");
    own.open = true;
    words.append(own);
    part.append(figure, words);
  }
  const of = [...categories].filter(([, members]) => members[state.way].has(query));
  if (of.length) {
    words.append(element("p", "facts", of.map(([name]) => phrases[language].categories[name]).join(" · ")));
  }
  return part;
}

function captionList(captions, name) {
  const part = element("details", "captions");
  const lines = element("ul");
  for (const caption of captions) {
    const line = element("li");
    line.append(link("text_to_image", caption, held.captions[caption]));
    lines.append(line);
  }
  part.append(element("summary", "", say(name, { n: number(captions.length) })), lines);
  part.hidden = !captions.length;
  return part;
}

// A result is a query of the other direction.
function link(way, query, inside) {
  const one = element("a");
  const { a, b, language: chosen } = state;
  one.href = addressOf({ ...START, a, b, language: chosen, way, query, open: true });
  one.title = way === "text_to_image" ? say("ask_caption") : say("ask_image", { name: held.images[query] });
  one.append(inside);
  return one;
}

function runPart(run, query, letter) {
  const part = element("section", "of-run");
  const heading = element("h3");
  if (state.b !== null) heading.append(element("b", letter.toLowerCase(), letter));
  heading.append(nameOf(held.runs[run]));
  const results = resultsOf(run, query);
  // four parts each, so that two runs stand level beside each other
  part.append(heading, told(run, query, results), resultList(query, results), below(run, query, results));
  return part;
}

function told(run, query, results) {
  const part = element("div");
  part.append(facts(run, query, results));
  const reason = listsOf(run).reasons?.get(query);
  if (reason) part.append(why(reason));
  const tied = tiedOf(run, query);
  if (tied) part.append(element("p", "facts", say(tied === 1 ? "tied_one" : "tied", { n: number(tied) })));
  return part;
}

// Right answers that the list does not hold, and what a sign in it means.
function below(run, query, results) {
  const part = element("div");
  const beyond = beyondOf(run, query, results);
  if (beyond.length) {
    const name = state.way === "text_to_image" ? "other" : "others";
    part.append(element("h4", "", say(name)), resultList(query, beyond));
  }
  if (results.some((result) => !result.right && isAccepted(query, result.item))) {
    const key = element("p", "facts key");
    key.append(element("span", "check close", "≈"), say("legend_accepted"));
    part.append(key);
  }
  return part;
}

function facts(run, query, results) {
  const rank = rankIn(run, query);
  const line = element("p", "facts");
  const place = say("rank_of", { rank: number(rank), gallery: number(galleryOf(state.way)) });
  line.append(element("b", `chip ${outcomeOf(rank)}`, place));
  const margin = listsOf(run).margin[query];
  const unseen = state.way === "image_to_text" && !results.some((result) => result.right);
  const known = margin === null ? "–" : `${unseen ? "≤ " : ""}${score(margin)}`;
  line.append(element("span", "", say("margin_is", { margin: known })));
  if (state.way === "text_to_image") {
    line.append(element("span", "", say("right_score", { score: score(listsOf(run).right[query]) })));
  }
  if (run === state.b) line.append(element("span", "", change(rankIn(state.a, query) - rank)));
  return line;
}

function change(places) {
  if (!places) return say("change_none");
  const way = places > 0 ? "change_better" : "change_worse";
  const n = Math.abs(places);
  return n === 1 ? say(`${way}_one`) : say(way, { n: number(n) });
}

function why({ kind, differing }) {
  const line = element("p", "facts why");
  line.append(element("span", "", say("why")), element("b", "", phrases[language].kinds[kind]));
  if (differing) {
    line.append(element("span", "", say(`lacking.${state.way}`, { words: differing })));
  }
  return line;
}

function resultList(query, results) {
  const images = state.way === "text_to_image";
  const items = element("ol", images ? "found" : "texts");
  for (const result of results) {
    const item = element("li");
    item.dataset.item = result.item;
    item.classList.toggle("right", result.right);
    const close = !result.right && isAccepted(query, result.item);
    item.classList.toggle("accepted", close);
    const where = result.place
      ? number(result.place)
      : say("rank_short", { rank: number(result.rank) });
    const place = element("b", "place", where);
    const value = element("span", "score", result.units === undefined ? "" : score(result.units));
    const sign = mark(result.right, close);
    if (images) {
      const line = element("div");
      line.append(place, value);
      item.append(link("image_to_text", result.item, picture(result.item)), ...sign, line);
    } else {
      const text = link("text_to_image", result.item, held.captions[result.item]);
      item.append(place, text, value, ...(sign.length ? sign : [element("span")]));
    }
    items.append(item);
  }
  return items;
}

function mark(right, close) {
  if (!right && !close) return [];
  const one = element("span", right ? "check" : "check close", right ? "✓" : "≈");
  one.setAttribute("role", "img");
  one.setAttribute("aria-label", say(right ? "right" : "accepted"));
  one.title = say(right ? "right" : "accepted");
  return [one];
}

// ---- what a person does ----

for (const radio of document.querySelectorAll("[name=way]")) {
  radio.addEventListener("change", turn);
}
byId("a").addEventListener("change", (event) => {
  const a = Number(event.target.value);
  show({ a, b: state.b === a ? state.a : state.b });
});
byId("b")?.addEventListener("change", (event) => {
  show({ b: event.target.value === "" ? null : Number(event.target.value) });
});
for (const name of ["kind", "category", "duel"]) {
  byId(name).addEventListener("change", (event) => show({ [name]: event.target.value || null }));
}
for (const key of ["words", "rank"]) {
  const ends = ["from", "to"].map((end) => byId(`${key}-${end}`));
  const bound = ({ value }) => (/^\d+$/.test(value) ? Number(value) : null);
  for (const input of ends) input.addEventListener("input", () => show({ [key]: ends.map(bound) }));
}
byId("outcomes").addEventListener("click", (event) => {
  const name = event.target.closest("button")?.value;
  if (!name) return;
  const others = state.outcomes.filter((one) => one !== name);
  const outcomes = others.length < state.outcomes.length ? others : [...others, name];
  show({ outcomes });
});
byId("sort").addEventListener("change", (event) => show({ sort: event.target.value, query: null }));
byId("down").addEventListener("click", () => show({ down: !state.down, query: null }));
byId("clear").addEventListener("click", () => {
  byId("find").value = "";
  show(Object.fromEntries(FILTERS.map((key) => [key, START[key]])));
});
byId("language").addEventListener("click", () => show({ language: language === "en" ? "zh" : "en" }));
byId("ask-help").addEventListener("click", () => byId("help").showModal());

const find = byId("find");
const search = () => show({ find: find.value });
// Chinese is typed in letters first
find.addEventListener("input", (event) => event.isComposing || search());
find.addEventListener("compositionend", search);

const box = byId("list");
box.addEventListener("scroll", () => requestAnimationFrame(showRows), { passive: true });
box.addEventListener("click", (event) => {
  const row = event.target.closest(".row");
  if (row) openQuery(Number(row.dataset.query));
});
new ResizeObserver(() => drawn.size && showRows()).observe(box);

function focusDetail() {
  openQuery(current());
  byId("detail").focus();
}

const page = () => Math.max(1, Math.floor(box.clientHeight / rowPixels) - 1);
const ANYWHERE = {
  "/": () => {
    closeIfNarrow();
    find.focus();
    find.select();
  },
  j: () => step(1),
  k: () => step(-1),
  c: compareOrStop,
  d: turn,
  "?": () => byId("help").showModal(),
  Escape: () => closeQuery(),
};
const IN_LIST = {
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  PageDown: () => step(page()),
  PageUp: () => step(-page()),
  Home: () => move(list[0]),
  End: () => move(list.at(-1)),
  Enter: focusDetail,
};
const IN_SEARCH = {
  ArrowDown: () => box.focus(),
  Enter: () => box.focus(),
  Escape: () => {
    if (!find.value) box.focus();
    find.value = "";
    search();
  },
};

function closeIfNarrow() {
  if (narrow.matches && state.open) closeQuery();
}

addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (byId("help").open) return; // the dialog has its own keys
  const typing = target.matches("input[type=search], input[type=number], select");
  const keys = target === find ? IN_SEARCH : typing ? {} : { ...ANYWHERE };
  if (target === box || target === document.body) Object.assign(keys, IN_LIST);
  if (!Object.hasOwn(keys, key)) return;
  event.preventDefault();
  keys[key]();
});

addEventListener("hashchange", () => {
  show({ ...viewAt(location.hash) }, "read").then(() => {
    if (document.activeElement === document.body) byId("list").focus();
  });
});

speak();
if ("DecompressionStream" in globalThis) {
  byId("wait").textContent = say("unpacking");
  byId("filters").open = !narrow.matches;
  await show(viewAt(location.hash), "read");
  document.documentElement.dataset.ready = "";
} else {
  byId("wait").textContent = say("too_old");
}
