import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeWith } from '../tools/index.ts';
import { aws } from './aws.ts';
import { putFile, sampleBytes } from './files.ts';
import { BUCKET, BY_NAME, BY_PATH_TTL_0 } from './places.ts';
import { describeWrites, type WritePlace } from './written.ts';

const MINUTES = 120_000;
/** What S3 copies or restores passes nobody: it is fetched when it is read. */
const FETCHED = Number.POSITIVE_INFINITY;

describeWith('aws', 'aws s3api', () => {
  describeWrites(
    place => {
      it('tags and grants leave the bytes where they are, and every header is true', { timeout: MINUTES }, async () => {
        await putFile(join(place.folder, 'up'), sampleBytes(150_000, 1));
        await api(place, 'put-object', 'about', '--body', 'up', '--content-type', 'text/plain', '--tagging', 'a=1');
        await place.expectAsDirectly('about');
        await api(place, 'put-object-tagging', 'about', '--tagging', 'TagSet=[{Key=a,Value=1},{Key=b,Value=2}]');
        await place.expectAsDirectly('about', { first: 'unsigned range' });
        expect(place.origin.object(BUCKET, 'about')!.tags).toHaveLength(2);
        await api(place, 'put-object-acl', 'about', '--acl', 'private');
        await place.expectAsDirectly('about', { first: 'HEAD' });
        await api(place, 'delete-object-tagging', 'about');
        await place.expectAsDirectly('about', { first: 'checksums' });
      });

      it('copies, also onto themselves, and restores are seen by both processes', { timeout: MINUTES }, async () => {
        await putFile(join(place.folder, 'up'), sampleBytes(90_000, 2));
        await api(place, 'put-object', 'source', '--body', 'up', '--metadata', 'of=source', '--content-type', 'a/b');
        await putFile(join(place.folder, 'up'), sampleBytes(1000, 3));
        await api(place, 'put-object', 'copy', '--body', 'up');
        await place.expectAsDirectly('copy');
        const from = ['--copy-source', `${BUCKET}/source`];
        await api(place, 'copy-object', 'copy', ...from);
        await place.expectAsDirectly('copy', { atMost: FETCHED });
        await place.expectAsDirectly('source');
        await api(
          place,
          'copy-object',
          'source',
          ...from,
          '--metadata-directive',
          'REPLACE',
          '--metadata',
          'of=itself',
        );
        await place.expectAsDirectly('source', { atMost: FETCHED });

        const archived = { headers: ['x-amz-storage-class', 'GLACIER'] };
        place.origin.put(BUCKET, 'archived', sampleBytes(80_000, 4), archived);
        await place.expectAsDirectly('archived', { readings: ['HEAD'] });
        await api(place, 'restore-object', 'archived', '--restore-request', 'Days=1');
        await place.expectAsDirectly('archived', { readings: ['HEAD'] });
        place.origin.finishRestore(BUCKET, 'archived');
        // S3 did this by itself: with a ttl it is seen when that is over.
        if (place.way === BY_PATH_TTL_0) await place.expectAsDirectly('archived', { atMost: FETCHED });
      });
    },
    [BY_NAME, BY_PATH_TTL_0],
  );
});

function api(place: WritePlace, operation: string, key: string, ...args: readonly string[]): Promise<string> {
  return aws(place, 's3api', operation, '--bucket', BUCKET, '--key', key, ...args);
}
