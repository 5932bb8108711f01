/** Fields of every ServerResponse of Node 20 to 24 that its declarations leave out or call read-only. */
export interface InnerResponse {
  /** The connection ends with this answer. Whatever isn't known to leave it open ends it. */
  _last?: boolean;
  _closed?: boolean;
  destroyed: boolean;
}
