import { shellLines } from './shell-lines.ts';
import { throughputChart } from './throughput-chart.ts';
import { connect } from './transport.ts';
import { byId, show, text } from './view.ts';

const drawThroughput = throughputChart(byId('throughput') as HTMLCanvasElement);
const copyButton = byId('copy') as HTMLButtonElement;
let lines = '';

connect(status => {
  show(status);
  const { snapshot } = status;
  copyButton.disabled = snapshot === null;
  if (snapshot === null) return;
  drawThroughput(snapshot.throughput);
  lines = shellLines(snapshot.addresses.proxy);
  text('shell-lines', lines);
  byId('empty').hidden = snapshot.counters.requests > 0;
});

copyButton.addEventListener('click', async () => {
  const label = 'Copy shell lines';
  copyButton.textContent = await navigator.clipboard.writeText(`${lines}\n`).then(
    () => 'Copied',
    () => 'Could not copy',
  );
  setTimeout(() => {
    copyButton.textContent = label;
  }, 2000);
});
