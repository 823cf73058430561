// Envelopes that only who has the keys can make: the tag is right, and something
// else isn't, or is written in another way.
import { encode, encrypt, seal } from './jwe.js';
import { MARK } from './rows.js';

const MAX_HEADER = 4096;

const names = ['alg', 'enc', 'kid', 'sub'];
const quote = JSON.stringify;
const header = (members) => `{${members.map(([name, value]) => `${quote(name)}:${value}`).join(',')}}`;
const shuffled = (random, list) => list.map((one) => [random.next(), one]).sort(([a], [b]) => a - b).map(([, one]) => one);
const escaped = (text) => [...text].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');

const inOtherLetters = (text) => [text.toUpperCase(), text.toLowerCase(), `x${text}`].find((other) => other !== text);

// what isn't the value of a member, if that is a string; as JSON
function wrongValue(random, value) {
  const text = JSON.parse(value);
  return random.pick([
    'null', 'true', '1', '[]', '{}', '""', `[${value}]`, `{${value}:${value}}`, quote(` ${text}`), quote(`${text} `), quote(text.slice(1)), quote(`${text}${text}`),
    quote(inOtherLetters(text)), quote(MARK), quote('none'), quote('A256GCM'), quote('../../dev/null'),
    quote('x'.repeat(2000)),
  ]);
}
const wrongMembers = (random, members, name) => members.map(([member, value]) => [member, member === name ? wrongValue(random, value) : value]);
const without = (members, name) => members.filter(([member]) => member !== name);
// the header with another value of one member, as JSON
const withOther = (row, name, value) => header(row.members.map(([member, was]) => [member, member === name ? value : was]));

// The header with so many bytes of blanks in it that it has that length, encoded.
function ofLength(text, length) {
  const bytes = Math.floor((length * 3) / 4);
  return text.slice(0, -1) + ' '.repeat(Math.max(0, bytes - text.length)) + text.slice(-1);
}

const nested = (levels, random) => {
  const [open, close] = random.pick([['[', ']'], ['{"x":', '}']]);
  return open.repeat(levels) + random.pick(['[]', '7', quote(MARK)]) + close.repeat(levels);
};

// Each gives, for a row { key, kid, members, plaintext, ... }, what is put there:
// the header, the plaintext or the whole envelope.  same says that it is as good
// as what was there; either that this, or an error, will do.
const same = 'same';
const either = 'either';
const refused = 'refused';

