// Drives a headless Chromium through the page of a daemon: node run.mjs URL STATUS.json CHROMIUM MODULES. Each check is first shown a fault that
// it must find. Pictures go to `shots` when SHOTS is set.
import { readFileSync, mkdirSync } from "node:fs";
import assert from "node:assert/strict";

const [, , base, statusFile, chromium, modules] = process.argv;
const { default: puppeteer } = await import(`${modules}/puppeteer-core/lib/puppeteer/puppeteer-core.js`);
const axeSource = readFileSync(`${modules}/axe-core/axe.min.js`, "utf8");
const status = JSON.parse(readFileSync(statusFile, "utf8"));
const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--headless=new"] });
const wait = (page, what) => page.waitForFunction(what, { timeout: 20000 });

// A page, and what it complains of: errors, refused loads, requests to other hosts.
async function open(path, { width = 1440, height = 1000, scheme = "light", language = "en", scripts = true } = {}) {
  const page = await browser.newPage();
  const faults = [];
  page.on("console", (message) => message.type() === "error" && faults.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("request", (request) => new URL(request.url()).origin !== base && faults.push(`request to ${request.url()}`));
  await page.setJavaScriptEnabled(scripts);
  await page.setViewport({ width, height });
  await page.setExtraHTTPHeaders({ "Accept-Language": language });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" }]);
  await page.goto(base + path, { waitUntil: "load" });
  return { page, faults };
}

async function violations(page) {
  // axe is evaluated by the debugger, which no policy of the page stops.
  await page.evaluate(axeSource);
  const found = await page.evaluate(async () => (await window.axe.run(document)).violations);
  return found.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
}

const text = (page, selector) => page.$eval(selector, (element) => element.textContent);
const passed = [];
async function check(name, run) {
  await run();
  passed.push(name);
}

await check("each checker finds a planted fault", async () => {
  const { page, faults } = await open("/");
  await page.evaluate(() => {
    const bad = document.createElement("img");
    document.body.append(bad);
    document.body.setAttribute("style", "color: red");
    setTimeout(() => { throw new Error("planted"); }, 0);
  });
  await page.evaluate(() => fetch("http://127.0.0.1:1/").catch(() => 0));
  await new Promise((done) => setTimeout(done, 200));
  assert(faults.some((fault) => fault.includes("planted")), faults.join("\n"));
  assert(faults.some((fault) => /Content Security Policy/.test(fault)), faults.join("\n"));
  assert((await violations(page)).some((one) => one.startsWith("image-alt")));
  await page.close();
});

await check("every state has its shape and its word, in both colours and languages, without a violation", async () => {
  for (const [scheme, language] of [["light", "en"], ["dark", "en"], ["light", "zh-CN"]]) {
    const { page, faults } = await open("/", { scheme, language });
    for (const look of ["planned", "returns", "on_air", "cut", "missed", "skipped"]) {
      assert(await page.$(`.row a.b.${look}`), `no bar is ${look}`);
    }
    assert(await page.$(".row a.b.late"), "nothing was joined late");
    assert(await page.$('.row use[href="#heal"]'), "what was healed is not marked");
    assert(await page.$('.row use[href="#cut"]'), "the cut by a preempting show is not drawn");
    assert.equal(await page.$$eval(".legend li", (keys) => keys.length), 15);
    const bars = await page.$$eval(".row a.b", (all) => all.map((bar) => bar.getAttribute("aria-label") || bar.textContent));
    const word = language === "en" ? "on air" : "播出中";
    assert(bars.some((bar) => bar.includes(word)), bars.join("\n"));
    assert.equal(await page.$eval("html", (root) => root.lang), language === "en" ? "en" : "zh-CN");
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(faults, []);
    await page.close();
  }
});

await check("the page and the command line agree", async () => {
  const { page } = await open("/");
  const value = await page.evaluate(async () => (await fetch("/api/v1/rundown")).json());
  assert.equal(value.health, status.health);
  assert.deepEqual(value.on_air.map((one) => [one.job, one.task]), status.on_air.map((one) => [one.job, one.task_id]));
  assert.deepEqual(value.next.map((one) => [one.job, one.start]), status.next.map((one) => [one.job, one.start]));
  const shown = await page.$$eval("#p-air .what b", (all) => all.map((one) => one.textContent));
  assert.deepEqual(shown, status.on_air.map((one) => one.job));
  const said = await text(page, "#p-needs");
  for (const warning of status.warnings) assert(said.includes(warning), `${warning} is not in ${said}`);
  await page.close();
});

await check("now moves, countdowns count, a click switches them", async () => {
  const { page } = await open("/?zoom=5m");
  const now = () => page.$eval("#now", (line) => Number(line.getAttribute("x1").replace("%", "")));
  const [first, clock, left] = [await now(), await text(page, "#clock"), await text(page, "#p-air .left")];
  assert.match(clock, /^\d\d:\d\d:\d\d$/);
  await page.waitForFunction((before) => document.getElementById("clock").textContent !== before, {}, clock);
  await new Promise((done) => setTimeout(done, 1200));
  assert((await now()) > first);
  assert.notEqual(await text(page, "#p-air .left"), left);
  await page.click("#p-air .flip");
  assert(await page.$eval("body", (body) => body.classList.contains("by-day")));
  await page.keyboard.press("c");
  assert(!(await page.$eval("body", (body) => body.classList.contains("by-day"))));
  await page.close();
});

await check("zooms, days and zones are ways that work, and the zone is named", async () => {
  const { page, faults } = await open("/");
  assert.match(await text(page, ".zone"), /Asia\/Shanghai \(\+08:00\)/);
  for (const [key, zoom] of [["4", "day"], ["5", "week"], ["2", "hour"]]) {
    await Promise.all([page.waitForNavigation(), page.keyboard.press(key)]);
    assert(page.url().includes(`zoom=${zoom}`), page.url());
  }
  await page.goto(`${base}/?zoom=day`);
  assert.equal(await text(page, "#p-axis text"), "06:00", "the first full line of a day that begins at 05:00");
  await Promise.all([page.waitForNavigation(), page.$$eval("nav a", (ways) => ways.find((way) => way.textContent === "Tomorrow").click())]);
  assert.equal(await page.$eval("nav a[aria-current]:last-of-type, nav a[aria-current]", (way) => way.textContent), "Day");
  await page.goto(`${base}/?timezone=UTC`);
  assert.match(await text(page, ".zone"), /UTC \(\+00:00\)/);
  assert.deepEqual(faults, []);
  await page.close();
});

await check("a story tells each request, by mouse and by keys, and closes", async () => {
  const { page, faults } = await open("/");
  await page.click("#p-air a.story");
  await wait(page, 'document.querySelector("dialog[open] .events .good")');
  const told = await text(page, "dialog");
  assert(/StartStreamIngest, attempt 1/.test(told) && /RequestId/.test(told) && /ingestd why/.test(told), told);
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Escape");
  assert(!(await page.$("dialog[open]")));
  await page.$eval('.row a.b[tabindex="0"]', (bar) => bar.focus());
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  assert(await page.evaluate(() => document.activeElement.matches("a.b")));
  await page.keyboard.press("Enter");
  await wait(page, 'document.querySelector("dialog[open] .told")');
  assert.deepEqual(faults, []);
  await page.close();
});

await check("what others write is inert", async () => {
  for (const path of ["/", "/?lang=zh", "/?zoom=day"]) {
    const { page, faults } = await open(path);
    assert.equal(await page.evaluate(() => window.reached), undefined);
    const html = await page.content();
    assert(!html.includes("<img") && !html.includes("\u202e"), "markup or a change of direction came through");
    assert(!html.includes("hush-in-url"), "a secret is shown");
    assert(html.includes("&lt;script&gt;"), "the note is shown as it was written");
    assert.deepEqual(faults, []);
    await page.close();
  }
  const answer = await fetch(base);
  const policy = answer.headers.get("content-security-policy");
  assert(policy.includes("default-src 'none'") && !policy.includes("unsafe"), policy);
});

await check("it is live: a change is patched in place, and the focus stays", async () => {
  const { page, faults } = await open("/");
  await wait(page, 'document.getElementById("live").textContent === "live"');
  const version = await page.$eval("html", (root) => root.dataset.version);
  await page.focus("#p-next a.story");
  // Retries of what is refused change the ledger every few seconds.
  await page.waitForFunction((old) => document.documentElement.dataset.version !== old, { timeout: 70000 }, version);
  assert(await page.evaluate(() => document.activeElement.matches("#p-next a.story")));
  assert.deepEqual(faults, []);
  await page.close();
});

await check("without a stream it asks now and then", async () => {
  const { page } = await open("/page/icon.svg");
  await page.evaluateOnNewDocument(() => { delete window.EventSource; });
  await page.goto(base);
  await wait(page, 'document.getElementById("live").textContent === "every 5 s"');
  await page.close();
});

await check("without scripts everything is there", async () => {
  const { page } = await open("/", { scripts: false });
  const html = await page.content();
  assert(html.includes('http-equiv="refresh"') && html.includes("evening-promo") && html.includes('id="now"'));
  const href = /href="(\/occurrence\?job=evening-promo[^"]*)"/.exec(html)[1].replaceAll("&amp;", "&");
  const story = await (await fetch(base + href)).text();
  assert(story.includes("StartStreamIngest, attempt 1"));
  await page.close();
});

