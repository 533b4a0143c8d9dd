// Keys, tips and the story over the page. Everything here can be done without it, by links. Knows no data.
"use strict";

const bars = (row) => [...row.querySelectorAll("a.b")];
const rows = () => [...document.querySelectorAll(".row")];

// Of each row one bar is reached by the tab key; the arrows go on from there.
function arm(part) {
  for (const row of part.matches(".row") ? [part] : part.querySelectorAll(".row")) {
    for (const bar of row.querySelectorAll("a.b:not([tabindex])")) bar.setAttribute("tabindex", "-1");
    const first = row.querySelector('a.b[tabindex="0"]') || row.querySelector("a.b");
    if (first) first.setAttribute("tabindex", "0");
  }
}

function go(bar) {
  if (!bar) return;
  for (const other of bars(bar.closest(".row"))) other.setAttribute("tabindex", other === bar ? "0" : "-1");
  bar.focus();
  bar.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function middle(bar) {
  const box = bar.getBoundingClientRect();
  return (box.left + box.right) / 2;
}

function arrows(event) {
  const bar = event.target.closest && event.target.closest("a.b");
  if (!bar) return false;
  const row = bar.closest(".row");
  const own = bars(row);
  const at = own.indexOf(bar);
  const beside = { ArrowLeft: own[at - 1], ArrowRight: own[at + 1], Home: own[0], End: own[own.length - 1] };
  if (event.key in beside) {
    go(beside[event.key]);
    return true;
  }
  if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return false;
  const all = rows();
  const step = event.key === "ArrowUp" ? -1 : 1;
  for (let next = all.indexOf(row) + step; next >= 0 && next < all.length; next += step) {
    const others = bars(all[next]);
    if (others.length === 0) continue;
    const here = middle(bar);
    go(others.reduce((best, one) => (Math.abs(middle(one) - here) < Math.abs(middle(best) - here) ? one : best)));
    break;
  }
  return true;
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input,textarea,select")) return;
  if (arrows(event)) {
    event.preventDefault();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  const ways = [...document.querySelectorAll("nav .way")];
  const number = "12345".indexOf(event.key);
  if (event.key.length === 1 && number >= 0 && ways[number + 1]) ways[number + 1].click();
  else if (event.key === "+" || event.key === "=" || event.key === "-") ways[event.key === "-" ? 6 : 0].click();
  else if (event.key === "t" || event.key === "T") ways[ways.length - 3].click();
  else if (event.key === "c" || event.key === "C") flip();
}

// Whether times of day are large, and countdowns small.
function flip() {
  const byDay = document.body.classList.toggle("by-day");
  try {
    localStorage.setItem("by-day", byDay ? "1" : "");
  } catch {
    // It is not kept.
  }
}

function restoreFlip() {
  try {
    document.body.classList.toggle("by-day", localStorage.getItem("by-day") === "1");
  } catch {
    // Nothing was kept.
  }
}

async function story(link) {
  let dialog = byId("told");
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.id = "told";
    document.body.append(dialog);
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
  }
  const address = link.getAttribute("href");
  let told = null;
  try {
    const answer = await fetch(address);
    if (answer.ok) told = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("story");
  } catch {
    // The page of its own says why.
  }
  if (!told) return location.assign(address);
  const close = document.createElement("button");
  close.type = "button";
  close.className = "close";
  close.textContent = root.lang.startsWith("zh") ? "关闭" : "Close";
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(close, told);
  dialog.setAttribute("aria-label", told.querySelector("h1").textContent);
  dialog.onclose = () => {
    const again = document.querySelector(`a[href="${CSS.escape(address)}"]`);
    if (again) again.focus({ preventScroll: true });
  };
  if (!dialog.open) dialog.showModal();
}

function clicks(event) {
  if (event.target.closest(".flip")) return flip();
  const link = event.target.closest("a.story, a.b, nav a.way");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const href = link.getAttribute("href");
  if (href.startsWith("/occurrence")) story(link);
  else turn(href, true);
}

function tips() {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  document.body.append(tip);
  const over = (event) => {
    const bar = event.target.closest && event.target.closest("a.b");
    tip.hidden = !bar;
    if (!bar) return;
    tip.textContent = bar.getAttribute("aria-label") || bar.textContent.trim().replace(/\s+/g, " ");
    const box = bar.getBoundingClientRect();
    const left = event.type === "mouseover" ? event.clientX : box.left;
    tip.style.left = `${Math.max(4, Math.min(left, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${box.bottom + 4 + tip.offsetHeight > innerHeight ? box.top - tip.offsetHeight - 4 : box.bottom + 4}px`;
  };
  for (const kind of ["mouseover", "focusin"]) document.addEventListener(kind, over);
  document.addEventListener("scroll", () => (tip.hidden = true), true);
  document.addEventListener("keydown", (event) => event.key === "Escape" && (tip.hidden = true));
}
