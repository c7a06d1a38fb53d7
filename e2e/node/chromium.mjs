// A person at a real browser: signs in with an e-mail code and decides on the consent page.
//
// Argument: one JSON object
//   executable   the Chromium to start
//   url          the authorization request
//   email        who signs in
//   decision     "approve" or "deny"
//   redirectUrl  where the client waits; the walk ends there
//   screenshots  folder for the pictures; prefix is the start of their names, "" for no pictures
//
// Standard output carries JSON lines, the last of them {"event":"done"} or {"event":"failed"}. After
// {"event":"code_wanted"} the code is read as one line from standard input.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const { executable, url, email, decision, redirectUrl, screenshots, prefix } = JSON.parse(process.argv[2]);
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const deadline = setTimeout(() => fail(new Error('the walk did not finish within 2 minutes')), 120_000);

const sizes = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 900 } };
/** The width in CSS pixels at which text must reflow without a second scroll bar (WCAG 2.2, 1.4.10). */
const narrowest = { width: 320, height: 640 };

let browser;
let page;

async function fail(error) {
  setTimeout(() => process.exit(1), 10_000).unref();
  const shown = await page?.evaluate(() => `${location.pathname}: ${document.body.innerText}`).catch(() => undefined);
  say('failed', { error: String(error), shown, stack: error?.stack });
  const closing = browser?.close() ?? Promise.resolve();
  closing.catch(() => {}).finally(() => process.exit(1));
}

/** Shows the page in each size and colour scheme, takes pictures, and tells what can be read off it. */
async function portray(name) {
  const background = {};
  for (const [size, viewport] of Object.entries(sizes)) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      background[colorScheme] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      if (prefix) {
        // Without animations, or the picture shows the colours half way from one scheme to the other.
        const path = join(screenshots, `${prefix}-${name}-${size}-${colorScheme}.png`);
        await page.screenshot({ path, fullPage: true, animations: 'disabled' });
      }
    }
  }
  await page.setViewportSize(narrowest);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  await page.setViewportSize(sizes.desktop);
  const read = await page.evaluate(() => ({
    title: document.title,
    lang: document.documentElement.lang,
    text: document.body.innerText,
    unlabelled: [...document.querySelectorAll('input:not([type=hidden])')]
      .filter((field) => !field.labels?.length && !field.getAttribute('aria-label') && !field.getAttribute('aria-labelledby'))
      .map((field) => field.name),
  }));
  say('page', { name, overflow, background, ...read, html: await page.content() });
}

/** Presses what submits the form that holds the field. */
const submit = (field) =>
  page.locator(`form:has([name="${field}"])`).locator('button:not([type="button"]), input[type="submit"]').first().click();

async function main() {
  await mkdir(screenshots, { recursive: true });
  browser = await chromium.launch({
    executablePath: executable,
    headless: true,
    timeout: 30_000,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  const context = await browser.newContext({ viewport: sizes.desktop, locale: 'en-US' });
  context.setDefaultTimeout(20_000);
  page = await context.newPage();

  // What a security review would ask: where requests go, and what the content policy refused.
  page.on('response', (response) => {
    const request = response.request();
    const at = new URL(response.url());
    say('response', {
      method: request.method(),
      origin: at.origin,
      path: at.pathname,
      status: response.status(),
      document: request.isNavigationRequest(),
    });
  });
  page.on('requestfailed', (request) => say('request_failed', { url: request.url(), why: request.failure()?.errorText }));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') say('console', { type: message.type(), text: message.text() });
  });
  page.on('pageerror', (error) => say('console', { type: 'exception', text: String(error) }));

  await page.goto(url);
  await page.locator('[name="email"]').waitFor();
  await portray('sign-in');
  await page.locator('[name="email"]').fill(email);
  await submit('email');

  await page.locator('[name="code"]').waitFor();
  await portray('code');
  say('code_wanted', { email });
  const { value: code } = await input.next();
  await page.locator('[name="code"]').fill(code);
  await submit('code');

  const button = page.locator(`[name="decision"][value="${decision}"]`);
  await button.waitFor();
  await portray('consent');
  // A cookie that scripts can read would be a cookie that scripts can steal.
  const cookies = await context.cookies();
  say('cookies', { cookies: cookies.map(({ value, ...rest }) => rest) });
  await button.click();

  await page.waitForURL((at) => at.href.startsWith(redirectUrl));
  say('arrived', { path: new URL(page.url()).pathname });
  await browser.close();
  say('done');
}

main().then(() => {
  clearTimeout(deadline);
  process.exit(0);
}, fail);
