/**
 * Milliseconds since the epoch of an HTTP-date in any of its three forms (RFC 9110 section 5.6.7), or undefined. The day
 * name isn't compared with the date: recipients are asked to be liberal, and it adds nothing.
 */
export function parseHttpDate(value: string): number | undefined {
  const text = value.trim();
  if (text.length > 40) return undefined;
  let match = IMF_FIXDATE.exec(text);
  if (match) return toTime(match[3]!, match[2]!, match[1]!, match[4]!, match[5]!, match[6]!);
  match = RFC_850.exec(text);
  if (match) return toTime(fullYear(Number(match[3])), match[2]!, match[1]!, match[4]!, match[5]!, match[6]!);
  match = ASCTIME.exec(text);
  if (match) return toTime(match[6]!, match[1]!, match[2]!, match[3]!, match[4]!, match[5]!);
  return undefined;
}

const IMF_FIXDATE = /^[A-Za-z]{3}, (\d{2}) ([A-Za-z]{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/;
const RFC_850 = /^[A-Za-z]{6,9}, (\d{2})-([A-Za-z]{3})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) GMT$/;
const ASCTIME = /^[A-Za-z]{3} ([A-Za-z]{3}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** A two-digit year that would lie more than 50 years ahead is of the last century (RFC 9110 section 5.6.7). */
function fullYear(twoDigits: number): string {
  const now = new Date().getUTCFullYear();
  const year = now - (now % 100) + twoDigits;
  return String(year > now + 50 ? year - 100 : year);
}

function toTime(year: string, month: string, day: string, hour: string, minute: string, second: string) {
  return utcTime(Number(year), MONTHS.indexOf(month), Number(day), Number(hour), Number(minute), Number(second));
}

/** Milliseconds of a date in UTC, or undefined where a part is out of its bounds (month counts from 0). */
export function utcTime(year: number, month: number, day: number, hour: number, minute: number, second: number) {
  if (!(month >= 0 && month < 12 && day >= 1 && hour < 24 && minute < 60 && second <= 60)) return undefined;
  // Date.UTC takes years below 100 for the last century's; nothing that S3 holds is that old.
  if (year < 100) return undefined;
  const time = Date.UTC(year, month, day, hour, minute, second);
  // A 31st of a shorter month would roll over.
  return new Date(time - (second === 60 ? 1000 : 0)).getUTCDate() === day ? time : undefined;
}
