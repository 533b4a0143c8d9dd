// Measures the page of a daemon in a headless Chromium: node measure.mjs URL CHROMIUM MODULES. Prints, and judges nothing.
const [, , base, chromium, modules] = process.argv;
const { default: puppeteer } = await import(`${modules}/puppeteer-core/lib/puppeteer/puppeteer-core.js`);
const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--headless=new"] });
const page = await browser.newPage();
await page.setViewport({ width: 1440, height: 1000 });
await page.goto(`${base}/?zoom=day`, { waitUntil: "load" });
const bars = await page.$$eval("a.b", (all) => all.length);
const load = await page.evaluate(() => {
  const [entry] = performance.getEntriesByType("navigation");
  return [entry.responseEnd, entry.domContentLoadedEventEnd, entry.loadEventEnd].map(Math.round);
});
console.log(`${bars} bars: answered after ${load[0]} ms, interactive after ${load[1]} ms, loaded after ${load[2]} ms`);
const version = await page.$eval("html", (root) => root.dataset.version);
const times = [];
for (let number = 0, last = version; number < 3; number += 1) {
  await page.waitForFunction((old) => document.documentElement.dataset.version !== old, { timeout: 90000 }, last);
  last = await page.$eval("html", (root) => root.dataset.version);
  times.push(Math.round(await page.evaluate("shownIn")));
}
console.log(`updates were shown in ${times.join(", ")} ms`);
// The most that may change at one time, without waiting for it: a bar of each row, and everything, as when the range moves on.
const [bars_of_rows, everything] = await page.evaluate(async () => {
  const splices = [...document.querySelectorAll(".row")].map((row) => {
    return { id: row.id, at: 0, removed: 1, html: row.querySelector("a.b").outerHTML };
  });
  const none = { since: null, version, now: daemonNow(), from: shownFrom, to: shownTo, parts: [] };
  show({ ...none, splices });
  const first = shownIn;
  const whole = await (await fetch(`/page/parts?${root.dataset.view}`)).json();
  show(whole);
  return [first, shownIn].map(Math.round);
});
console.log(`a bar of each row: ${bars_of_rows} ms; everything, as when the range moves on: ${everything} ms`);
await browser.close();
