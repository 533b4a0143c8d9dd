// What keeps the page as it is on the daemon: a stream of events, or a question every few seconds where there is none. Replaces the parts that
// are others, and nothing else; the rows that are seen first, the others after them. Knows not what is in a part.
"use strict";

const POLL = 5000;
const STREAM_AGAIN = 60000;
const LOST = 12000;
// Whoever does not look is told this seldom, and keeps no stream: a browser has few connections to a daemon.
const HIDDEN_POLL = 30000;
const ANSWER = 10000;
// What is new is drawn in slices of this, in milliseconds: what is seen mostly in one, and nobody who types or scrolls waits for 50.
const SLICE = 24;

let version = root.dataset.version;
let stream = null;
let polling = 0;
let pollEvery = 0;
let asking = false;
let turned = 0;
let here = location.search;
let heardAt = Date.now();

// The parts that say what is shown, and that keys go by. They are small.
const AT_ONCE = new Set(["p-head", "p-ways", "p-clip", "p-axis", "p-lines"]);

// How long the last changes took until all that is seen was new, and the longest time that nothing else was done: for whoever measures.
let shownIn = 0;
let longest = 0;
let showBegan = 0;
let isShown = true;

// What rows and other parts are replaced by, by name: each has its new text, or bars that become others, in their order. And those of them
// that are seen.
const waiting = new Map();
const seen = new Set();
let drawing = 0;

function show(changes) {
  const begun = performance.now();
  heardAt = Date.now();
  // Another program answers: its page may need another style and script.
  if (changes.edition !== root.dataset.edition) return location.reload();
  if (changes.view !== root.dataset.view) return;
  // They lead from another version than this one: an answer and the stream were told at one time.
  if (changes.since && changes.since !== version) return again();
  shownFrom = changes.from;
  shownTo = changes.to;
  if (changes.order) arrange(changes.order);
  for (const [id, html] of changes.rows) waiting.set(id, [html]);
  for (const splice of changes.splices) waiting.set(splice.id, [...(waiting.get(splice.id) || []), splice]);
  for (const id of seenRows()) seen.add(id);
  for (const [id, html] of changes.parts) {
    if (AT_ONCE.has(id)) {
      replace(id, html);
    } else {
      waiting.set(id, [html]);
      seen.add(id);
    }
  }
  version = changes.version;
  if (changes.title && document.title !== changes.title) document.title = changes.title;
  tick();
  [showBegan, longest, isShown] = [begun, 0, false];
  slice(begun);
}

// Which of the rows that wait are seen, or have the focus.
function seenRows() {
  if (waiting.size === 0) return [];
  const box = document.querySelector(".scroll").getBoundingClientRect();
  const [top, bottom] = [Math.max(0, box.top), Math.min(innerHeight, box.bottom)];
  const isSeen = (id) => {
    const row = byId(id);
    const own = row && row.getBoundingClientRect();
    return own && ((own.bottom > top && own.top < bottom) || row.contains(document.activeElement));
  };
  return [...waiting.keys()].filter(isSeen);
}

function draw(id) {
  const changes = waiting.get(id) || [];
  seen.delete(id);
  waiting.delete(id);
  try {
    for (const change of changes) {
      if (typeof change === "string") replace(id, change);
      else exchange(change);
    }
  } catch {
    // It does not fit what is here.
    again();
  }
}

// What is seen first. The page has a version when all that is seen is of it.
function slice(begun = performance.now()) {
  clearTimeout(drawing);
  const end = document.hidden ? Infinity : begun + SLICE;
  for (const id of [...seen, ...waiting.keys()]) {
    draw(id);
    if (performance.now() > end) break;
  }
  drawing = waiting.size ? setTimeout(slice, 0) : 0;
  const now = performance.now();
  longest = Math.max(longest, now - begun);
  if (seen.size || isShown) return;
  isShown = true;
  shownIn = now - showBegan;
  root.dataset.version = version;
}

// The rows in their order: those that went are removed, and those that came are empty until they are drawn.
function arrange(order) {
  const all = byId("p-rows");
  const wanted = new Set(order);
  for (const row of [...all.children]) {
    if (wanted.has(row.id)) continue;
    waiting.delete(row.id);
    seen.delete(row.id);
    row.remove();
  }
  const known = new Map([...all.children].map((row) => [row.id, row]));
  const empty = (id) => Object.assign(document.createElement("div"), { id, className: "row" });
  let at = all.firstElementChild;
  for (const id of order) {
    const row = known.get(id) || empty(id);
    if (row === at) at = at.nextElementSibling;
    else all.insertBefore(row, at);
  }
}

