// Reads vitest's JSON report: names what failed or was skipped, and ends with "N passed, N failed" alone on a line.
import { existsSync, readFileSync } from 'node:fs';

const [report, exitCode] = process.argv.slice(2);
if (!existsSync(report)) {
  console.log('There is no test report: the tests did not run to their end.');
  console.log('0 passed, 1 failed');
  process.exit(1);
}
// Tests of data that is not the project's to hold: they skip where it is absent, and say so.
const MAY_BE_LEFT_OUT = /cloudPhysicsIO\.oracleGeneral\.bin/;

const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
const counts = { passed: 0, failed: 0 };
const leftOut = [];
for (const file of testResults) {
  // A file that could not be loaded, or whose set-up failed, has no failed test of its own.
  const broken = file.status === 'failed' && !file.assertionResults.some(test => test.status === 'failed');
  if (broken) note('failed', file.name, file.message);
  for (const test of file.assertionResults) {
    if (test.status === 'passed') counts.passed++;
    else if (isSkipped(test) && MAY_BE_LEFT_OUT.test(test.fullName)) leftOut.push(test.fullName);
    else note(test.status, test.fullName, test.failureMessages?.[0]);
  }
}
// Something outside any test, such as an unhandled rejection.
if (exitCode !== '0' && counts.failed === 0)
  note('failed', 'vitest', `It ended with exit code ${exitCode}; see above.`);
if (leftOut.length > 0) console.log(`${leftOut.length} left out, the last of them: ${leftOut.at(-1)}`);
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed === 0 ? 0 : 1);

function isSkipped({ status }) {
  return status === 'skipped' || status === 'pending';
}

/** What is neither passed nor failed was skipped, and nothing else may be skipped here. */
function note(status, name, message) {
  counts.failed++;
  console.log(`✗ ${name} (${status})${message ? `\n    ${message.split('\n').slice(0, 4).join('\n    ')}` : ''}`);
}
