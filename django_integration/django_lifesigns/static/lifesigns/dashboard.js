// Keeps the dashboard up to date: polls its JSON, and replaces the page's content once something has changed.
// Without it the page is complete, as of when it was loaded.
"use strict";

(() => {
  const EVERY = 5000; // Milliseconds between two requests while the page is seen and the server answers.
  const HIDDEN = 60000;
  const SLOWEST = 60000;
  const TIMEOUT = 20000;
  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

  const live = document.getElementById("live");
  const lost = document.getElementById("lost");
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang || undefined, { style: "short" });
  let etag = null;
  let reached = new Date();
  let failures = 0;
  let timer = 0;
  let polling = false;

  const json = new URL(location.href);
  json.search = "?format=json";
  const page = new URL(location.href);
  page.search = "?format=html";
  if (new URLSearchParams(location.search).has("done")) {
    // What was done is said once, and not again by a reload.
    history.replaceState(null, "", location.pathname);
  }

  async function request(url, headers) {
    const response = await fetch(url, { headers, credentials: "same-origin", signal: AbortSignal.timeout(TIMEOUT) });
    if (!response.ok && response.status !== 304) {
      throw new Error(response.status);
    }
    return response;
  }

  async function update() {
    const response = await request(json, etag ? { "If-None-Match": etag } : {});
    if (response.status === 304) {
      return;
    }
    const data = await response.json();
    const shown = document.getElementById("dashboard");
    if (shown && data.revision !== shown.dataset.revision) {
      await replace();
    } else {
      renew(data.checks || [data.check]);
    }
    etag = response.headers.get("ETag");
  }

  async function replace() {
    const text = await (await request(page, {})).text();
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const content = fresh.getElementById("dashboard");
    const old = document.getElementById("dashboard");
    if (!content || !old) {
      return;
    }
    for (const details of old.querySelectorAll("details[id]")) {
      const same = content.querySelector(`#${CSS.escape(details.id)}`);
      if (same) {
        same.open = details.open;
      }
    }
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    old.replaceWith(document.adoptNode(content));
    document.title = fresh.title;
    if (focused) {
      document.getElementById(focused)?.focus({ preventScroll: true });
    }
  }

  // Results that were found anew, and are the same.
  function renew(checks) {
    const found = new Map(checks.map((check) => [check.name, check]));
    for (const time of document.querySelectorAll("time.age")) {
      const check = found.get(time.dataset.check);
      if (check?.timestamp) {
        time.dateTime = check.timestamp;
      }
    }
  }

  function ago(at) {
    const seconds = Math.max(0, Math.round((Date.now() - at) / 1000));
    const [unit, length] = UNITS.find(([, size]) => seconds >= size) || ["second", 1];
    return words.format(-Math.floor(seconds / length), unit);
  }

  function showAges() {
    for (const time of document.querySelectorAll("time.age")) {
      time.textContent = ago(new Date(time.dateTime));
    }
  }

  // Where the server is not reached, that is said to those who listen, too: once, not at each attempt.
  function showState() {
    const at = reached.toLocaleTimeString(document.documentElement.lang || undefined);
    const text = failures ? `${lost.dataset.text} ${at}` : "";
    if (lost.textContent !== text) {
      lost.textContent = text;
    }
    live.textContent = failures ? "" : `${live.dataset.text} ${at}`;
  }

  async function poll() {
    clearTimeout(timer);
    if (polling) {
      return;
    }
    polling = true;
    try {
      await update();
      failures = 0;
      reached = new Date();
    } catch {
      failures += 1;
    }
    polling = false;
    showState();
    showAges();
    const pause = failures ? Math.min(SLOWEST, EVERY * 2 ** failures) : EVERY;
    timer = setTimeout(poll, document.hidden ? Math.max(HIDDEN, pause) : pause);
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      poll();
    }
  });
  setInterval(showAges, 1000);
  poll();
})();