// Where the focus is, so that it can go back after its element was replaced.
function place(element) {
  const part = element.closest("[id]");
  const key = element.getAttribute("href");
  return { key, index: part ? [...part.querySelectorAll("a,button")].indexOf(element) : -1 };
}

function replace(id, html) {
  const old = byId(id);
  if (!old) return;
  const active = document.activeElement;
  const held = active && active !== document.body && old.contains(active) ? place(active) : null;
  const scrolled = [...old.querySelectorAll(".items, pre")].map((list) => list.scrollTop);
  old.outerHTML = html;
  const made = byId(id);
  if (!made) return;
  if (scrolled.some(Boolean)) made.querySelectorAll(".items, pre").forEach((list, at) => (list.scrollTop = scrolled[at] || 0));
  arm(made);
  if (held) restore(held, made);
}

// Of a row, some bars become others.
function exchange({ id, at, removed, html }) {
  const row = byId(id);
  const lane = row && row.querySelector(".lane");
  if (!lane) return;
  const active = document.activeElement;
  const held = active && lane.contains(active) ? place(active) : null;
  for (let left = removed; left > 0; left -= 1) lane.children[at].remove();
  const next = lane.children[at];
  if (next) next.insertAdjacentHTML("beforebegin", html);
  else lane.insertAdjacentHTML("beforeend", html);
  arm(row);
  if (held && !lane.contains(document.activeElement)) restore(held, row);
}

function restore(held, made) {
  const candidates = made.matches("a") ? [made] : [...made.querySelectorAll("a,button")];
  const again = candidates.find((one) => held.key && one.getAttribute("href") === held.key) || candidates[held.index];
  if (again) again.focus({ preventScroll: true });
}

function address(path) {
  return `${path}?${root.dataset.view}&since=${encodeURIComponent(version)}`;
}

function follow() {
  if (document.hidden || typeof EventSource !== "function") return poll(document.hidden ? HIDDEN_POLL : POLL);
  if (stream && stream.readyState !== EventSource.CLOSED) return;
  const own = new EventSource(address("/page/events"));
  stream = own;
  own.onmessage = (event) => {
    stopPolling();
    show(JSON.parse(event.data));
    state();
  };
  own.addEventListener("beat", (event) => {
    stopPolling();
    heardAt = Date.now();
    setClock(Number(event.data));
    state();
  });
  own.onerror = () => {
    // The browser asks again by itself, unless it was refused.
    if (own !== stream || own.readyState !== EventSource.CLOSED) return;
    poll(POLL);
    setTimeout(() => own === stream && follow(), STREAM_AGAIN);
  };
}

function unfollow() {
  if (stream) stream.close();
  stream = null;
  stopPolling();
}

function poll(every) {
  if (pollEvery === every) return;
  stopPolling();
  pollEvery = every;
  polling = setInterval(ask, every);
  ask();
}

function stopPolling() {
  clearInterval(polling);
  polling = 0;
  pollEvery = 0;
}

async function answered(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(ANSWER) });
  if (!answer.ok) throw new Error(answer.statusText);
  return answer.json();
}

// One question at a time. What did not fit is asked for again, whatever is there.
async function ask() {
  if (asking) return;
  asking = true;
  try {
    for (let left = 3; left > 0; left -= 1) {
      const changes = await answered(address("/page/parts"));
      setClock(changes.now);
      show(changes);
      if (version !== "0") break;
    }
  } catch {
    // It is asked again.
  }
  asking = false;
  state();
}

function again() {
  version = "0";
  ask();
}

// Another view on the same page. A page of its own is loaded where that cannot be.
async function turn(href, isNew) {
  turned += 1;
  const own = turned;
  let changes;
  try {
    changes = await answered(`/page/parts?${href.split("?")[1] || ""}`);
  } catch {
    return location.assign(href);
  }
  if (own !== turned) return;
  if (isNew) history.pushState(null, "", href);
  here = location.search;
  unfollow();
  root.dataset.view = changes.view;
  version = "0";
  setClock(changes.now);
  show(changes);
  center();
  follow();
}

function state() {
  const live = byId("live");
  if (!live) return;
  const lost = !document.hidden && Date.now() - heardAt > LOST;
  // A stream that says nothing may be kept by somebody between.
  if (lost) poll(POLL);
  live.classList.toggle("lost", lost);
  document.body.classList.toggle("old", lost);
  const clock = byId("clock");
  if (lost) setText(live, `${live.dataset.lost} ${wallTime(heardAt + ahead, Number(clock.dataset.offset))}`);
  else setText(live, polling ? live.dataset.polls : live.dataset.live);
}
