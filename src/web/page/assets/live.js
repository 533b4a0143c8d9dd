// What keeps the page as it is on the daemon: a stream of events, or a question every few seconds where there is none. Replaces the parts that
// are others, and nothing else. Knows not what is in a part.
"use strict";

const POLL = 5000;
const STREAM_AGAIN = 60000;
const LOST = 12000;

let version = root.dataset.version;
let stream = null;
let polling = 0;
let heardAt = Date.now();

// How long the last changes took to be shown: for whoever measures.
let shownIn = 0;

function show(changes) {
  const begun = performance.now();
  heardAt = Date.now();
  // They lead from another version than this one: an answer and the stream were told at one time.
  if (changes.since && changes.since !== version) return again();
  setClock(changes.now);
  shownFrom = changes.from;
  shownTo = changes.to;
  for (const [id, html] of changes.parts) replace(id, html);
  for (const splice of changes.splices) exchange(splice);
  version = changes.version;
  if (changes.title && document.title !== changes.title) document.title = changes.title;
  tick();
  shownIn = performance.now() - begun;
  root.dataset.version = version;
}

// Where the focus is, so that it can go back after its element was replaced.
function place(element) {
  const part = element.closest("[id]");
  const key = element.getAttribute("href");
  return { part: part ? part.id : "", key, index: part ? [...part.querySelectorAll("a,button")].indexOf(element) : -1 };
}

function replace(id, html) {
  const old = byId(id);
  if (!old) return;
  const active = document.activeElement;
  const held = active && active !== document.body && old.contains(active) ? place(active) : null;
  old.outerHTML = html;
  const made = byId(id);
  if (!made) return;
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
  const candidates = [...made.querySelectorAll("a,button")];
  const again = candidates.find((one) => held.key && one.getAttribute("href") === held.key) || candidates[held.index];
  if (again) again.focus({ preventScroll: true });
}

function address(path) {
  return `${path}?${root.dataset.view}&since=${encodeURIComponent(version)}`;
}

function follow() {
  if (typeof EventSource !== "function") return poll();
  stream = new EventSource(address("/page/events"));
  stream.onmessage = (event) => {
    stopPolling();
    show(JSON.parse(event.data));
    state();
  };
  stream.addEventListener("beat", (event) => {
    stopPolling();
    heardAt = Date.now();
    setClock(Number(event.data));
    state();
  });
  stream.onerror = () => {
    // The browser asks again by itself, unless it was refused.
    if (stream.readyState !== EventSource.CLOSED) return;
    poll();
    setTimeout(follow, STREAM_AGAIN);
  };
}

function poll() {
  if (polling) return;
  polling = setInterval(ask, POLL);
  ask();
}

function stopPolling() {
  clearInterval(polling);
  polling = 0;
}

async function ask() {
  try {
    const answer = await fetch(address("/page/parts"), { cache: "no-store" });
    if (answer.ok) show(await answer.json());
  } catch {
    // It is asked again.
  }
  state();
}

// Asks for everything, whatever is there.
async function again() {
  version = "0";
  await ask();
}

function state() {
  const live = byId("live");
  if (!live) return;
  const lost = Date.now() - heardAt > LOST;
  live.classList.toggle("lost", lost);
  if (lost) setText(live, `${live.dataset.lost} ${new Date(heardAt).toLocaleTimeString()}`);
  else setText(live, polling ? live.dataset.polls : live.dataset.live);
}
