// Drives a headless Chromium through the page of a daemon: node run.mjs URL STATUS.json CHROMIUM MODULES SCENE DRAFTS TROUBLED. Each check is first shown a fault that
// it must find. Pictures of the scene go to DRAFTS, and to `shots` when
// SHOTS is set.
import { mkdirSync, readFileSync, statSync } from "node:fs";
import assert from "node:assert/strict";

const [, , base, statusFile, chromium, modules, scene, drafts, troubled] = process.argv;
const { default: puppeteer } = await import(`${modules}/puppeteer-core/lib/puppeteer/puppeteer-core.js`);
const axeSource = readFileSync(`${modules}/axe-core/axe.min.js`, "utf8");
const status = JSON.parse(readFileSync(statusFile, "utf8"));
const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--headless=new", "--disable-lcd-text"] });
const wait = (page, what) => page.waitForFunction(what, { timeout: 20000 });

// A page, and what it complains of: errors, refused loads, requests to other hosts.
async function open(path, { width = 1440, height = 1000, scheme = "light", language = "en", scripts = true, host = base } = {}) {
  const page = await browser.newPage();
  const faults = [];
  page.on("console", (message) => message.type() === "error" && faults.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("request", (request) => new URL(request.url()).origin !== host && faults.push(`request to ${request.url()}`));
  await page.setJavaScriptEnabled(scripts);
  await page.setViewport({ width, height });
  await page.setExtraHTTPHeaders({ "Accept-Language": language });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" }]);
  await page.goto(host + path, { waitUntil: "load" });
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
    for (const look of ["planned", "returns", "on_air", "fallback", "stopping", "ended", "cut", "failed", "missed", "skipped"]) {
      assert(await page.$(`.row a.b.${look}`), `no bar is ${look}`);
    }
    // These come and go: the page is live.
    if (scheme === "light" && language === "en") {
      for (const look of ["armed", "trying", "waiting"]) await page.waitForSelector(`.row a.b.${look}`, { timeout: 30000 });
    }
    assert(await page.$(".row a.b.late"), "nothing was joined late");
    assert(await page.$('.row use[href="#heal"]'), "what was healed is not marked");
    assert(await page.$('.row use[href="#cut"]'), "the cut by a preempting show is not drawn");
    assert.equal(await page.$$eval(".legend li", (keys) => keys.length), 15);
    const shapes = await page.$$eval(".legend li", (keys) => keys.map((key) => {
      const box = getComputedStyle(key.querySelector(".box"));
      const fill = box.fill.startsWith("url") ? "hatched" : box.fill === "none" ? "empty" : box.fill === box.stroke ? "solid" : "filled";
      const marks = [...key.querySelectorAll("use")].map((use) => use.getAttribute("href"));
      return [fill, box.strokeDasharray, box.strokeWidth, box.rx, box.height, marks].join(" ");
    }));
    assert.equal(new Set(shapes).size, shapes.length, `two looks differ by colour alone: ${shapes.join("\n")}`);
    const bars = await page.$$eval(".row a.b", (all) => all.map((bar) => bar.getAttribute("aria-label") || bar.textContent));
    const word = language === "en" ? "on air" : "播出中";
    assert(bars.some((bar) => bar.includes(word)), bars.join("\n"));
    assert.equal(await page.$eval("html", (root) => root.lang), language === "en" ? "en" : "zh-CN");
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(faults, []);
    await page.close();
  }
});

await check("the page shows the value that it is made of, and the health and warnings of the status", async () => {
  const { page } = await open("/");
  const value = await page.evaluate(async () => (await fetch("/api/v1/rundown")).json());
  assert.equal(value.health, status.health);
  // One of them comes and goes.
  const lasting = (jobs) => jobs.filter((job) => job !== "pulse");
  const shown = await page.$$eval("#p-air .what b", (all) => all.map((one) => one.textContent));
  assert.deepEqual(lasting(shown), lasting(value.on_air.map((one) => one.job)));
  const tasks = await page.$$eval("#p-air .task", (all) => all.map((one) => one.textContent));
  for (const one of value.on_air) assert(one.job === "pulse" || tasks.includes(one.task), `${one.task} is not shown`);
  const rooms = await page.$$eval(".row > .room", (all) => all.map((one) => one.textContent));
  assert.deepEqual(rooms, value.rooms.map((room) => room.room));
  const said = await text(page, "#p-needs");
  for (const warning of status.warnings) assert(said.includes(warning), `${warning} is not in ${said}`);
  await page.close();
});

