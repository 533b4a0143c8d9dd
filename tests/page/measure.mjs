// Measures the page of a daemon in a headless Chromium: node measure.mjs URL DAY CHROMIUM MODULES. The day is one of which everything is to come.
// Prints, and judges nothing.
const [, , base, day, chromium, modules] = process.argv;
const { default: puppeteer } = await import(`${modules}/puppeteer-core/lib/puppeteer/puppeteer-core.js`);
const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--headless=new"] });
const page = await browser.newPage();
await page.setViewport({ width: 1440, height: 1000 });
const whole = `/?zoom=day&at=${day}`;
await page.goto(base + whole, { waitUntil: "load" });
const bars = await page.$$eval("a.b", (all) => all.length);
const load = await page.evaluate(() => {
  const [entry] = performance.getEntriesByType("navigation");
  return [entry.responseEnd, entry.domContentLoadedEventEnd, entry.loadEventEnd].map(Math.round);
});
console.log(`${bars} bars: answered after ${load[0]} ms, interactive after ${load[1]} ms, loaded after ${load[2]} ms`);

// From here on, each is measured three times: until all that is seen is new (`shownIn`), and the longest time that the browser could do
// nothing else (`longest`).
const settled = () => page.waitForFunction("waiting.size === 0");
await page.evaluate(() => {
  window.tasks = [];
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map((one) => Math.round(one.duration)))).observe({ type: "longtask" });
  window.framed = () => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()), 0)));
});
async function measured(what, run) {
  const lines = [];
  for (let number = 0; number < 3; number += 1) {
    await page.evaluate("tasks.length = 0");
    const { parsed, framed, begun } = await page.evaluate(run);
    await settled();
    const [shown, longest] = await page.evaluate("[shownIn, longest]");
    const rest = (await page.evaluate("performance.now()")) - begun;
    const tasks = await page.evaluate("tasks");
    lines.push(`${Math.round(shown + parsed)} ms (JSON ${Math.round(parsed)}; longest ${Math.round(longest)}; with its frame ${Math.round(framed - begun)}; all rows ${Math.round(rest)}; long tasks ${tasks.join(", ") || "none"})`);
  }
  console.log(`${what}: ${lines.join("; ")}`);
}

await measured("everything anew, as when the range moves on", async () => {
  const text = await (await fetch(`/page/parts?${root.dataset.view}`)).text();
  await framed();
  const begun = performance.now();
  const changes = JSON.parse(text);
  const parsed = performance.now() - begun;
  show(changes);
  return { begun, parsed, framed: await framed() };
});
await measured("a bar of each row", async () => {
  const splices = [...document.querySelectorAll(".row")].map((row) => {
    return { id: row.id, at: 0, removed: 1, html: row.querySelector("a.b").outerHTML };
  });
  const { view, edition } = root.dataset;
  const begun = performance.now();
  show({ since: null, version, view, edition, from: shownFrom, to: shownTo, parts: [], rows: [], splices });
  return { begun, parsed: 0, framed: await framed() };
});
// A click on another zoom, and back: from the click, the answer of the daemon among it.
for (const number of ["3", "4"]) {
  const begun = await page.evaluate("performance.now()");
  const from = await page.$eval("html", (root) => root.dataset.version);
  await page.keyboard.press(number);
  await page.waitForFunction((old) => document.documentElement.dataset.version !== old, { polling: "mutation" }, from);
  const took = await page.evaluate((begun) => [performance.now() - begun, shownIn].map(Math.round), begun);
  await settled();
  console.log(`key ${number}, another zoom: there after ${took[0]} ms, of which ${took[1]} ms to show it`);
}
// What a running show changes by itself.
await page.goto(`${base}/?zoom=day`, { waitUntil: "load" });
const times = [];
for (let number = 0, last = await page.$eval("html", (root) => root.dataset.version); number < 3; number += 1) {
  await page.waitForFunction((old) => document.documentElement.dataset.version !== old, { timeout: 90000 }, last);
  last = await page.$eval("html", (root) => root.dataset.version);
  await settled();
  times.push(await page.evaluate("`${Math.round(shownIn)} (longest ${Math.round(longest)})`"));
}
console.log(`what changed by itself was shown in ${times.join(", ")} ms`);
await browser.close();
