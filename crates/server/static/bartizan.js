// Draws the page's part anew when the server says that there is news. Where somebody is at work
// in the part, a line says so instead: nothing moves under a hand.
"use strict";
(() => {
  const part = document.getElementById("part");
  const news = document.getElementById("news");
  if (!part || !part.hasAttribute("hx-get")) return;
  const busy = () => part.contains(document.activeElement) || part.querySelector("details[open]") !== null;
  const redraw = () => {
    if (document.hidden || busy()) {
      news.hidden = false;
      return;
    }
    news.hidden = true;
    htmx.trigger(part, "shown");
  };
  const events = new EventSource("/events");
  events.addEventListener("shown", redraw);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !news.hidden) redraw();
  });
  window.addEventListener("pagehide", () => events.close());
})();
