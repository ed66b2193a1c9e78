// A person at the gateway's console, in Chromium over TLS: every flow, what may be seen of a key,
// and that every page is usable. Prints one line for each thing that was done; the first that
// does not go as it should ends with 1. Arguments: the gateway's URL, and a directory for
// pictures.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import assert from "node:assert/strict";

const modules = createRequire(process.env.MODULES + "/");
const { chromium } = modules("playwright-core");
const axe = readFileSync(modules.resolve("axe-core/axe.min.js"), "utf8");

const [gate, pictures] = process.argv.slice(2);
const base = gate + "/.portcullis/console";
const admin = { name: "admin", password: "correct horse battery" };
const SIZES = { phone: [360, 740], tablet: [820, 1180], desktop: [1280, 800] };
mkdirSync(pictures, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});

const strange = [];
async function someone(options = {}) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 }, ...options,
  });
  context.setDefaultTimeout(20000);
  const page = await context.newPage();
  // A refusal is an answer that a page asked for, and no fault of the page.
  page.on("console", (line) => {
    if (line.type() === "error" && !line.text().startsWith("Failed to load resource")) {
      strange.push(line.text());
    }
  });
  page.on("pageerror", (error) => strange.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(gate)) strange.push(`asked ${request.url()}`);
  });
  return { context, page };
}

async function check(page, name) {
  const found = await page.evaluate(`(async () => {
    ${axe};
    const runOnly = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const result = await axe.run(document, { runOnly });
    return result.violations.map((one) => one.id + ": " + one.nodes.map((node) => node.target));
  })()`);
  assert.deepEqual(found, [], `${name}: accessibility`);
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= page.viewportSize().width, `${name} is ${width} wide`);
}

async function signIn(page, who, from = base + "/servers") {
  await page.goto(from);
  await page.fill("#name", who.name);
  await page.fill("#password", who.password);
  await page.click("main button[type=submit]");
  await page.waitForURL((url) => !url.pathname.includes("/sign-in") && !url.pathname.includes("/continue"));
}

// While a page is on its way to another it cannot be asked.
async function patiently(ask) {
  for (let left = 100; ; left--) {
    try {
      return await ask();
    } catch (error) {
      if (left === 0) throw error;
      await page.waitForTimeout(50);
    }
  }
}

const done = (what) => console.log(what);

// Led to the sign-in, and back to the very place.
const { context, page } = await someone();
await page.goto(gate + "/some/page?x=1#part");
assert.ok(page.url().startsWith(base + "/sign-in?return_to="), page.url());
await check(page, "sign-in");
await page.screenshot({ path: `${pictures}/sign-in.png` });
await page.fill("#name", admin.name);
await page.fill("#password", "wrong");
await page.keyboard.press("Enter");
await page.waitForSelector("[role=alert]");
assert.equal(await page.inputValue("#name"), admin.name, "what was typed is kept");
assert.match(await page.textContent("[role=alert]"), /Invalid credentials.*INVALID_CREDENTIALS/s);
await check(page, "a wrong password");
await page.fill("#password", admin.password);
await page.keyboard.press("Enter");
await page.waitForURL("**/some/page**");
assert.equal(page.url(), gate + "/some/page?x=1#part");
const cookies = await context.cookies();
assert.equal(cookies.length, 2);
for (const cookie of cookies) {
  assert.ok(cookie.name.startsWith("__Host-") && cookie.httpOnly && cookie.secure);
  assert.equal(cookie.sameSite, "Lax");
}
assert.equal(await page.evaluate(() => document.cookie), "");
done("led to the sign-in and back");

