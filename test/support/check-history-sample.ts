/** The sample of docs/testing.md. */
import { checkHistory, createFakeClock, createHistoryRecorder, describeFindings } from 'sluice/testing';

const recorder = createHistoryRecorder(createFakeClock());

// Around each call: what it is, and what came of it.
const put = recorder.begin({ type: 'put', process: 'writer', key: 'a', value: 'x' });
put.ok({ revision: 1 });
const late = recorder.begin({ type: 'put', process: 'writer', key: 'a', value: 'y' });
late.unknown();
const read = recorder.begin({ type: 'read', process: 'reader', key: 'a', consistency: 'latest' });
read.ok({ value: 'y', revision: 2 });
console.log(describeFindings(checkHistory(recorder.history())) || 'holds');

// Another reader sees what was replaced.
const old = recorder.begin({ type: 'read', process: 'other', key: 'a', consistency: 'latest' });
old.ok({ value: 'x', revision: 1 });
console.log(describeFindings(checkHistory(recorder.history())));
