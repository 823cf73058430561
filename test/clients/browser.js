// Two tabs of a browser edit one source, from an origin that is allowed, and one
// from another that isn't.  Arguments: the port that the page is served from, URL of
// the source, token.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';

const [port, source, token] = process.argv.slice(2);
const page = readFileSync(new URL('page.html', import.meta.url));
const server = createServer((req, res) => res.writeHead(200, { 'Content-Type': 'text/html' }).end(page)).listen(port, '127.0.0.1');
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] });

async function open(host) {
  const tab = await browser.newPage();
  await tab.goto(`http://${host}:${port}/#${encodeURIComponent(`${source} ${token}`)}`);
  return tab;
}
const says = (tab, text) => tab.locator('output', { hasText: text }).waitFor({ timeout: 20000 });
async function save(tab, name) {
  await tab.locator('input').fill(name);
  await tab.locator('button').click();
}

const [first, second] = [await open('127.0.0.1'), await open('127.0.0.1')];
await says(first, '200 "1"');
await says(second, '200 "1"');
await save(first, 'from the first tab');
await says(first, '200 "2"');
await save(second, 'from the second tab');
await says(second, '412 PreconditionFailedError');
await second.reload();
await says(second, '200 "2"');
assert.equal(await second.locator('input').inputValue(), 'from the first tab');
await save(second, 'from the second tab');
await says(second, '200 "3"');

const stranger = await open('localhost');
await says(stranger, 'TypeError');
await save(stranger, 'from elsewhere');
await says(stranger, 'TypeError');

await browser.close();
server.close();
console.log('edited');
