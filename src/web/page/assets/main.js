// Begins everything, once the page is there.
"use strict";

if (root.dataset.view) {
  restoreFlip();
  arm(document.body);
  const zone = byId("zone");
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && own) {
    const address = new URL(zone.href);
    address.searchParams.set("timezone", own);
    zone.href = address.pathname + address.search;
    zone.textContent = `${zone.dataset.name} (${own})`;
    zone.hidden = false;
  }
  document.addEventListener("click", clicks);
  document.addEventListener("keydown", keys);
  tips();
  // On a narrow screen, what comes is on the right: begin a little before now, once the page has its layout.
  requestAnimationFrame(() => {
    const scroll = document.querySelector(".scroll");
    const room = scroll.querySelector(".room").offsetWidth;
    const part = (daemonNow() - shownFrom) / (shownTo - shownFrom);
    scroll.scrollLeft = Math.max(0, part * (scroll.scrollWidth - room) - 60);
  });
  tick();
  setInterval(() => {
    tick();
    state();
  }, 1000);
  follow();
}
