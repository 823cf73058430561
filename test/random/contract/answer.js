// What was answered to a body.

// A line "path: message" for each; a path ends at the first ": " outside quotes.
function readDetail(detail) {
  return detail.split('\n').map((line) => {
    const [, path, message] = /^((?:"(?:[^"\\]|\\.)*"|[^":]|:(?! ))*): (.*)$/.exec(line) ?? [, line, ''];
    return [path, message];
  });
}

const sqlstates = { 200: '00000', 201: '00000', 400: '22023', 409: '23505' };

// What was answered, by whatever way, as {sqlstate, message, problems, summary}.
export function readAnswer(one, { sqlstate, said, detail, status, answer }) {
  const failed = { sqlstate, message: said, problems: [] };
  if (status !== null) {
    const { error, results } = answer;
    const problems = (error?.data ?? []).map(({ path, message }) => [path, message]);
    return { sqlstate: sqlstates[status] ?? `HTTP ${status}`, message: error?.message, problems, summary: results };
  }
  if (sqlstate === '22023' && said === 'invalid dbt source') return { ...failed, problems: readDetail(detail) };
  if (sqlstate !== '00000') return failed;
  if (one.call !== 'validate') return { ...failed, summary: answer };
  return { sqlstate: answer === null ? '00000' : '22023', problems: answer ?? [] };
}

// What is wrong with an answer by itself.
export function checkAnswer(contract, one, raw, { sqlstate, summary }) {
  const lines = [];
  if (raw.whole === false) lines.push('the connection is not stored as it was sent');
  if (one.overHttp && !(sqlstate === '00000' ? contract.isAnswer : contract.isError)(raw.answer)) lines.push('the answer is not that of the contract');
  if (sqlstate !== '00000' || one.call === 'validate') return lines;
  if (!one.overHttp && !contract.isAnswer({ status: 'ok', results: summary })) lines.push('the summary is not that of the contract');
  if (one.value.name !== undefined && summary.name !== one.value.name) lines.push('the summary has another name');
  if (one.connection !== undefined && summary.type !== one.value.dbtConnection.type) lines.push('the summary has another type');
  return lines;
}