await check("trouble says what is wrong, what to do, and what check draws", async () => {
  const { page, faults } = await open("/");
  const needs = await page.$$eval("#p-needs .need", (all) => all.map((one) => one.textContent));
  const about = (word) => needs.find((need) => need.includes(word)) || assert.fail(`${word} is not among ${needs.join("\n")}`);
  assert.match(about("the schedule files have"), /unknown key fro/);
  assert.match(await text(page, "#p-needs pre"), /error\[[a-z-]+\][^]*--> [^ ]*rig\.yaml:\d+:\d+[^]*\^\^\^/);
  assert.match(about("ingestd check"), /fix the files/);
  assert.match(about("bad-url"), /InvalidParameter\.StreamUrl[^]*correct the job/);
  assert.match(about("spare"), /fallback/);
  assert.match(await text(page, "#p-lately"), /press-room[^]*missed[^]*see [^]*late/);
  assert.deepEqual(faults, []);
  await page.close();
});

await check("a disk that stands, a clock that is not sure, a task that is not seen and alerts that do not go out are told with what to do", async () => {
  for (const [language, scheme] of [["en", "light"], ["zh-CN", "dark"]]) {
    const { page, faults } = await open("/", { host: troubled, language, scheme });
    const needs = await page.$$eval("#p-needs .need", (all) => all.map((one) => one.textContent));
    for (const [what, advice] of [
      [/ledger's disk has not answered for \d+ s/, /make room on its disk[^]*ingestd doctor/],
      [/starts are held: /, /synchronise the clock[^]*ingestd clock confirm/],
      [/this clock is 4 s behind/, /synchronise the clock[^]*timedatectl/],
      [/evening[^]*seen/, /ingestd [a-z]+ [^]*(story|经过)/],
      [/has taken no alert/, /receiver can be reached[^]*ingestd alert test/],
    ]) {
      const need = needs.find((need) => what.test(need)) || assert.fail(`${what} is not among ${needs.join("\n")}`);
      assert.match(need, advice);
    }
    assert(await page.$("#p-health.failing"), "the health is not failing");
    const count = await page.$$eval("#p-needs .need:not(.ok)", (all) => all.length);
    assert.match(await text(page, "#p-health"), new RegExp(`${count}`));
    assert((await page.title()).startsWith(`(${count}) `), await page.title());
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(faults, []);
    await page.close();
  }
});

await check("the plots show lateness, the forecast beside the limit, and the day", async () => {
  const { page } = await open("/");
  assert((await page.$$("#p-late circle")).length >= 3);
  assert.match(await text(page, "#p-late h2"), /p50 \d+ ms · p99 \d+ ms/);
  assert(await page.$("#p-rate rect.f"), "no request to come");
  assert(await page.$("#p-rate rect.p"), "no request that was sent");
  assert.match(await text(page, "#p-rate"), /peak to come \d+ at .*limit 20/);
  assert((await page.$$("#p-day .area")).length >= 3);
  assert.match(await text(page, "#p-day h2"), /On air today \d+ of \d+/);
  await page.close();
});

await check("now moves, countdowns count, a click switches them", async () => {
  // Of an hour, which moves on seldom.
  const { page } = await open("/?zoom=hour");
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
  await Promise.all([page.waitForNavigation(), page.keyboard.press("-")]);
  assert(page.url().includes("zoom=6h"), page.url());
  await Promise.all([page.waitForNavigation(), page.keyboard.press("+")]);
  assert(page.url().includes("zoom=hour"), page.url());
  await page.goto(`${base}/?zoom=day`);
  assert.equal(await text(page, "#p-axis text"), "06:00", "the first full line of a day that begins at 05:00");
  await Promise.all([page.waitForNavigation(), page.$$eval("nav a", (ways) => ways.find((way) => way.textContent === "Tomorrow").click())]);
  const here = () => page.$$eval("nav a[aria-current]", (ways) => ways.map((way) => way.textContent));
  assert.deepEqual(await here(), ["Day", "Tomorrow"]);
  assert.equal(await text(page, "#p-axis text"), "06:00", "tomorrow begins when the station's day does");
  await Promise.all([page.waitForNavigation(), page.$$eval("nav a", (ways) => ways.find((way) => way.textContent === "Yesterday").click())]);
  assert.deepEqual(await here(), ["Day", "Yesterday"]);
  await page.goto(`${base}/?timezone=UTC`);
  assert.match(await text(page, ".zone"), /UTC \(\+00:00\)/);
  assert.deepEqual(faults, []);
  await page.close();
});

await check("another zoom stays on the page, and so does the way back", async () => {
  const { page, faults } = await open("/");
  await page.evaluate(() => (window.stays = true));
  await page.keyboard.press("4");
  await page.waitForFunction(() => location.search.includes("zoom=day") && root.dataset.view.includes("zoom=day") && waiting.size === 0);
  assert.deepEqual(await page.$$eval("nav a[aria-current]", (ways) => ways.map((way) => way.textContent)), ["Day", "Now"]);
  assert.equal(await text(page, "#p-axis text"), "06:00");
  await wait(page, "stream && stream.url.includes('zoom=day') && stream.readyState === 1");
  await page.goBack();
  await page.waitForFunction(() => !location.search && root.dataset.view.includes("zoom=6h"));
  // What was asked for the other view and comes late is not shown.
  await page.evaluate(() => show({ edition: root.dataset.edition, view: "zoom=week", parts: [["p-head", "wrong"]], rows: [], splices: [] }));
  assert((await text(page, "#p-head")).includes("ingestd"));
  assert(await page.evaluate(() => window.stays), "the page was loaded anew");
  assert.deepEqual(faults, []);
  await page.close();
});

await check("a list stays where it was scrolled to, and old pictures do not set the clock", async () => {
  const { page } = await open("/");
  const kept = await page.evaluate(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(".items { max-height: 40px }");
    document.adoptedStyleSheets = [sheet];
    document.querySelector("#p-next .items").scrollTop = 20;
    replace("p-next", byId("p-next").outerHTML);
    return document.querySelector("#p-next .items").scrollTop;
  });
  assert.equal(kept, 20);
  const moved = await page.evaluate(() => {
    const before = ahead;
    const { view, edition } = root.dataset;
    show({ since: null, version, view, edition, now: daemonNow() - 60000, from: shownFrom, to: shownTo, parts: [], rows: [], splices: [] });
    return ahead - before;
  });
  assert.equal(moved, 0);
  await page.close();
});

