// The search page. Whatever comes from the dataset becomes text, never markup.

const setup = JSON.parse(document.getElementById("setup").textContent);
const byId = (id) => document.getElementById(id);
const box = byId("query");
const runs = byId("run");
const count = byId("count");
const splits = byId("split");
const indexes = byId("index");
const hits = byId("hits");
const finds = [...document.querySelectorAll("input[name=find]")];
const PAUSE = 300; // ms after the last letter
const LANGUAGE = "clip-search-language";

// What is asked: {text}, {image} (split and row, as "test-3"), {file} (a place in files), or {}
let asked = {};
let shown = null; // the last answer
let scope = null; // what the chosen run holds
let split = ""; // the split to look through; "" for all that are encoded
let index = ""; // the index to search through where one can; "" for everything
let waiting = null; // the request under way
let timer = 0;
const files = [];

// ---- words ----

let language = document.documentElement.lang;

const number = (value) => new Intl.NumberFormat(language).format(value);

function say(key, values = {}) {
  const text = setup.words[language][key];
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function speak(next) {
  language = next;
  document.documentElement.lang = next;
  byId("language").lang = next === "zh" ? "en" : "zh";
  for (const one of document.querySelectorAll("[data-say]")) one.textContent = say(one.dataset.say);
  for (const one of document.querySelectorAll("[data-name]")) {
    one.setAttribute("aria-label", say(one.dataset.name));
    if (one.tagName === "BUTTON") one.title = say(one.dataset.name);
  }
  showAsked();
  showScope();
  if (shown) show(shown);
}

function element(tag, className, text) {
  const one = document.createElement(tag);
  if (className) one.className = className;
  if (text !== undefined) one.textContent = text;
  return one;
}

// ---- asking ----

const isPicture = () => asked.image !== undefined || asked.file !== undefined;
const find = () => finds.find((one) => one.checked).value;
const isOpen = () => scope?.run === runs.value && scope.split === split;
const usual = () => (isPicture() ? "captions" : "images");

function choose(kind) {
  finds.find((one) => one.value === kind).checked = true;
}

async function fetched(address, options = {}) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(say("offline"));
  }
  const answer = await response.json();
  if (response.ok) return answer;
  const heading = asked.file !== undefined && response.status === 400 ? "not_an_image" : "failed";
  throw new Error(`${say(heading)}\n${answer.error}`);
}

function request() {
  const wishes = new URLSearchParams({ run: runs.value, k: count.value, find: find() });
  if (split) wishes.set("split", split);
  if (indexes.value) wishes.set("index", indexes.value);
  if (asked.text !== undefined) return [`/api/sentence?${wishes}`, asked.text];
  if (asked.image !== undefined) return [`/api/image/${asked.image.replace("-", "/")}?${wishes}`, ""];
  return [`/api/picture?${wishes}`, files[asked.file]];
}

async function ask() {
  clearTimeout(timer);
  waiting?.abort();
  const mine = (waiting = new AbortController());
  trouble("");
  if (split && !chosen()?.splits.includes(split)) {
    split = "";
    remember("replace");
  }
  showSplits();
  showAsked();
  if (!runs.value) {
    trouble(`${say("no_runs")}\n./run`);
    return;
  }
  const empty = asked.text === undefined && !isPicture();
  byId("begin").hidden = !empty;
  // a quick answer needs no announcement
  const announced = setTimeout(() => {
    hits.classList.add("waiting");
    byId("status").textContent = say(isOpen() ? "searching" : "opening");
  }, 250);
  try {
    if (!isOpen()) {
      scope = null;
      showScope();
      const wishes = new URLSearchParams({ run: runs.value, split });
      scope = { ...(await fetched(`/api/run?${wishes}`, { signal: mine.signal })), split };
      showScope();
    }
    if (index && !scope.indexes.includes(index)) {
      index = "";
      showIndex();
      remember("replace");
    }
    if (empty) {
      show(null);
    } else {
      const [address, body] = request();
      show(await fetched(address, { method: "POST", body, signal: mine.signal }));
    }
  } catch (error) {
    if (error.name === "AbortError") return;
    show(null);
    trouble(error.message);
  } finally {
    clearTimeout(announced);
    if (waiting === mine) hits.classList.remove("waiting");
  }
}

