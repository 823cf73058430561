// The paths of problems, as they are shown.

const name = String.raw`(?:"((?:[^"\\]|\\.)*)"|([A-Za-z0-9_-]+))(\.\.\.)?`;
const first = new RegExp(String.raw`^(?:${name}|\[(\d+)\])`);
const next = new RegExp(String.raw`^(?:\.${name}|\[(\d+)\])`);

// A path taken apart: names and indexes, each with whether it is clipped; and
// whether the path itself is.
export function readPath(text) {
  const steps = [];
  let rest = text === 'body' ? '' : text;
  while (rest !== '' && rest !== '...') {
    const match = (steps.length === 0 ? first : next).exec(rest);
    if (!match) throw new Error('is no path');
    const [all, quoted, plain, clipped, index] = match;
    steps.push({ name: index === undefined ? plain ?? JSON.parse(`"${quoted}"`) : Number(index), clipped: clipped !== undefined });
    rest = rest.slice(all.length);
  }
  return { steps, clipped: rest === '...' || steps.at(-1)?.clipped === true };
}

export function leadsTo({ steps, clipped }, path) {
  return (
    (clipped ? steps.length <= path.length : steps.length === path.length) &&
    steps.every(({ name, clipped }, i) => (clipped ? String(path[i]).startsWith(name) : path[i] === name))
  );
}

// Of the paths that one with its end clipped leads to: whether it has the whole name.
export const isWhole = ({ steps }, path) => path[steps.length - 1] === steps.at(-1)?.name;