await check("on a phone nothing is cut off, and what needs somebody is above what is on air", async () => {
  const { page } = await open("/", { width: 390, height: 844 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert(wide <= 0, `the page is ${wide} dots too wide`);
  const top = (selector) => page.$eval(selector, (element) => element.getBoundingClientRect().top);
  assert((await top("#p-needs")) < (await top("#p-air")));
  await page.close();
});

await check("the calendar subscribes, and the page is small", async () => {
  const calendar = await (await fetch(`${base}/calendar.ics`)).text();
  assert(calendar.startsWith("BEGIN:VCALENDAR\r\n") && calendar.includes("SUMMARY:evening-promo"));
  let size = 0;
  for (const path of ["/", "/page/rundown.css", "/page/rundown.js", "/page/icon.svg"]) size += (await (await fetch(base + path)).text()).length;
  assert(size < 150000, `${size} bytes`);
  console.log(`page, style, script and icon: ${size} bytes`);
});

if (process.env.SHOTS) {
  const folder = new URL("shots/", import.meta.url).pathname;
  mkdirSync(folder, { recursive: true });
  for (const [name, path, options] of [
    ["desktop", "/", { width: 1240, height: 760 }],
    ["dark", "/", { width: 1240, height: 760, scheme: "dark" }],
    ["chinese", "/?lang=zh", { width: 1240, height: 760 }],
    ["phone", "/", { width: 390, height: 1100 }],
  ]) {
    const { page } = await open(path, options);
    await wait(page, 'document.getElementById("clock").textContent.length === 8');
    await page.screenshot({ path: `${folder}${name}.png` });
    await page.close();
  }
}
await browser.close();
console.log(passed.map((name) => `ok: ${name}`).join("\n"));
