// What may happen to an envelope in a table, to whoever has no key.
import { decode, encode } from './jwe.js';

const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.';
const strange = ['=', '+', '/', ' ', '\n', '\t', '"', '\\', '%', '{', '\x7f', '\x01', 'é', '🦊', '\ufeff', '\u200b'];
const HEADER = 0;

const at = (random, text) => random.below(text.length + 1);
const splice = (text, from, length, by) => text.slice(0, from) + by + text.slice(from + length);
const inParts = (text, change) => {
  const parts = text.split('.');
  change(parts);
  return parts.join('.');
};
const part = (random) => random.pick([0, 2, 3, 4]);
const inBytes = (random, text, change) => inParts(text, (parts) => {
  const i = part(random);
  parts[i] = encode(change(decode(parts[i])));
});
const inHeader = (text, change) => inParts(text, (parts) => {
  const header = JSON.parse(decode(parts[HEADER]));
  parts[HEADER] = encode(JSON.stringify(change(header) ?? header));
});

// Each makes another text out of one.
export const ofTexts = [
  ['a character becomes another', (random, text) => splice(text, random.below(text.length), 1, random.pick(characters))],
  ['a character becomes a strange one', (random, text) => splice(text, random.below(text.length), 1, random.pick(strange))],
  ['a character more', (random, text) => splice(text, at(random, text), 0, random.pick(characters))],
  ['a strange character more', (random, text) => splice(text, at(random, text), 0, random.pick(strange))],
  ['some characters less', (random, text) => splice(text, random.below(text.length), random.pick([1, 1, 2, 3, 4, 16, 100]), '')],
  ['some characters twice', (random, text) => {
    const from = random.below(text.length);
    return splice(text, from, 0, text.slice(from, from + 1 + random.below(40)));
  }],
  ['two characters change places', (random, text) => {
    const from = random.below(text.length - 1);
    return splice(text, from, 2, text[from + 1] + text[from]);
  }],
  ['cut at its end', (random, text) => text.slice(0, random.below(text.length))],
  ['cut at its beginning', (random, text) => text.slice(1 + random.below(text.length - 1))],
  ['twice', (random, text) => text + random.pick(['', '.', '\n']) + text],
  ['in other letters', (random, text) => (random.chance(0.5) ? text.toUpperCase() : text.toLowerCase())],
];

// Each makes another text out of an envelope; others has those of the other rows.
export const mutations = [
  ...ofTexts,
  ['a part is empty', (random, text) => inParts(text, (parts) => (parts[part(random)] = ''))],
  ['a part is missing', (random, text) => inParts(text, (parts) => parts.splice(random.below(5), 1))],
  ['a part more', (random, text) => inParts(text, (parts) => parts.splice(random.below(6), 0, random.pick(['', 'AAAA', ...parts])))],
  ['two parts change places', (random, text) => inParts(text, (parts) => {
    const [i, j] = [part(random), part(random)];
    [parts[i], parts[j]] = [parts[j], parts[i]];
  })],
  ['a part is huge', (random, text) => inParts(text, (parts) => {
    parts[random.below(5)] += random.pick(['A', 'AAAA']).repeat(random.chance(0.02) ? 250_000 : 1000);
  })],
  ['a bit is turned', (random, text) => inBytes(random, text, (bytes) => {
    bytes[random.below(bytes.length)] ^= 1 << random.below(8);
    return bytes;
  })],
  ['some bytes are others', (random, text) => inBytes(random, text, (bytes) => {
    for (let n = 1 + random.below(16); n > 0; n--) bytes[random.below(bytes.length)] = random.below(256);
    return bytes;
  })],
  ['bytes more', (random, text) => inBytes(random, text, (bytes) => Buffer.concat([bytes, Buffer.alloc(random.pick([1, 15, 16, 32]), random.below(256))]))],
  ['bytes less', (random, text) => inBytes(random, text, (bytes) => bytes.subarray(0, Math.max(0, bytes.length - random.pick([1, 8, 15, 16, 32]))))],
  ['blocks change places', (random, text) => inParts(text, (parts) => {
    const bytes = decode(parts[3]);
    const block = () => random.below(bytes.length / 16) * 16;
    const [i, j] = [block(), block()];
    const first = Buffer.from(bytes.subarray(i, i + 16));
    bytes.copy(bytes, i, j, j + 16);
    first.copy(bytes, j);
    parts[3] = encode(bytes);
  })],
  ['the header has another member', (random, text) => inHeader(text, (header) => {
    header[random.pick(['alg', 'enc', 'kid', 'sub', 'known', 'environment', 'crit', 'zip', 'x'])] = random.pick([null, true, 1, '', 'none', [], {}]);
  })],
  ['the header has a member less', (random, text) => inHeader(text, (header) => {
    delete header[random.pick(Object.keys(header))];
  })],
  ['the header is written in another way', (random, text) => inParts(text, (parts) => {
    const header = decode(parts[HEADER]).toString();
    parts[HEADER] = encode(random.pick([header.replaceAll(',', ', '), header.replace('alg', '\\u0061lg'), ` ${header}`, `${header}\n`, header.slice(0, -1)]));
  })],
  ['the header of another row, and the rest', (random, text, others) => inParts(text, (parts) => (parts[HEADER] = random.pick(others).split('.')[HEADER]))],
  ['the rest of another row, and the header', (random, text, others) => [text.split('.')[HEADER], ...random.pick(others).split('.').slice(1)].join('.')],
  ['a part of another row', (random, text, others) => inParts(text, (parts) => {
    const i = part(random);
    parts[i] = random.pick(others).split('.')[i];
  })],
  ["another row's", (random, text, others) => random.pick(others)],
  ['made of what an envelope is made of', (random) => Array.from({ length: random.below(300) }, () => random.pick(characters)).join('')],
  ['nothing of an envelope', (random) => random.pick([
    '', '.', '....', '.....', 'e30....', 'e30.', '{}', 'null', '\n', '🦊', '.'.repeat(100_000), `${'A'.repeat(10_000)}....`,
  ])],
];
