import { copyButton } from './copy-button.ts';
import { throughputChart } from './throughput-chart.ts';
import { connect } from './transport.ts';
import { byId, show } from './view.ts';

const drawThroughput = throughputChart(byId('throughput') as HTMLCanvasElement);
let shellLines = '';
copyButton(byId('copy'), () => shellLines);

connect(status => {
  show(status);
  shellLines = status.shell_lines.map(line => `${line}\n`).join('');
  if (status.snapshot !== null) drawThroughput(status.snapshot.throughput);
});
