export { type ConnectOptions, createConnectHandler } from './connect.ts';
export { type DescriptorShares, descriptorLimit, shareDescriptors } from './descriptors.ts';
export {
  ACCEPTING,
  BACKLOG,
  type ConnectHandler,
  createForwardProxy,
  type ForwardProxy,
  type ForwardProxyOptions,
  MAX_HEADER_SIZE,
} from './forward-proxy.ts';
export type { Inlet, Listening } from './inlet.ts';
export { type RelayOptions, relay } from './relay.ts';
export { asCisternError, respondError } from './respond-error.ts';
export type {
  AnswerAtOnce,
  Exchange,
  Handle,
  RelayHooks,
  RelayObserver,
  RelayOutcome,
  TakenIn,
} from './types.ts';
