// The clock, the line of now and the countdowns. They run by the daemon's clock, not by the viewer's. Knows no server.
"use strict";

const root = document.documentElement;
const byId = (id) => document.getElementById(id);

// The daemon's clock minus the viewer's, and the time that is shown.
let ahead = Number(root.dataset.now) - Date.now();
let shownFrom = Number(root.dataset.from);
let shownTo = Number(root.dataset.to);

const daemonNow = () => Date.now() + ahead;

function setClock(now) {
  // It was told a moment ago: the least delay of all says what the clocks differ by.
  const offset = now - Date.now();
  if (offset > ahead || offset < ahead - 2000) ahead = offset;
}

function countdown(milliseconds) {
  const seconds = Math.floor(Math.abs(milliseconds) / 1000);
  const two = (number) => String(number).padStart(2, "0");
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor(seconds / 3600) % 24;
  const minutes = Math.floor(seconds / 60) % 60;
  if (days) return `${days} d ${two(hours)}:${two(minutes)}`;
  if (hours) return `${hours}:${two(minutes)}:${two(seconds % 60)}`;
  return `${minutes}:${two(seconds % 60)}`;
}

function wallTime(instant, offsetSeconds) {
  return new Date(instant + offsetSeconds * 1000).toISOString().slice(11, 19);
}

function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function tick() {
  const now = daemonNow();
  const clock = byId("clock");
  if (clock) setText(clock, wallTime(now, Number(clock.dataset.offset)));
  const yours = byId("yours");
  if (yours && clock) {
    const own = -new Date().getTimezoneOffset() * 60;
    const word = root.lang.startsWith("zh") ? "本地" : "your clock";
    setText(yours, own === Number(clock.dataset.offset) ? "" : ` · ${word} ${wallTime(now, own).slice(0, 5)}`);
  }
  for (const left of document.querySelectorAll(".left")) {
    const rest = Number(left.dataset.at) - now;
    // What counts down shows the second that is not over yet.
    const text = rest < 0 ? left.dataset.over + countdown(rest) : left.dataset.before + countdown(rest + 999);
    setText(left, text);
    left.classList.toggle("overdue", rest < -1000);
    left.classList.toggle("soon", rest >= 0 && rest < 60000);
  }
  ownZone();
  line(now);
}

// How wide the rows are: asked for in each second, it would cost a layout of all of them.
let overWidth = 0;
let measured = null;
const sizes = new ResizeObserver((all) => (overWidth = all.at(-1).contentRect.width));

function measure(over) {
  if (over === measured) return;
  measured = over;
  sizes.disconnect();
  sizes.observe(over);
  overWidth ||= over.getBoundingClientRect().width;
}

function line(now) {
  const at = Math.min(101, Math.max(-1, ((now - shownFrom) / (shownTo - shownFrom)) * 100));
  const mark = byId("now");
  if (!mark) return;
  const percent = `${at.toFixed(3)}%`;
  mark.setAttribute("x1", percent);
  mark.setAttribute("x2", percent);
  const label = byId("nowt");
  label.setAttribute("x", `${(((now - shownFrom) / (shownTo - shownFrom)) * 100).toFixed(3)}%`);
  setText(label, wallTime(now, Number(byId("clock").dataset.offset)));
  byId("veil").setAttribute("width", `${Math.max(0, at).toFixed(3)}%`);
  // An hour that the time of now would stand on is not shown meanwhile.
  measure(byId("over"));
  const pixels = overWidth / 100;
  for (const hour of document.querySelectorAll("#p-axis text")) {
    hour.classList.toggle("near", hour !== label && Math.abs(parseFloat(hour.getAttribute("x")) - at) * pixels < 46);
  }
}
