// What should have been said about a case, and whether it was.
import { Facts } from './facts.js';
import { isWhole, leadsTo, readPath } from './paths.js';
import { crowded, MAX_PROBLEMS, rules, said, taken } from './rules.js';

// What the documented rules have to say about a case, whatever the contract has.
export function ruled(contract, one) {
  const facts = new Facts(contract, one);
  const found = { refused: [], allowed: [], instead: undefined, taken: taken.applies(one) };
  for (const rule of rules) {
    const must = [...(rule.refuses?.(facts) ?? [])].map((path) => ({ path, rule, must: true }));
    const keys = new Set(must.map(({ path }) => JSON.stringify(path)));
    const may = [...(rule.may?.(facts) ?? [])].map((path) => ({ path, rule, must: false })).filter(({ path }) => !keys.has(JSON.stringify(path)));
    found.refused.push(...must, ...may);
    found.allowed.push(...[...(rule.allows?.(facts) ?? [])].map((path) => ({ path, rule })));
    if (rule.instead && must.length > 0) found.instead = rule;
  }
  return found;
}

// what no message matches: a keyword that the contract didn't have
const nothing = /(?!)/;

// The problems that have to be reported, and those that may be; used gets the
// rules that made a difference.
function expected(errors, { refused, allowed, instead }, used) {
  const lifted = new Map(allowed.map(({ path, rule }) => [JSON.stringify(path), rule]));
  const problems = [];
  for (const [key, reasons] of errors) {
    if (lifted.has(key)) used?.add(lifted.get(key));
    else problems.push({ path: JSON.parse(key), must: true, says: [...reasons].map((reason) => said[reason] ?? nothing) });
  }
  for (const { path, rule, must } of refused) {
    if (must && !errors.has(JSON.stringify(path))) used?.add(rule);
    problems.push({ path, must, rule, says: [rule.message] });
  }
  const replaced = instead?.instead;
  return problems.filter(({ path, rule }) => !replaced || rule === instead || !replaced.every((name, i) => path[i] === name));
}

// What differs, in words; nothing if all is as expected.
export function differences(one, errors, found, result, used) {
  const problems = expected(errors, found, used);
  const must = problems.filter((problem) => problem.must);
  const listed = result.problems.filter(([path]) => path !== '...');
  const more = result.problems.length > listed.length ? Number(/^(\d+) more$/.exec(result.problems.at(-1)[1])?.[1]) : 0;
  const total = listed.length + more;
  const wrong = [];

  const left = new Set(problems);
  for (const [text, message] of listed) {
    let path;
    try {
      path = readPath(text);
    } catch (error) {
      wrong.push(`${text}: ${error.message}`);
      continue;
    }
    const fitting = [...left].filter((problem) => leadsTo(path, problem.path) && problem.says.some((says) => says.test(message)));
    const [problem] = fitting.sort((a, b) => isWhole(path, b.path) - isWhole(path, a.path) || b.must - a.must);
    if (problem) left.delete(problem);
    else wrong.push(`not expected: ${text}: ${message}`);
  }
  if (more > 0 ? listed.length !== MAX_PROBLEMS : listed.length > MAX_PROBLEMS) wrong.push(`${listed.length} are listed`);
  if (total < must.length || total > problems.length || Number.isNaN(total)) wrong.push(`${total} problems, and not ${must.length} to ${problems.length}`);
  if (more === 0) for (const { path, must, says } of left) if (must) wrong.push(`expected: ${JSON.stringify(path)} ${says.join(' or ')}`);
  if (more > 0) used?.add(crowded);

  const state = result.problems.length > 0 ? '22023' : found.taken ? taken.sqlstate : '00000';
  if (result.sqlstate !== state) wrong.push(`SQLSTATE ${result.sqlstate}, and not ${state}: ${result.message}`);
  if (state === taken.sqlstate) used?.add(taken);
  return wrong;
}
