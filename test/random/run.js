// What the random tests share: their arguments, the line that moves, and results
// in the words of TAP.
import { parseArgs } from 'node:util';

// --seed N, --count N, and those that a test has of its own.  The n-th case is
// drawn with the seed N + n, so that it can be had again alone.
export function readArguments(count, more = {}) {
  const { values } = parseArgs({ options: { seed: { type: 'string' }, count: { type: 'string' }, ...more } });
  const natural = (name, otherwise) => {
    if (values[name] === undefined) return otherwise;
    if (!/^\d{1,9}$/.test(values[name])) throw new Error(`--${name} is a number`);
    return Number(values[name]);
  };
  return {
    ...values,
    seed: natural('seed', Math.floor(Math.random() * 1e9)),
    count: natural('count', count),
    // what every case has to be seen for is asked of no fewer
    complete: natural('count', count) >= count,
  };
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
export function clip(text, length = 2000) {
  return text.length > length ? `${text.slice(0, length)}... (${text.length} characters)` : text;
}