await check("a page that nobody looks at keeps no stream, and another program is another page", async () => {
  const { page } = await open("/");
  await wait(page, "stream && stream.readyState === 1");
  const hide = (hidden) => page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
    return [stream === null, pollEvery];
  }, hidden);
  assert.deepEqual(await hide(true), [true, 30000]);
  assert.deepEqual(await hide(false), [false, 0]);
  await Promise.all([page.waitForNavigation(), page.evaluate(() => void setTimeout(() => show({ edition: "another" }), 0))]);
  await page.close();
});

await check("when nothing is heard the page says since when, asks one question at a time, and recovers", async () => {
  const { page } = await open("/");
  let asked = 0;
  await page.setRequestInterception(true);
  let isDead = true;
  page.on("request", (request) => {
    const isLive = request.url().includes("/page/events") || request.url().includes("/page/parts");
    if (request.url().includes("/page/parts")) asked += 1;
    if (!isDead || !isLive) request.continue();
  });
  // A stream that is open and says nothing, as behind a proxy that keeps it.
  await page.evaluate(() => { unfollow(); follow(); });
  await page.evaluate(() => (heardAt = Date.now() - 13000));
  await page.waitForFunction(() => byId("live").textContent.startsWith("old: no answer since "));
  const since = await page.evaluate(() => [byId("live").textContent.slice(-8), wallTime(heardAt + ahead, 8 * 3600)]);
  assert.equal(since[0], since[1], "the time is one of the page's zone");
  assert(await page.$("body.old"));
  await page.evaluate(() => { ask(); ask(); again(); });
  assert.equal(asked, 1);
  isDead = false;
  await page.evaluate(() => { asking = false; });
  await wait(page, 'document.getElementById("live").textContent === "every 5 s" && version !== "0"');
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
  // What leads from another version than the one that is there is not mixed in: everything is asked for.
  const rows = await page.$$eval(".row", (all) => all.length);
  const stray = { since: "1-1", version: "1-2", from: 0, to: 1, parts: [], order: [], rows: [], splices: [] };
  await page.evaluate((changes) => show({ ...changes, view: root.dataset.view, edition: root.dataset.edition }), stray);
  await page.waitForFunction(() => !["0", "1-2"].includes(document.documentElement.dataset.version));
  assert.equal(await page.$$eval(".row", (all) => all.length), rows);
  // After all patches the rows are what the server would write anew.
  await wait(page, 'version !== "0" && waiting.size === 0');
  const differing = await page.evaluate(async () => {
    const answer = await fetch(`/page/parts?${root.dataset.view}`);
    const whole = await answer.json();
    if (whole.version !== version) return "";
    const made = document.createElement("div");
    made.innerHTML = whole.rows.map(([, html]) => html).join("");
    const absent = whole.parts.filter(([id]) => !byId(id)).map(([id]) => id);
    if (absent.length) return `the page has no ${absent}`;
    if (!["p-ways", "p-foot"].every((part) => whole.parts.some(([id]) => id === part))) return "its ways and its footer get old";
    const plain = (rows) => rows.innerHTML.replace(/ tabindex="[-0-9]+"/g, "");
    return plain(made) === plain(byId("p-rows")) ? "same" : "the patched rows differ";
  });
  assert(["", "same"].includes(differing), differing);
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
  // Both at one moment: the page is live.
  const tops = await page.evaluate(() => ["p-needs", "p-air"].map((id) => byId(id).getBoundingClientRect().top));
  assert(tops[0] < tops[1], `${tops}`);
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

await check("pictures of the page are small", async () => {
  const folder = process.env.SHOTS ? new URL("shots", import.meta.url).pathname : drafts;
  mkdirSync(folder, { recursive: true });
  for (const [name, path, options] of [
    ["desktop", "/", { width: 1200, height: 650 }],
    ["lists", "/", { width: 1200, height: 1600, clip: "#p-needs, #p-air, #p-next" }],
    ["plots", "/", { width: 1200, height: 1600, clip: ".plots" }],
    ["dark", "/", { width: 1200, height: 650, scheme: "dark" }],
    ["chinese", "/?lang=zh", { width: 1200, height: 650 }],
    ["phone", "/", { width: 390, height: 1200 }],
  ]) {
    const { page, faults } = await open(path, { ...options, host: scene });
    await wait(page, 'document.getElementById("clock").textContent.length === 8');
    const boxes = await page.$$eval(options.clip || "html", (all) => all.map((one) => one.getBoundingClientRect().toJSON()));
    const [top, bottom] = [Math.min(...boxes.map((box) => box.top)), Math.max(...boxes.map((box) => box.bottom))];
    const height = Math.min(bottom, options.height) - top;
    await page.screenshot({ path: `${folder}/${name}.png`, clip: { x: 0, y: top, width: options.width, height } });
    assert(statSync(`${folder}/${name}.png`).size < 200000, `${name}.png is too large`);
    assert.deepEqual(faults, []);
    assert.deepEqual(await violations(page), []);
    await page.close();
  }
});
await browser.close();
console.log(passed.map((name) => `ok: ${name}`).join("\n"));