function trouble(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = !text;
}

function askText(text, record) {
  const words = text.trim();
  const was = isPicture();
  asked = words ? { text: words } : {};
  if (was) choose("images");
  remember(record);
  ask();
}

function askImage(image) {
  asked = { image };
  box.value = "";
  choose("captions");
  remember("push");
  ask();
  scrollTo({ top: 0 });
}

function askFile(file) {
  if (!file) return;
  asked = { file: files.push(file) - 1 };
  box.value = "";
  choose("captions");
  remember("push");
  if (file.size > setup.max_upload) {
    waiting?.abort();
    show(null);
    showAsked();
    trouble(say("too_large", { size: number(Math.floor(setup.max_upload / 2 ** 20)) }));
    return;
  }
  ask();
}

// ---- the address, to come back to and to share ----

function remember(how) {
  const place = new URLSearchParams();
  if (asked.text !== undefined) place.set("q", asked.text);
  if (asked.image !== undefined) place.set("image", asked.image);
  place.set("run", runs.value);
  if (split || setup.split) place.set("split", split);
  if (find() !== usual()) place.set("find", find());
  if (Number(count.value) !== setup.top_k) place.set("k", count.value);
  if (index || setup.index) place.set("index", index);
  const address = `?${place}`;
  if (how === "push" && address === location.search && asked.file === undefined) how = "replace";
  history[how === "push" ? "pushState" : "replaceState"]({ file: asked.file }, "", address);
}

function recall() {
  const place = new URLSearchParams(location.search);
  const file = history.state?.file;
  if (place.get("q")?.trim()) asked = { text: place.get("q").trim() };
  else if (/^(train|val|test)-\d+$/.test(place.get("image"))) asked = { image: place.get("image") };
  else if (files[file]) asked = { file };
  else asked = {};
  box.value = asked.text ?? "";
  if (options().includes(place.get("run"))) runs.value = place.get("run");
  count.value = place.get("k") ?? setup.top_k;
  if (!count.value) count.value = setup.top_k;
  choose(["images", "captions"].includes(place.get("find")) ? place.get("find") : usual());
  split = place.get("split") ?? setup.split;
  index = place.get("index") ?? setup.index;
  ask();
}

// ---- showing ----

// a dataset without splits has nothing to choose from
function showSplits() {
  const names = chosen()?.splits ?? [];
  byId("within").hidden = names.length < 2;
  splits.replaceChildren(splits.options[0], ...names.map((name) => new Option(name, name)));
  splits.value = split;
}

function showIndex() {
  // an index compares one side with the other
  indexes.disabled = find() !== usual();
  indexes.value = indexes.disabled ? "" : index;
}

function showAsked() {
  showIndex();
  const picture = byId("asked");
  const image = picture.querySelector("img");
  picture.hidden = !isPicture();
  box.placeholder = say(isPicture() ? "placeholder_picture" : "placeholder");
  image.alt = say("asked");
  if (picture.dataset.of === JSON.stringify(asked)) return;
  picture.dataset.of = JSON.stringify(asked);
  URL.revokeObjectURL(image.src);
  image.removeAttribute("src");
  if (asked.file !== undefined) image.src = URL.createObjectURL(files[asked.file]);
}

// the asked picture in full, beside what it found
function showSeen(answer) {
  const seen = byId("seen");
  seen.hidden = !answer || !isPicture();
  if (seen.hidden) return;
  const small = byId("asked").querySelector("img");
  if (asked.image !== undefined) small.src = answer.picture;
  const image = seen.querySelector("img");
  image.src = small.src;
  image.alt = say("asked");
  const texts = asked.image !== undefined ? answer.captions_of_query : [files[asked.file].name];
  seen.querySelector("figcaption").replaceChildren(...texts.map((text) => element("p", "", text)));
}

