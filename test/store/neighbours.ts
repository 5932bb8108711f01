import type { Client } from '../read/client.ts';
import { eventually } from '../read/helpers.ts';

/** Until what is written through one is seen through the other at once: each has met the other by then. */
export async function metEachOther(one: Client, other: Client): Promise<void> {
  let i = 0;
  await eventually(async () => {
    const body = Buffer.from(`meeting ${i++}`);
    await other.send({ key: 'meeting' });
    await one.send({ key: 'meeting', method: 'PUT', body });
    return (await other.send({ key: 'meeting' })).body.equals(body);
  });
}
