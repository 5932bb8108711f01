import type { Span } from '../request/index.ts';
import { EXTENT, type Head } from '../store/index.ts';
import { BodyLost, sendBody } from './body.ts';
import type { Flight } from './flight.ts';
import type { FlightReader } from './flight-reader.ts';
import { isPast } from './learn.ts';
import { Lifeline } from './lifeline.ts';
import { Passed } from './passed.ts';
import type { Reading } from './reading.ts';

/**
 * Sends the bytes of an answer whose head is ready, and sees to it that what is missing of them is fetched in time.
 * @param onMissing told where the first bytes have to be fetched after all, as long as the head waits for them
 */
export async function sendBytes(
  reading: Reading,
  head: Head,
  span: Span,
  first?: FlightReader,
  onMissing?: (flight: Flight) => void,
): Promise<void> {
  const { request, entry, epoch, out, disk, parts } = reading;
  const { store, fetches } = parts;
  const source = { fetches, request, entry, head, epoch, span };
  const lifeline = new Lifeline(source);
  let counted = -1;
  const openGap = (missing: Span) => fetchGap(reading, head, span, missing);
  const ahead = parts.parallel.for(source, openGap);
  try {
    await sendBody(
      {
        store,
        flights: fetches.flights,
        request,
        entry,
        head,
        epoch,
        out,
        note: request.note,
        disk,
        passed: new Passed(request),
        fetchGap: missing => {
          const flight = openGap(missing);
          if (flight && missing.start === span.start && !out.begun) onMissing?.(flight);
          return flight;
        },
        fetchAll: all => watched(reading, head, fetches.gap(source, all)),
        fetchOwn: at => watched(reading, head, fetches.own(source, at)),
        onProgress: (at, flight) => {
          const stretch = Math.floor(at / EXTENT);
          if (stretch !== counted) store.used(entry, head, at);
          counted = stretch;
          lifeline.at = at;
          ahead?.advance(at, flight);
          if (flight) reading.interest?.leave();
        },
      },
      span,
      first,
    );
  } catch (error) {
    if (!(error instanceof BodyLost)) throw error;
    // Where the client has heard nothing yet, the read starts over with its plain request; else it sees a cut.
    return reading.startOver() || out.cut(error.message);
  } finally {
    lifeline.end();
    ahead?.end();
  }
}

/** Starts the fetch of what is missing from there on. @param span all that the answer has, or is to have */
export function fetchGap(reading: Reading, head: Head, span: Span, { start, end }: Span): Flight | undefined {
  const { request, entry, epoch, parts } = reading;
  const last = parts.fetches.gapEnd(entry, head, epoch, { start, end });
  const promised = { request, entry, head, epoch, span };
  return watched(reading, head, parts.fetches.gap(promised, { start, end: last }));
}

function watched({ entry, parts }: Reading, head: Head, flight: Flight | undefined): Flight | undefined {
  flight?.answer.then(
    ({ status, learnt }) => {
      // The object has another version now, or is gone: nobody may be given this one as fresh any more.
      if (!learnt && isPast(status) && entry.head?.version === head.version) parts.store.catalog.distrust(entry);
    },
    () => {},
  );
  return flight;
}
