let second = 0;
let text = '';

/** Now as an HTTP-date (RFC 9110 section 5.6.7), rendered once a second. SDKs set their clock by it. */
export function httpDate(): string {
  const now = Math.floor(Date.now() / 1000);
  if (now !== second) {
    second = now;
    text = new Date(now * 1000).toUTCString();
  }
  return text;
}
