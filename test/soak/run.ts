import { parseArgs } from 'node:util';
import { canMount } from '../tools/look-up.ts';
import { LiveLine } from './live-line.ts';
import { type Soaked, soak } from './soak.ts';
import { tableOf } from './table.ts';

const HELP = `Hours of use in minutes: clients, writers, kill -9, lost files and a failing volume against two processes on one cache folder.

  npm run soak -- [--minutes 30] [--parties 6] [--seed N] [--volume local|failing]

Every answer is judged by what S3 had; disk, memory and descriptors are looked at once a second. Without --volume the time is
shared: two thirds on a local disk, one on a volume that fails (where FUSE is there). It runs what \`npm run build\` made last.
A few minutes more go by at the end of each until what killed processes left is swept up. The exit code is 0 when all was right.`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    parties: { type: 'string', default: '6' },
    seed: { type: 'string' },
    volume: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

process.exitCode = await main();

async function main(): Promise<number> {
  const [minutes, parties] = [Number(values.minutes), Number(values.parties)];
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
  const isRight = minutes > 0 && parties > 0 && Number.isInteger(seed);
  if (values.help || !isRight || !['local', 'failing', undefined].includes(values.volume)) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  const volumes = values.volume ? [values.volume] : canMount() ? ['local', 'failing'] : ['local'];
  console.log(`seed ${seed}, ${minutes} minutes, ${parties} parties, volumes: ${volumes.join(', ')}`);
  let failed = false;
  for (const volume of volumes) {
    const share = volumes.length === 1 ? 1 : volume === 'local' ? 2 / 3 : 1 / 3;
    const began = performance.now();
    const line = new LiveLine(process.stdout);
    const at = () => `[${volume} ${((performance.now() - began) / 1000).toFixed(0)} s]`;
    const soaked: Soaked = await soak({
      ms: minutes * 60_000 * share,
      seed,
      parties,
      failingVolume: volume === 'failing',
      say: text => line.say(`${at()} ${text}`),
      show: text => line.show(`${at()} ${text}`),
    });
    failed ||= soaked.problems.length > 0;
    console.log(tableOf(volume === 'local' ? 'on a local disk' : 'on a volume that fails', soaked).join('\n'));
  }
  return failed ? 1 : 0;
}