function showScope() {
  const values = scope && { ...scope, images: number(scope.images), captions: number(scope.captions),
    splits: scope.splits.join(say("comma")) };
  byId("scope").textContent = scope ? say("scope", values) : "";
  const rest = Object.entries(scope?.rest ?? {});
  byId("rest").hidden = !rest.length;
  byId("rest-of").textContent = say("rest", {
    splits: rest.map(([name, n]) => say("images_of", { split: name, n: number(n) })).join(say("comma")),
  });
  byId("encoding").textContent = scope?.encoding ?? "";
  const names = scope?.indexes ?? [];
  byId("through").hidden = !names.length;
  indexes.replaceChildren(indexes.options[0], ...names.map((name) => new Option(name, name)));
  showIndex();
  byId("examples").replaceChildren(
    ...(scope?.examples ?? []).map((caption) => {
      const item = element("li");
      const button = element("button", "", caption);
      button.type = "button";
      button.addEventListener("click", () => {
        box.value = caption;
        askText(caption, "push");
      });
      item.append(button);
      return item;
    }),
  );
}

function show(answer) {
  shown = answer;
  byId("status").textContent = answer ? summary(answer) : "";
  const title = asked.text ?? "";
  document.title = title ? `${title} · ${say("title")}` : say("title");
  hits.className = answer?.find ?? "";
  hits.replaceChildren(...(answer?.hits ?? []).map((hit) => shownHit(hit, answer)));
  showSeen(answer);
}

function summary(answer) {
  const ms = (value) => number(value < 10 ? Math.round(10 * value) / 10 : Math.round(value));
  const parts = [
    say(`found_${answer.find}`, { n: number(answer.hits.length), all: number(answer[answer.find]) }),
    ...(answer.index ? [through(answer)] : []),
    say("took", { encode: ms(answer.encode_ms), search: ms(answer.search_ms) }),
  ];
  const warned = ["cut", "foreign"].filter((what) => answer[what]).map((what) => say(what));
  return [...parts, ...warned].join(" · ");
}

function through(answer) {
  const alone = scope?.splits.length > 1;
  return say(alone ? "through_index_of" : "through_index", { ...answer, split: answer.splits[0] });
}

// the asked caption's own image, or a caption of the asked image
function isOwn(hit, answer) {
  if (asked.text !== undefined) return hit.captions.some((caption) => caption.trim() === asked.text);
  return answer.find === "captions" && asked.image === imageOf(hit);
}

const imageOf = (hit) => `${hit.split}-${hit.row}`;

function shownHit(hit, answer) {
  const own = isOwn(hit, answer);
  const item = element("li", own ? "right" : "");
  const button = element("button", "picture");
  const image = element("img");
  image.src = hit.picture;
  image.alt = hit.captions[0];
  image.loading = "lazy";
  button.type = "button";
  button.title = say("search_with");
  button.append(image);
  button.addEventListener("click", () => askImage(imageOf(hit)));

  const line = element("div", "line");
  const score = element("span", "", hit.score.toFixed(3));
  score.title = say("score");
  line.append(element("b", "", number(hit.rank)), score);
  if (answer.splits.length > 1) line.append(element("span", "", hit.split));
  if (own) line.append(element("span", "own", `✓ ${say(isPicture() ? "own_caption" : "own")}`));

  const caption = element("p", "caption", hit.caption ?? hit.captions[0]);
  if (answer.find === "captions") {
    const text = element("div");
    text.append(caption, line);
    item.append(button, text);
    return item;
  }
  item.append(button, line, caption);
  if (hit.captions.length > 1) {
    const others = element("ul");
    others.append(...hit.captions.slice(1).map((other) => element("li", "", other)));
    const more = element("details");
    const n = number(hit.captions.length - 1);
    more.append(element("summary", "", say(n === "1" ? "one_more" : "more", { n })), others);
    item.append(more);
  }
  return item;
}

