// A person at a real browser who signs in at a company's identity provider, links their Trinity account with a code
// where that is asked, and allows the connection.
//
// Argument: one JSON object
//   executable   the Chromium to start
//   url          the authorization request
//   source       text of the button to choose, "" where the browser goes to the provider by itself
//   steps        what to do on the provider's pages: [{fill: {selector: value}, press: selector, optional}]
//   redirectUrl  where the client waits; nothing listens there
//   screenshots  folder for the pictures; prefix is the start of their names
//   stopAt       text of the page the walk ends at, in the place of the client; "" for none
//   visit        in the place of a connection, what to do on the page of the person's own: [{portray: name} | {open:
//                words of what is folded} | {press: accessible name of a button} | {at: selector at the provider} | {text}]
//   cookies      file that the browser's cookies are in between walks, "" for a browser without a past
//
// Standard output carries JSON lines. After {"event":"code_wanted","mailbox"} the code is read from standard input;
// the last line is {"event":"arrived","url"}, {"event":"visited"}, {"event":"stopped","text"} or {"event":"failed"}.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const { executable, url, source, steps, redirectUrl, screenshots, prefix, stopAt, cookies, visit } = JSON.parse(process.argv[2]);
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const own = new URL(url).origin;
let browser;
let page;

async function fail(error) {
  const shown = await page?.evaluate(() => `${location.href}: ${document.body.innerText}`).catch(() => undefined);
  say('failed', { error: String(error), shown });
  await browser?.close().catch(() => {});
  process.exit(1);
}

/** Takes pictures of one of the bridge's own pages: a phone in the dark, a desk in the light. */
async function portray(name) {
  for (const [size, width, height, colorScheme] of [['phone', 390, 844, 'dark'], ['desktop', 1280, 900, 'light']]) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: join(screenshots, `${prefix}-${name}-${size}-${colorScheme}.png`), fullPage: true, animations: 'disabled' });
  }
}

/** The same in every size and colour scheme, for a page that nobody else has pictures of; and that it fits the narrowest. */
async function portrayWhole(name) {
  for (const [size, width, height] of [['phone', 390, 844], ['desktop', 1280, 900]]) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(screenshots, `${prefix}-${name}-${size}-${colorScheme}.png`), fullPage: true, animations: 'disabled' });
    }
  }
  await page.setViewportSize({ width: 320, height: 640 });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (overflow > 0) throw new Error(`${name} is ${overflow} pixels too wide at a width of 320`);
}

/** Whoever uses a keyboard: goes to what is there by its role and name, and presses Enter. */
async function byKeyboard(target) {
  await target.focus();
  await page.keyboard.press('Enter');
}

async function visiting() {
  for (const { portray: name, open, press, at, text } of visit) {
    if (name) await portrayWhole(name);
    if (open) await byKeyboard(page.locator('summary', { hasText: open }));
    if (press) await byKeyboard(page.getByRole('button', { name: press }));
    if (at) await page.locator(at).first().click();
    if (text) await page.getByText(text).first().waitFor();
  }
}

async function atProvider() {
  for (const { fill = {}, press, optional } of steps) {
    if (optional) {
      // A page that only some runs show: the walk goes on without it when our own origin is back.
      const shown = await Promise.race([
        page.locator(press).first().waitFor({ timeout: 15_000 }).then(() => true, () => false),
        page.waitForURL((at) => at.origin === own, { timeout: 15_000 }).then(() => false, () => false),
      ]);
      if (!shown) continue;
    }
    for (const [selector, value] of Object.entries(fill)) await page.locator(selector).first().fill(value);
    await page.locator(press).first().click();
  }
}

async function main() {
  await mkdir(screenshots, { recursive: true });
  browser = await chromium.launch({
    executablePath: executable, headless: true, timeout: 30_000,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-sync'],
  });
  const context = await browser.newContext({ locale: 'en-US', ...(cookies && existsSync(cookies) ? { storageState: cookies } : {}) });
  context.setDefaultTimeout(30_000);
  page = await context.newPage();
  page.on('console', (message) => {
    // A refusal is a page with a status to match, which Chromium calls an error.
    if (new URL(page.url()).origin === own && message.type() === 'error' && !stopAt) say('console', { text: message.text() });
  });
  let arrived;
  const done = new Promise((resolve) => { arrived = resolve; });
  await context.route((at) => at.href.startsWith(redirectUrl), async (route) => {
    arrived(route.request().url());
    await route.fulfill({ contentType: 'text/plain', body: 'the client' });
  });

  await page.goto(url);
  if (visit) {
    await portrayWhole('door');
    await page.getByRole('link', { name: 'Sign in', exact: true }).click();
  }
  if (source) {
    await page.getByRole('link', { name: source }).waitFor();
    await portray('choose');
    await page.getByRole('link', { name: source }).click();
  }
  await atProvider();
  await page.waitForURL((at) => at.origin === own);
  if (stopAt) {
    await page.getByText(stopAt).waitFor();
    await portray('stopped');
    say('stopped', { text: await page.evaluate(() => document.body.innerText) });
    await browser.close();
    return;
  }
  if (visit) {
    await visiting();
    await browser.close();
    say('visited');
    return;
  }
  const way = page.locator('[name="way"][value="code"]');
  await Promise.race([way.waitFor(), page.locator('[name="decision"]').first().waitFor()]);
  if (await way.count()) {
    await portray('link');
    await way.click();
    await page.locator('[name="code"]').waitFor();
    await portray('code');
    say('code_wanted');
    await page.locator('[name="code"]').fill((await input.next()).value);
    await page.locator('form:has([name="code"]) button').first().click();
  }
  const allow = page.locator('[name="decision"][value="approve"]');
  await allow.waitFor();
  await portray('consent');
  await allow.click();
  const at = await done;
  if (cookies) await context.storageState({ path: cookies });
  await browser.close();
  say('arrived', { url: at });
}

main().then(() => process.exit(0), fail);