// A server, and a key for it: shown once.
await page.goto(base);
assert.equal(page.url(), base + "/servers");
for (const name of ["<script>alert(1)</script>", "build-7"]) {
  await page.goto(base + "/admin/servers");
  await page.fill("#name", name);
  await page.click("section button[type=submit]");
  await page.waitForSelector("[role=status]");
  assert.ok((await page.textContent("h1")).includes(name));
}
const server = page.url().split("?")[0];
await check(page, "a server");
await page.click(".tabs >> text=API Keys");
await check(page, "no keys");
await page.click("main >> text=Create API Key");
await page.fill("#name", "agent");
await page.selectOption("#expires", { label: "in 30 days" });
await check(page, "a new key");
const bodies = [];
page.on("response", async (response) => {
  bodies.push([response.url(), await response.text().catch(() => "")]);
});
await page.click("main button[type=submit]");
const key = (await page.textContent("#key")).trim();
assert.match(key, /^sk_live_[0-9A-Za-z]{49}$/);
await check(page, "the key");
await page.screenshot({ path: `${pictures}/key.png` });
await context.grantPermissions(["clipboard-read", "clipboard-write"]);
await page.click("#copy");
await page.waitForSelector("#copied:not([hidden])");
assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
// A click beside it loses nothing: the browser asks, and stays.
const asked = page.waitForEvent("dialog");
const leaving = page.goto(base + "/keys").catch(() => {});
const dialog = await asked;
assert.equal(dialog.type(), "beforeunload");
await dialog.dismiss();
await leaving;
assert.equal((await page.textContent("#key")).trim(), key);
await page.click("#kept");
await page.waitForURL("**/keys");
const shown = bodies.filter(([, body]) => body.includes(key));
assert.equal(shown.length, 1, "one response shows it");
// The browser would have to send the form again, and says so.
await page.goBack().catch(() => {});
const behind = await patiently(() => page.content());
assert.ok(!behind.includes(key), "not by going back");
await patiently(() => page.goto(server + "/keys"));
assert.ok(!(await page.content()).includes(key));
const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
assert.equal(stored, "[{},{}]");
assert.ok(!page.url().includes("sk_live_"));
await check(page, "keys");
await page.screenshot({ path: `${pictures}/keys.png` });
done("a key is made and shown once");

// Agents come and go while somebody looks; a revoked key closes them.
const agent = await someone();
await agent.page.goto(base + "/sign-in");
const hello = await agent.page.evaluate((key) => new Promise((resolve, reject) => {
  window.endedBy = null;
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/agents");
  socket.onopen = () => socket.send(JSON.stringify({ type: "auth", api_key: key }));
  socket.onmessage = (event) => resolve(event.data);
  socket.onclose = (event) => { window.endedBy = event.code; reject(new Error(String(event.code))); };
}), key);
assert.deepEqual(JSON.parse(hello), {
  type: "auth_success", server_id: server.split("/").pop(), message: "Connected successfully",
});
await page.goto(server);
await page.waitForSelector("#agents td:has-text('agent (sk_live_')");
await page.screenshot({ path: `${pictures}/server.png` });
await page.goto(server + "/keys");
await page.click("text=Revoke");
await check(page, "revoke");
await page.click("main button[type=submit]");
await page.waitForSelector("[role=status]");
await agent.page.waitForFunction(() => window.endedBy === 4401);
await agent.context.close();
await page.goto(server);
await page.waitForSelector("#agents >> text=No agents are connected");
done("an agent is seen, and closed with its key");

// The connection is lost, and comes back.
await context.setOffline(true);
await page.waitForSelector(".lost >> text=Connection lost");
await context.setOffline(false);
await page.waitForSelector(".lost >> text=Connection restored");
done("a lost connection is told");

await page.goto(server + "/keys/new");
await page.fill("#name", "second");
await page.click("main button[type=submit]");
const second = (await page.textContent("#key")).trim();
await page.click("#kept");
await page.waitForURL("**/keys");
await page.goto(server + "/keys");
await page.click("text=Rotate");
await check(page, "rotate");
await page.click("main button[type=submit]");
const next = (await page.textContent("#key")).trim();
assert.notEqual(next, second);
await page.click("#kept");
await page.waitForURL("**/keys");
await page.click("tr:has-text('" + next.slice(0, 14) + "') >> text=Revoke");
await check(page, "revoke");
await page.click("main button[type=submit]");
await page.waitForSelector("[role=status]");
assert.ok(!(await page.content()).includes(next.slice(0, 14)));
done("keys are rotated and revoked");