// ---- what a person does ----

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  // Enter with an empty box asks the picture again
  if (box.value.trim() || !isPicture()) askText(box.value, "push");
  else ask();
});

box.addEventListener("input", (event) => {
  clearTimeout(timer);
  // Chinese is typed in letters first
  if (!event.isComposing) timer = setTimeout(() => askText(box.value, "replace"), PAUSE);
});
box.addEventListener("compositionend", () => {
  clearTimeout(timer);
  timer = setTimeout(() => askText(box.value, "replace"), PAUSE);
});

for (const control of [runs, splits, count, indexes, ...finds]) {
  control.addEventListener("change", () => {
    if (control === splits) split = splits.value;
    if (control === indexes) index = indexes.value;
    // rows count within a split: another dataset's image is another one
    if (asked.image !== undefined && scope?.dataset !== chosen()?.dataset) asked = {};
    remember("push");
    ask();
  });
}

byId("choose").addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", (event) => {
  askFile(event.target.files[0]);
  event.target.value = ""; // the same file may be chosen again
});

function startOver() {
  box.value = "";
  choose("images");
  asked = {};
  remember("push");
  ask();
  box.focus();
}
byId("forget").addEventListener("click", startOver);

let over = 0; // elements that the dragged file is over
const hasFile = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => {
  if (!hasFile(event)) return;
  event.preventDefault();
  over += 1;
  byId("drop").hidden = false;
});
addEventListener("dragover", (event) => hasFile(event) && event.preventDefault());
addEventListener("dragleave", (event) => {
  if (!hasFile(event)) return;
  over -= 1;
  byId("drop").hidden = over <= 0;
});
addEventListener("drop", (event) => {
  if (!hasFile(event)) return;
  event.preventDefault();
  over = 0;
  byId("drop").hidden = true;
  askFile(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => {
  const file = event.clipboardData?.files[0];
  if (!file) return;
  event.preventDefault();
  askFile(file);
});

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "/" && document.activeElement !== box) {
    event.preventDefault();
    box.focus();
    box.select();
  } else if (event.key === "Escape") {
    startOver();
  } else if (event.key.startsWith("Arrow")) {
    walk(event);
  }
});

function walk(event) {
  const pictures = [...hits.querySelectorAll(".picture")];
  const place = pictures.indexOf(document.activeElement);
  let next;
  if (place < 0) {
    if (document.activeElement !== box || event.key !== "ArrowDown") return;
    next = pictures[0];
  } else {
    const top = (one) => one.getBoundingClientRect().top;
    const below = pictures.findIndex((one) => top(one) > top(pictures[0]) + 1);
    const columns = below < 0 ? pictures.length : below;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    next = event.key === "ArrowUp" && place < columns ? box : pictures[place + step];
  }
  event.preventDefault();
  next?.focus();
}

byId("language").addEventListener("click", () => {
  speak(language === "zh" ? "en" : "zh");
  localStorage.setItem(LANGUAGE, language);
});

// ---- beginning ----

const options = () => [...runs.options].map((one) => one.value);
const chosen = () => setup.runs.find((one) => one.path === runs.value);

function fillRuns() {
  const groups = new Map();
  for (const run of setup.runs) {
    const heading = `${run.dataset} · ${run.model}`;
    if (!groups.has(heading)) {
      const group = element("optgroup");
      group.label = heading;
      groups.set(heading, group);
    }
    const option = element("option", "", `${run.dataset} · ${run.model} · ${run.prompt} · ${run.scorer}`);
    option.value = run.path;
    groups.get(heading).append(option);
  }
  runs.append(...groups.values());
  runs.value = options().includes(setup.first) ? setup.first : (options()[0] ?? "");
}

fillRuns();
const kept = localStorage.getItem(LANGUAGE);
if (kept in setup.words && !new URLSearchParams(location.search).has("lang")) speak(kept);
// letters that were missing at first are not always drawn again
document.fonts.addEventListener("loadingdone", () => speak(language));
addEventListener("popstate", recall);
recall();
