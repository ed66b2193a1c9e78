// A person who works in JupyterLab behind the sign-in, for longer than an access token lives.
// Prints one line for each thing that was done; the first that does not go as it should ends
// with 1. Argument: the gateway's URL.
import { createRequire } from "node:module";
import assert from "node:assert/strict";

const modules = createRequire(process.env.MODULES + "/");
const { chromium } = modules("playwright-core");
const [gate] = process.argv.slice(2);
const ACCESS = "__Host-portcullis-access";
const RENEWALS = 2;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
const context = await browser.newContext({
  ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 },
});
context.setDefaultTimeout(60000);
const page = await context.newPage();
const refused = [];
page.on("response", (response) => {
  if (response.status() === 401) refused.push(response.url());
});
const open = new Set();
const closed = [];
page.on("websocket", (socket) => {
  open.add(socket.url());
  socket.on("close", () => {
    open.delete(socket.url());
    closed.push(socket.url());
  });
});
page.on("dialog", (dialog) => dialog.accept());
const done = (what) => console.log(what);
const access = async () => (await context.cookies()).find((one) => one.name === ACCESS)?.value;

const notebook = gate + "/lab/tree/first.ipynb";
await page.goto(notebook);
assert.match(page.url(), /sign-in\?return_to=/);
await page.fill("#name", "ann");
await page.fill("#password", "a good password");
await page.click("main button[type=submit]");
await page.waitForSelector(".jp-Notebook .jp-CodeCell");
assert.equal(page.url(), notebook);
done("JupyterLab opens behind the sign-in");

// Its kernel is asked over a WebSocket.
await page.locator("#jp-main-statusbar", { hasText: "| Idle" }).waitFor();
const cells = page.locator(".jp-Notebook .jp-CodeCell");
async function run(cell, shown) {
  await cells.nth(cell).locator(".cm-content").click();
  await page.keyboard.press("Shift+Enter");
  await page.locator(".jp-OutputArea-output", { hasText: shown }).waitFor();
}
await run(0, "first 42");
const kernel = [...open].find((url) => url.includes("/channels"));
assert.ok(kernel, [...open].join(" "));
done("a kernel answers");

// Its life is seconds here. Lab asks for this and that by itself, and each token that has
// expired is renewed with the request at hand.
const tokens = new Set([await access()]);
while (tokens.size <= RENEWALS) {
  await page.waitForResponse((response) => response.url().startsWith(gate + "/api/"));
  tokens.add(await access());
}
assert.deepEqual(closed, [], "no socket was closed");
assert.ok(open.has(kernel));
await run(1, "later 43");
assert.deepEqual(refused, []);
done("work goes on past the life of the first access token");

const saved = page.waitForResponse((response) => response.request().method() === "PUT"
  && response.url().includes("/api/contents/"));
await page.keyboard.press("Control+s");
assert.equal((await saved).status(), 200);
done("a notebook is saved");

// Whoever runs this ends the session then.
done("waits for the session's end");
while (open.has(kernel)) await page.waitForTimeout(50);
await page.goto(notebook);
await page.waitForSelector("#password");
assert.match(page.url(), /sign-in\?return_to=/);
done("an ended session closes the kernel's socket, and leads to the sign-in");
await browser.close();