// Sessions: one ends another.
const elsewhere = await someone({ userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0" });
await signIn(elsewhere.page, admin);
await page.goto(base + "/account");
await check(page, "account");
await page.screenshot({ path: `${pictures}/account.png` });
await page.click("tr:has-text('Firefox 128') >> text=End");
await page.waitForSelector("[role=status]");
// The page there notices by itself, and leads to the sign-in.
await elsewhere.page.reload();
assert.ok(elsewhere.page.url().includes("/sign-in?return_to="), elsewhere.page.url());
await elsewhere.context.close();
done("a session is ended from another");

// Pages of administrators, and nobody else's.
for (const below of ["users", "sessions", "servers", "keys", "lockouts", "refusals"]) {
  await page.goto(`${base}/admin/${below}`);
  await check(page, below);
}
await page.goto(base + "/admin/users");
await page.click("td a >> text=ann");
await check(page, "a user");
const ann = await someone();
await signIn(ann.page, { name: "ann", password: "a good password" });
assert.equal(await ann.page.locator("nav >> text=Users").count(), 0);
for (const below of ["users", "sessions", "servers", "keys", "lockouts", "refusals"]) {
  const refused = await ann.page.goto(`${base}/admin/${below}`);
  assert.equal(refused.status(), 403, below);
  const asked = await ann.page.evaluate(async (url) => (await fetch(url)).status, `${base}/admin/${below}`);
  assert.equal(asked, 403, below);
}
await check(ann.page, "403");
done("administrators alone administer");

// Several tabs at once behind the end of the access token; a socket that stays.
const tabs = [];
for (let i = 0; i < 3; i++) tabs.push(await ann.context.newPage());
await tabs[0].goto(gate + "/socket/page");
await tabs[0].evaluate(() => new Promise((resolve, reject) => {
  window.socket = new WebSocket(location.origin.replace("http", "ws") + "/socket");
  window.endedBy = null;
  window.socket.onclose = (event) => { window.endedBy = event.code; };
  window.socket.onopen = resolve;
  window.socket.onerror = reject;
}));
const expires = (await ann.context.cookies()).find((one) => one.name.endsWith("access")).value;
await tabs[0].waitForFunction((token) => {
  const claims = JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
  return Date.now() > claims.exp * 1000 + 200;
}, expires);
const went = await Promise.all(tabs.map((tab, i) => tab.evaluate(
  async (url) => (await fetch(url)).status, `${gate}/tab/${i}`).catch((error) => error.message)));
assert.deepEqual(went.slice(0, 1), [200]);
await Promise.all(tabs.slice(1).map((tab, i) => tab.goto(`${gate}/tab/${i}`)));
for (const tab of tabs.slice(1)) assert.ok(tab.url().includes("/tab/"), tab.url());
assert.equal(await tabs[0].evaluate(() => window.endedBy), null, "the socket goes on");
await tabs[0].evaluate(() => new Promise((resolve) => {
  window.socket.onmessage = resolve;
  window.socket.send("still there?");
}));
await ann.page.goto(base + "/account");
await ann.page.click("text=Sign out");
await ann.page.waitForURL("**/signed-out");
await check(ann.page, "signed out");
await tabs[0].waitForFunction(() => window.endedBy !== null);
assert.equal(await tabs[0].evaluate(() => window.endedBy), 4401);
assert.deepEqual(await ann.context.cookies(), []);
await ann.context.close();
done("a session is renewed for all tabs, and ends with all that it opened");

// Without script everything works.
const plain = await someone({ javaScriptEnabled: false });
await signIn(plain.page, { name: "ann", password: "a good password" }, gate + "/plain");
assert.equal(plain.page.url(), gate + "/plain");
await plain.page.goto(base + "/account/password");
await plain.page.fill("#current", "a good password");
await plain.page.fill("#new", "another password");
await plain.page.click("main button[type=submit]");
await plain.page.waitForSelector("[role=status]");
await plain.page.click("text=Sign out");
await plain.page.waitForURL("**/signed-out");
await plain.context.close();
done("every page works without script");

// Five wrong passwords, and the wait in words.
const guesser = await someone();
for (let i = 0; i < 6; i++) {
  await guesser.page.goto(base + "/sign-in");
  await guesser.page.fill("#name", "ann");
  await guesser.page.fill("#password", "wrong");
  await guesser.page.click("main button[type=submit]");
  await guesser.page.waitForSelector("[role=alert]");
}
assert.match(await guesser.page.textContent("[role=alert]"), /Too many failed attempts.*Try again in \d+ seconds/s);
assert.equal(await guesser.page.inputValue("#name"), "ann");
await check(guesser.page, "locked out");
await guesser.context.close();
await page.goto(base + "/admin/lockouts");
await page.click("text=Clear");
await page.waitForSelector("[role=status]");
done("a lockout is told and cleared");

// Sizes, schemes, refusals.
for (const [name, [width, height]] of Object.entries(SIZES)) {
  await page.setViewportSize({ width, height });
  for (const below of ["/servers", "/account", "/admin/users", "/admin/refusals", "/keys/new"]) {
    await page.goto(base + below);
    await check(page, `${below} at ${width}`);
  }
  await page.goto(server);
  await page.screenshot({ path: `${pictures}/server-${name}.png` });
}
await page.emulateMedia({ colorScheme: "dark" });
for (const below of ["/servers", "/account", "/admin/refusals", "/keys/new", "/signed-out"]) {
  await page.goto(base + below);
  await check(page, `${below} in the dark`);
}
await page.emulateMedia({ colorScheme: "light" });
for (const [path, status] of [["/role", 403], ["/dead", 502], ["/.portcullis/console/nothing", 404]]) {
  const refused = await page.goto(gate + path);
  assert.equal(refused.status(), status, path);
  await check(page, path);
}
done("every page fits, in both schemes");

await browser.close();
assert.deepEqual(strange, []);
console.log("done");
