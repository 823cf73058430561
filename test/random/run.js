// What the random tests share: their arguments, the line that moves, and results
// in the words of TAP.
import { parseArgs } from 'node:util';
import { Random } from './random.js';

export function fail(message) {
  console.error(message);
  process.exit(2);
}

// --seed N, --count N, and those that a test has of its own.  The n-th case is
// drawn with the seed N + n, so that it can be had again alone.
export function readArguments(count, more = {}) {
  let values;
  try {
    ({ values } = parseArgs({ options: { seed: { type: 'string' }, count: { type: 'string' }, ...more } }));
  } catch ({ message }) {
    fail(message);
  }
  const natural = (name, otherwise) => {
    if (values[name] !== undefined && !/^\d{1,9}$/.test(values[name])) fail(`--${name} is a number`);
    return Number(values[name] ?? otherwise);
  };
  return {
    ...values,
    seed: natural('seed', Math.floor(Math.random() * 1e9)),
    count: natural('count', count),
    // what every case has to be seen for is asked of no fewer
    complete: natural('count', count) >= count,
  };
}

// Draws a case for each seed; asks gives the answers to some of them, and judge gets
// each with its own.  The server has the next ones while we look at what it said.
export async function inBatches({ seed, count, size }, draw, ask, judge, line) {
  const begin = (from) => {
    const seeds = Array.from({ length: Math.min(size, count - from) }, (_, i) => seed + from + i);
    const cases = seeds.map((one) => draw(new Random(one)));
    return { seeds, cases, answers: ask(cases) };
  };
  let next = begin(0);
  for (let from = 0; from < count; from += size) {
    const { seeds, cases, answers } = next;
    const all = await answers.catch((error) => {
      result(false, 'the server answers', [error.message, `with one of --seed ${seeds[0]} --count ${seeds.length}`]);
      finish();
      process.exit();
    });
    if (from + size < count) next = begin(from + size);
    cases.forEach((one, i) => judge(one, all[i], seeds[i]));
    progress(line(from + cases.length));
  }
}

let number = 0;
let failures = 0;

export function result(ok, name, lines = []) {
  progress('');
  number++;
  if (!ok) failures++;
  console.log(`${ok ? 'ok' : 'not ok'} ${number} - ${name}`);
  if (!ok) for (const line of lines) console.log(`# ${line}`);
}

const MAX_SHOWN = 10;
let showing = 0;

// What is wrong with a case, and what to call to have that alone; the first ones.
export function show(again, lines) {
  if (++showing > MAX_SHOWN) return;
  progress('');
  console.log(`# ${again}`);
  for (const line of lines) console.log(`#   ${clip(line).replaceAll('\n', '\n#   ')}`);
}

// Ends with the plan; the status is 0 if all is well.
export function finish() {
  progress('');
  console.log(`1..${number}`);
  process.exitCode = failures === 0 ? 0 : 1;
}

let shown = Date.now();

// How far it is: on a terminal a line that moves, in a log one now and then.
export function progress(line) {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${line}`);
  else if (line !== '' && Date.now() - shown > 10_000) {
    shown = Date.now();
    console.log(`# ${line}`);
  }
}

// No more of a text than helps.
function clip(text, length = 2000) {
  return text.length > length ? `${text.slice(0, length)}... (${text.length} characters)` : text;
}
