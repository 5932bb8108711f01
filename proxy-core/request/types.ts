/** Header lines as they came: [name, value, name, value, …], each a latin1 string (one char per byte), order and case kept. */
export type RawHeaders = readonly string[];

/** Where a bucket lives: an AWS partition, in which bucket names are unique, or `host:port` of an S3-compatible store. */
export type Origin = 'aws' | 'aws-cn' | 'aws-us-gov' | (string & {});

/** An object by its three names. `key` holds the percent-decoded bytes as latin1, `storeKey` is `<origin>\0<bucket>\0<key>`. */
export interface ObjectAddress {
  readonly origin: Origin;
  readonly bucket: string;
  readonly key: string;
  readonly storeKey: string;
}

/** What the authority and the raw target of a request say, apart from method and headers. Immutable; may be memoised. */
export interface TargetFacts {
  /** Undefined when the host is not S3 (or an S3-compatible store named by an override). */
  readonly origin: Origin | undefined;
  readonly bucket: string | undefined;
  /** Region named by the host, lower case; undefined for global, legacy and non-AWS hosts. */
  readonly region: string | undefined;
  /** The object, when the target names one whose key has one reading. A raw `+` or malformed escape leaves it undefined. */
  readonly object: ObjectAddress | undefined;
  /** Both readings of a key with a raw `+` or of a malformed escape: what a write spelled so must move on. */
  readonly ambiguous: readonly ObjectAddress[];
  /** Part number of `?partNumber=`, when it is a whole number of 1 to 10,000 */
  readonly partNumber: number | undefined;
  /** Lower-case names of query parameters outside the allow list (partNumber, x-id, presigning). Empty = plain object target. */
  readonly otherParameters: readonly string[];
  /** Set for S3 hosts and buckets whose objects are never cached: the reason for the relay, e.g. `s3_express`. */
  readonly relayOnly?: string | undefined;
  /** True for a query that carries X-Amz-Algorithm (SigV4/SigV4A presigned) or AWSAccessKeyId+Signature (SigV2). */
  readonly presigned: boolean;
  /** Query parameters by name, decoded, first value of each; only built for requests that need them. */
  readonly query: ReadonlyMap<string, string>;
}

/** The headers that decide how a request is treated, from one pass over the raw headers. Absent ones are undefined. */
export interface HeaderFacts {
  readonly host: string | undefined;
  readonly range: string | undefined;
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly ifModifiedSince: string | undefined;
  readonly ifUnmodifiedSince: string | undefined;
  readonly ifRange: string | undefined;
  readonly noStore: boolean;
  /** `Cache-Control: no-cache` or, without Cache-Control, `Pragma: no-cache` */
  readonly noCache: boolean;
  readonly originHeader: string | undefined;
  readonly customerKey: boolean;
  readonly expectedBucketOwner: boolean;
  readonly requestPayer: boolean;
  readonly checksumMode: boolean;
  readonly authorization: string | undefined;
  readonly securityToken: string | undefined;
  readonly amzDate: string | undefined;
  readonly date: string | undefined;
  readonly copySource: string | undefined;
  readonly renameSource: string | undefined;
  readonly contentType: string | undefined;
  readonly contentLength: string | undefined;
  readonly contentSha256: string | undefined;
  readonly userAgent: string | undefined;
  readonly referer: string | undefined;
}

export interface SignatureFacts {
  readonly scheme: 'anonymous' | 'sigv4' | 'sigv4a' | 'sigv2' | 'other';
  readonly presigned: boolean;
  /** For scheme `other` the name of the scheme (`Bearer`). */
  readonly accessKeyId: string | undefined;
  /**
   * Session token (header or query), part of who the caller is; never logged or stored. For scheme `other` the whole
   * credentials, so that two callers never look alike.
   */
  readonly sessionToken: string | undefined;
  /** Lower-case names of the signed headers. `all` for schemes whose signed set is unknown (treat every header as signed). */
  readonly signedHeaders: ReadonlySet<string> | 'all';
  /** When S3 stops accepting a request that begins with this signature, ms since the epoch; undefined when it can't be known. */
  readonly expiresAt: number | undefined;
}

/** A single byte range as asked for (RFC 9110 section 14.1.2), before the object's length is known. */
export type ByteRange =
  | { readonly kind: 'closed'; readonly start: number; readonly end: number }
  | { readonly kind: 'open'; readonly start: number }
  | { readonly kind: 'suffix'; readonly length: number };

/** First and last byte, both inclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** What is to be done with a request. */
export type RequestKind =
  | {
      readonly kind: 'read';
      readonly object: ObjectAddress;
      readonly method: 'GET' | 'HEAD';
      readonly range: ByteRange | undefined;
      readonly partNumber: number | undefined;
    }
  /** `reason` is a token for Cache-Status and the counters, e.g. `subresource`, `bucket_request`, `sse_c`, `multi_range`, `not_s3`. */
  | { readonly kind: 'relay'; readonly reason: string }
  /** A request that may change objects: relayed, and once S3 accepted it (or may have), the objects' epochs move on. */
  | {
      readonly kind: 'write';
      readonly reason: string;
      readonly write: WriteKind;
      /** Undefined for writes that bring no content, or to a key with two readings. */
      readonly upload: Upload | undefined;
    };

/** Which objects a write concerns, and when S3's answer counts as accepted. */
export type WriteKind =
  /** Accepted by any 2xx. PUT object, DELETE of a version, sub-resource PUT/DELETE, RestoreObject, …; UploadPart and Abort change no object. */
  | { readonly kind: 'by_status'; readonly objects: readonly ObjectAddress[] }
  /** DELETE of an object: after any 2xx there is none under this key. */
  | { readonly kind: 'delete'; readonly object: ObjectAddress }
  /** CopyObject and CompleteMultipartUpload: accepted when 2xx and the body's root is not <Error>. CreateMultipartUpload changes no object. */
  | { readonly kind: 'by_body'; readonly objects: readonly ObjectAddress[] }
  /** DeleteObjects: keys are in the request's XML body. */
  | { readonly kind: 'delete_objects'; readonly origin: Origin; readonly bucket: string }
  /** Browser form upload: key in the answer's Location, else in the form. */
  | { readonly kind: 'form_post'; readonly origin: Origin; readonly bucket: string };

/** A step of bringing an object's content to S3, of which a copy may be kept. */
export type Upload =
  | { readonly step: 'put'; readonly object: ObjectAddress }
  | { readonly step: 'create'; readonly object: ObjectAddress }
  | { readonly step: 'part'; readonly object: ObjectAddress; readonly uploadId: string; readonly number: number }
  | { readonly step: 'complete'; readonly object: ObjectAddress; readonly uploadId: string }
  /** AbortMultipartUpload; UploadPartCopy, whose part doesn't come by here, so that the object can't be kept. */
  | { readonly step: 'discard'; readonly object: ObjectAddress; readonly uploadId: string };
