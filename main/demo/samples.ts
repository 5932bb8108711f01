import { generatedBody, type Origin } from './origin/index.ts';

export const BUCKET = 'field-study';
export const LARGE = 'scans/site-07.bin';
export const TABLE = 'readings.csv';
export const SMALL = Array.from({ length: 200 }, (_, i) => `notes/${String(i + 1).padStart(3, '0')}.txt`);
export const LARGE_BYTES = 64 * 2 ** 20;

/** A table, 200 small files and one large object of bytes that don't compress. */
export function putSamples(origin: Origin): void {
  origin.createBucket(BUCKET);
  origin.put(BUCKET, LARGE, generatedBody(LARGE_BYTES, 7).read(0, LARGE_BYTES));
  origin.put(BUCKET, TABLE, table('first edition'), { headers: ['Content-Type', 'text/csv'] });
  for (const [i, key] of SMALL.entries()) {
    const text = `Note ${i + 1}\n${'The water stood as high as the day before.\n'.repeat(1 + (i % 50))}`;
    origin.put(BUCKET, key, text, { headers: ['Content-Type', 'text/plain'] });
  }
}

export function table(edition: string): string {
  const rows = Array.from(
    { length: 500 },
    (_, i) => `${i},station-${i % 12},${(Math.sin(i / 9) * 20 + 20).toFixed(2)}`,
  );
  return `# ${edition}\nreading,station,celsius\n${rows.join('\n')}\n`;
}