export const forgeries = [
  // headers
  [same, 'as it was', (row) => ({ header: header(row.members) })],
  [same, 'members in another order', (row, random) => ({ header: header(shuffled(random, row.members)) })],
  [same, 'blanks in the header', (row, random) => ({
    header: header(row.members).replace(/(?<=[{,])(?=")|(?=[,}])/g, () => random.pick(['', ' ', '\n\t'])),
  })],
  [same, 'members that nobody knows', (row, random) => ({
    header: header(shuffled(random, [...row.members, ['x', quote(MARK)], ['typ', '"JOSE"'], ['cty', 'null'], ['apu', '[1,{}]'], ['', '0'], ['p2c', '1e308']])),
  })],
  [same, 'escapes in the header', (row, random) => {
    const name = random.pick(names);
    return { header: header(row.members).replace(`"${name}":"`, `"${escaped(name)}":"`).replace('"dir"', `"${escaped('dir')}"`) };
  }],
  [same, 'a member twice, the last one right', (row, random) => ({
    header: header([...wrongMembers(random, row.members, random.pick(names)), ...row.members]),
  })],
  [same, 'without what the connection lacks', (row) => ({ header: header(row.members.filter(([name]) => names.includes(name))) })],
  [same, 'what the connection lacks, of another kind', (row, random) => ({
    lies: true,
    header: header([
      ...row.members.filter(([name]) => names.includes(name)),
      ['known', random.pick(['1', '"true"', 'null', 'true'])],
      ['environment', random.pick(['0', '[]', 'false'])],
    ]),
  })],
  [same, 'a header as long as may be', (row) => ({ header: ofLength(header(row.members), MAX_HEADER) })],
  [either, 'a deep header', (row, random) => ({ header: header([...row.members, ['x', nested(random.pick([100, 400, 1000]), random)]]) })],
  [refused, 'a header that is too long', (row, random) => ({ header: ofLength(header(row.members), MAX_HEADER + 2 + random.below(100)) })],
  [refused, 'a header of a megabyte', (row, random) => ({
    header: random.pick([
      () => ofLength(header(row.members), 1_000_000),
      () => header([['x', quote('x'.repeat(750_000))], ...row.members]),
      () => header([['x', nested(300_000, random)], ...row.members]),
    ])(),
  }), 0.02],
  [refused, 'a member twice, the last one wrong', (row, random) => ({
    header: header([...row.members, ...wrongMembers(random, row.members, random.pick(names))]),
  })],
  ...names.flatMap((name) => [
    [refused, `another ${name}`, (row, random) => ({ header: header(wrongMembers(random, row.members, name)) })],
    [refused, `a ${name} with a NUL behind it`, (row) => ({
      header: withOther(row, name, quote(`${JSON.parse(row.members.find(([member]) => member === name)[1])}\0`)),
    })],
    [refused, `no ${name}`, (row, random) => ({ header: header(shuffled(random, without(row.members, name))) })],
    [refused, `${name} in other letters`, (row) => ({
      header: header(row.members.map(([member, value]) => [member === name ? name.toUpperCase() : member, value])),
    })],
  ]),
  [refused, 'a critical or compressed one', (row, random) => ({
    header: header(shuffled(random, [
      ...row.members,
      [random.pick(['crit', 'zip']), random.pick(['[]', '["exp"]', '["kid"]', 'null', '"DEF"', '""', 'false'])],
    ])),
  })],
  [refused, 'a header that is no object', (row, random) => ({
    header: random.pick(['', '[]', `[${header(row.members)}]`, quote(header(row.members)), 'null', 'true', '7', '"dir"', quote(MARK)]),
  })],
  [refused, 'a header that is not JSON', (row, random) => {
    const text = header(row.members);
    return {
      header: random.pick([
        text.slice(0, -1), `${text}}`, `${text}${text}`, text.replace(',', ',,'), text.replaceAll('"', "'"), `\ufeff${text}`, `${text}\0`,
        ...['1e999999', '"\\u0000"', '"\\ud800"', '01', '"'].map((value) => text.replace('}', `,"x":${value}}`)),
        Buffer.concat([Buffer.from(text.slice(0, -1)), Buffer.from(',"x":"\xff"}', 'latin1')]),
      ]),
    };
  }],
  // rows
  [refused, 'for another row', (row) => ({ header: withOther(row, 'sub', quote(row.other.subject)) })],
  [refused, 'for another row of the same project or source', (row) => {
    const [[project, source], [otherProject, otherSource]] = [row.subject.split('/'), row.other.subject.split('/')];
    const subject = project === otherProject ? `${project}/${otherSource}` : `${otherProject}/${source}`;
    return { header: withOther(row, 'sub', quote(subject)) };
  }],
  // keys
  [same, 'with the other key', (row) => ({ key: row.otherKey, header: withOther(row, 'kid', quote(row.otherKid)) })],
  [refused, 'with the other key, by the name of this one', (row) => ({ key: row.otherKey, header: header(row.members) })],
  [refused, 'with this key, by the name of the other one', (row) => ({ header: withOther(row, 'kid', quote(row.otherKid)) })],
  [refused, 'with a key that is not in the keyring', (row, random) => ({ key: { mac: random.bytes(32), enc: random.bytes(32) }, header: header(row.members) })],
  [refused, 'with one half of the key', (row, random) => ({ key: { mac: row.key.mac, enc: random.bytes(32) }, header: header(row.members) })],
  [refused, 'with the halves of the key in the other order', (row) => ({ key: { mac: row.key.enc, enc: row.key.mac }, header: header(row.members) })],
  // parts
  [refused, 'with an encrypted key', (row, random) => ({ change: (parts) => (parts[1] = random.pick(['AA', parts[4], '=', ' '])) })],
  [refused, 'a part more or less', (row, random) => ({ change: (parts) => random.pick([() => parts.pop(), () => parts.push(''), () => parts.splice(1, 1)])() })],
  [refused, 'a tag of another length', (row, random) => ({
    change: (parts) => (parts[4] = random.pick([parts[4].slice(0, 22), parts[4].slice(0, 40), `${parts[4]}AAAA`, ''])),
  })],
  [refused, 'an IV of another length', (row, random) => {
    const iv = random.bytes(16);
    const other = random.pick([Buffer.alloc(0), iv.subarray(0, 15), Buffer.concat([iv, iv]), Buffer.concat([iv, Buffer.alloc(1)])]);
    return { iv: other, ciphertext: encrypt(row.key, iv, row.plaintext) };
  }],
  [refused, 'a ciphertext that is not of blocks', (row, random) => ({
    ciphertext: random.pick([Buffer.alloc(0), random.bytes(1), random.bytes(15), random.bytes(17), random.bytes(1000)]),
  })],
  [refused, 'a ciphertext of anything', (row, random) => ({ ciphertext: random.bytes(16 * (1 + random.below(20))) })],
  [refused, 'a wrong padding', (row, random) => {
    const iv = random.bytes(16);
    const text = Buffer.from(row.plaintext);
    const whole = Buffer.concat([text, Buffer.alloc(16 - (text.length % 16), random.pick([0, 17, 32, 255]))]);
    return { iv, ciphertext: encrypt(row.key, iv, whole, false) };
  }],
  [refused, 'base64url that is not canonical', (row, random) => ({
    change: (parts) => {
      const i = random.pick([0, 2, 3, 4]);
      parts[i] = random.pick([`${parts[i]}=`, `${parts[i]}==`, `${parts[i]}\n`, ` ${parts[i]}`, `${parts[i]}*`, withSpare(parts[i])]);
    },
  })],
  // plaintexts
  [same, 'a connection in another way', (row, random) => ({
    plaintext: random.pick([
      ` ${row.plaintext}\n`, JSON.stringify(JSON.parse(row.plaintext), null, 1), row.plaintext.replace('"type"', '"\\u0074ype"'),
      `{"type":"svn",${row.plaintext.slice(1)}`,
    ]),
  })],
  [same, 'another connection', (row, random) => ({
    other: true,
    plaintext: random.pick([
      '{"type": "manifest", "manifest": "{}", "hideRefreshButton": true}',
      `{"type": "gitlab", "personal_access_token": "${MARK}-forged", "repository": "r", "branch": "b", "project_sub_path": "/"}`,
      '{"type": "none"}', '{"type": "none", "x": 1e999}', `{"type": "dbt", "x": [1, {"y": "${MARK}"}]}`,
    ]),
  })],
  [same, 'a connection that would be refused today', (row, random) => ({
    other: true,
    plaintext: random.pick([
      '{"type": "github"}', '{"type": "github", "branch": 7, "repository": null, "project_sub_path": {}}',
      `{"type": "gitlab", "personal_access_token": ["${MARK}"]}`, `{"type": "dbt_cloud_ide", "tags": "x", "api_key": {"${MARK}": 1}}`,
      '{"type": "manifest", "hideRefreshButton": "yes"}', '{"type": "dbt", "environment": 7}', '{"type": "dbt", "environment": {"key": "A"}}',
      `{"type": "dbt", "environment": [7, null, [], {}, {"key": 1}, {"key": "A"}, {"value": "${MARK}"}]}`,
      `{"type": "dbt", "environment": [{"key": "DBT_ENV_SECRET_A", "value": ["${MARK}"]}]}`,
    ]),
  })],
  [same, 'a large connection', (row) => ({ other: true, plaintext: `{"type": "none", "x": "${MARK.repeat(200_000)}"}` }), 0.02],
  [either, 'a deep connection', (row, random) => ({
    other: true, plaintext: `{"type": "none", "x": ${nested(random.pick([998, 999, 1000, 1001, 3000]), random)}}`,
  }), 0.2],
  [either, 'a connection that is deeper than the stack', (row, random) => ({
    other: true, plaintext: `{"type": "none", "x": ${nested(random.pick([20_000, 200_000]), random)}}`,
  }), 0.05],
  [refused, 'no connection', (row, random) => ({
    plaintext: random.pick([
      '', ' ', 'null', '7', '[]', quote(row.plaintext), `[${row.plaintext}]`, '{}', '{"type": null}', '{"type": ["dbt"]}', '{"type": "svn"}',
      '{"type": ""}', '{"Type": "dbt"}', '{"type": "DBT"}', `{"type": "${MARK}"}`, '{"type": "dbt", "type": "svn"}', MARK,
    ]),
  })],
  [refused, 'a plaintext that is not JSON', (row, random) => ({
    plaintext: random.pick([
      row.plaintext.slice(0, -1), row.plaintext + row.plaintext, `${row.plaintext}x`, `\ufeff${row.plaintext}`, `${row.plaintext}\0`, random.bytes(100),
      ...[`"\\u0000${MARK}"`, `"\\ud800${MARK}"`, '1e999999', MARK].map((value) => `{"type": "none", "x": ${value}}`),
      Buffer.from(`{"type": "none", "x": "${MARK}\xff"}`, 'latin1'),
    ]),
  })],
].map(([expect, name, forge, weight = 1]) => ({ expect, name, forge, weight }));

// The same bytes, with a bit set that none of them has.
function withSpare(text) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return text.length % 4 === 0 ? `${text}A` : text.slice(0, -1) + letters[letters.indexOf(text.at(-1)) | 1];
}

// What is put into a row instead of what it has: { envelope, plaintext, ... }.
export function forge(forgery, row, random) {
  const { key = row.key, header: of = header(row.members), plaintext = row.plaintext, iv = random.bytes(16), change, ...made } = forgery.forge(row, random);
  const parts = seal(key, of, plaintext, { iv, ...made }).split('.');
  change?.(parts);
  return { ...made, envelope: parts.join('.'), plaintext };
}
