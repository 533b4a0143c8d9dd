// Begins everything, once the page is there.
"use strict";

// On a narrow screen, what comes is on the right: begin a little before now.
function center() {
  const scroll = document.querySelector(".scroll");
  const room = scroll.querySelector(".room").offsetWidth;
  const part = (daemonNow() - shownFrom) / (shownTo - shownFrom);
  scroll.scrollLeft = Math.max(0, part * (scroll.scrollWidth - room) - 60);
}

// The viewer's zone is a way that only a script can write.
function ownZone() {
  const zone = byId("zone");
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || !own || !zone.hidden) return;
  const address = new URL(zone.href);
  address.searchParams.set("timezone", own);
  zone.href = address.pathname + address.search;
  zone.textContent = `${zone.dataset.name} (${own})`;
  zone.hidden = false;
}

if (root.dataset.view) {
  restoreFlip();
  arm(document.body);
  document.addEventListener("click", clicks);
  document.addEventListener("keydown", keys);
  document.addEventListener("scroll", () => seenRows().forEach(draw), true);
  document.addEventListener("visibilitychange", () => {
    unfollow();
    follow();
  });
  addEventListener("popstate", () => location.search === here || turn(location.pathname + location.search, false));
  tips();
  // Once the page has its layout.
  requestAnimationFrame(center);
  tick();
  setInterval(() => {
    tick();
    state();
  }, 1000);
  follow();
}
