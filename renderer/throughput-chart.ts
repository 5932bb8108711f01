import { CategoryScale, Chart, Filler, LinearScale, LineController, LineElement, PointElement } from 'chart.js';
import type { StatusSnapshot } from '../proxy-core/admin/index.ts';
import { rate } from './format.ts';

Chart.register(CategoryScale, Filler, LinearScale, LineController, LineElement, PointElement);

type Throughput = StatusSnapshot['throughput'];
type LineChart = Chart<'line', number[], number>;

const SECONDS = 120;
const MIN_TOP = 64 * 1024;

/** A line of the last two minutes for each source; the function returned draws new figures. */
export function throughputChart(canvas: HTMLCanvasElement): (throughput: Throughput) => void {
  const chart: LineChart = new Chart(canvas, {
    type: 'line',
    data: {
      labels: Array.from({ length: SECONDS + 1 }, (_, index) => index - SECONDS),
      datasets: ['From cache', 'From S3'].map(label => ({
        label,
        data: [] as number[],
        pointRadius: 0,
        borderWidth: 2,
        fill: 'origin',
        spanGaps: false,
      })),
    },
    options: {
      animation: false,
      events: [],
      maintainAspectRatio: false,
      scales: {
        x: {
          grid: { display: false },
          ticks: { autoSkip: false, maxRotation: 0, callback: (_value, index) => ago(SECONDS - index) },
        },
        y: {
          min: 0,
          // The axis keeps its width, so that the lines don't shift when the unit changes.
          afterFit: scale => {
            scale.width = 84;
          },
          ticks: { callback: value => rate(Number(value)) },
        },
      },
    },
  });
  const paint = () => {
    colour(chart);
    chart.update();
  };
  paint();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);

  return ({ history, from_cache, from_s3 }) => {
    const [cache, s3] = chart.data.datasets;
    cache!.data = rightAligned(history.from_cache);
    s3!.data = rightAligned(history.from_s3);
    const top = niceTop(Math.max(...history.from_cache, ...history.from_s3, 0));
    chart.options.scales!.y!.max = top;
    Object.assign(chart.options.scales!.y!.ticks!, { stepSize: top / 4 });
    canvas.ariaLabel = `Throughput of the last two minutes. Now ${rate(from_cache)} from cache, ${rate(from_s3)} from S3.`;
    chart.update();
  };
}

/** The next power of two, so that a quarter of it is a round number of the binary unit, too. */
function niceTop(highest: number): number {
  return Math.max(MIN_TOP, 2 ** Math.ceil(Math.log2(Math.max(1, highest))));
}

function rightAligned(series: readonly number[]): number[] {
  const shown = series.slice(-(SECONDS + 1));
  return [...Array<number>(SECONDS + 1 - shown.length).fill(Number.NaN), ...shown];
}

function ago(seconds: number): string {
  if (seconds === 0) return 'now';
  return seconds % 60 === 0 ? `${seconds / 60} min ago` : '';
}

function colour(chart: LineChart): void {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim();
  for (const [index, name] of ['cache', 's3'].entries()) {
    const dataset = chart.data.datasets[index]!;
    dataset.borderColor = of(name);
    dataset.backgroundColor = `${of(name)}26`;
  }
  for (const axis of ['x', 'y']) {
    const { ticks, grid } = chart.options.scales![axis]!;
    ticks!.color = of('quiet');
    grid!.color = of('line');
  }
  chart.options.font = { family: style.fontFamily, size: 12 };
}
