// JSON whose numbers are kept as they are written: a double holds few of them.
export class Numeral {
  constructor(text) {
    this.text = text;
  }
}

export const isObject = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Numeral);

// Each member and element below a value, with its path; deep ones don't recurse.
export function* walk(value, path = []) {
  const rest = [[value, path]];
  while (rest.length > 0) {
    const [at, to] = rest.pop();
    yield [at, to];
    if (Array.isArray(at)) at.forEach((element, i) => rest.push([element, [...to, i]]));
    else if (isObject(at)) for (const name of Object.keys(at)) rest.push([at[name], [...to, name]]);
  }
}

// How many levels of objects and arrays there are.
export function depth(value) {
  let levels = 0;
  let inside = [value];
  for (;;) {
    inside = inside.filter((at) => Array.isArray(at) || isObject(at));
    if (inside.length === 0) return levels;
    levels++;
    inside = inside.flatMap((at) => Object.values(at));
  }
}

// The text of a value.  twice(name) says whether a member is written a second
// time, before, as something else: the last one counts.
export function write(value, twice = () => false) {
  const text = (at) => {
    if (at instanceof Numeral) return at.text;
    if (Array.isArray(at)) return `[${at.map(text).join(',')}]`;
    if (!isObject(at)) return JSON.stringify(at);
    return `{${Object.keys(at).map((name) => {
      const key = JSON.stringify(name);
      return `${twice(name) ? `${key}: "first", ` : ''}${key}: ${text(at[name])}`;
    }).join(', ')}}`;
  };
  return text(value);
}
