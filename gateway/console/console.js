// What pages do beyond their markup. Every page works without it.
"use strict";

// Times are shown in the zone of whoever looks.
function showTimes(root) {
  const style = { dateStyle: "medium", timeStyle: "short" };
  let format;
  try {
    format = new Intl.DateTimeFormat(document.documentElement.lang || undefined, style);
  } catch {
    format = new Intl.DateTimeFormat(undefined, style);
  }
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      time.title = time.dateTime;
      time.textContent = format.format(at);
    }
  }
}

// A form is sent once, and says that it is on its way.
function holdButtons() {
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button) return;
    setTimeout(() => { button.disabled = true; }, 0);
    // A page that stays is one that was stopped on its way.
    setTimeout(() => { button.disabled = false; }, 10000);
  });
  // Back from the history, the buttons work again.
  window.addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("button[disabled]")) button.disabled = false;
  });
}

// The fragment of the address goes along with the way back, by whichever way that leads.
function keepFragment() {
  if (!location.hash) return;
  const form = document.querySelector("form[data-return]");
  form?.addEventListener("submit", () => {
    const field = form.elements.return_to;
    if (!field.value.includes("#")) field.value += location.hash;
  });
  for (const link of document.querySelectorAll("a[href*='return_to=']")) {
    if (!link.href.includes("%23")) link.href += encodeURIComponent(location.hash);
  }
}

// A key is shown once: nobody leaves before saying that it is kept.
function guardKey() {
  const key = document.getElementById("key");
  if (!key) return;
  let kept = false;
  const copy = document.getElementById("copy");
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(key.textContent.trim());
      document.getElementById("copied").hidden = false;
    } catch {
      getSelection().selectAllChildren(key);
    }
  });
  document.getElementById("kept").addEventListener("click", () => { kept = true; });
  window.addEventListener("beforeunload", (event) => {
    if (!kept) event.preventDefault();
  });
  // Neither going back nor a page that is kept in memory shows it again.
  window.addEventListener("pagehide", () => { key.textContent = ""; });
}

// Whether a form has something in it that it did not come with.
function isTyped() {
  const fields = document.querySelectorAll("main input:not([type=hidden])");
  return [...fields].some((field) => field.value !== field.defaultValue);
}

// Whether somebody reads, marks or opens something in a part of the page.
function isUsed(part) {
  const marked = getSelection();
  return part.contains(document.activeElement) || part.querySelector("details[open]")
    || (!marked.isCollapsed && marked.containsNode(part, true));
}

// What changes by itself is asked for again, while somebody looks.
function follow() {
  if (!document.querySelector("[data-live]")) return;
  const body = document.body;
  let lost = null;
  const say = (text, gone) => {
    if (!lost) {
      lost = document.createElement("p");
      lost.className = "lost";
      lost.setAttribute("role", "status");
      document.querySelector("main").prepend(lost);
    }
    lost.textContent = text;
    if (gone) { const old = lost; lost = null; setTimeout(() => old.remove(), 4000); }
  };
  // Nobody who has left the page open keeps the session in use by it.
  const ATTENTION = 10 * 60 * 1000;
  let seen = Date.now();
  for (const event of ["pointermove", "keydown", "touchstart", "scroll"]) {
    window.addEventListener(event, () => { seen = Date.now(); }, { passive: true });
  }
  const ask = async () => {
    if (document.hidden || Date.now() - seen > ATTENTION) return;
    let response;
    try {
      response = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    } catch {
      say(body.dataset.lost, false);
      return;
    }
    // Signed out elsewhere: the page itself leads to the sign-in.
    if ([401, 403, 404].includes(response.status)) {
      // What is typed is lost to nobody: the form itself leads to the sign-in, and back with it.
      if (isTyped()) say(body.dataset.ended, false); else location.reload();
      return;
    }
    if (!response.ok) { say(body.dataset.lost, false); return; }
    if (lost) say(body.dataset.back, true);
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(part.id);
      if (other && !isUsed(part)) {
        showTimes(other);
        if (part.innerHTML !== other.innerHTML) part.replaceChildren(...other.childNodes);
      }
    }
  };
  setInterval(ask, 5000);
  document.addEventListener("visibilitychange", ask);
}

// A wait that is told counts down.
function countDown() {
  for (const wait of document.querySelectorAll("[data-seconds]")) {
    let left = Number(wait.dataset.seconds);
    const words = wait.textContent;
    const timer = setInterval(() => {
      left -= 1;
      wait.textContent = words.replace(wait.dataset.seconds, String(Math.max(left, 0)));
      if (left <= 0) clearInterval(timer);
    }, 1000);
  }
}

showTimes(document);
holdButtons();
keepFragment();
guardKey();
follow();
countDown();
