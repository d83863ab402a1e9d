export type {
  ApiTokenOptions,
  ServiceOptions,
  UserPage,
  UserQuery,
} from './api-tokens/option.ts'
export type { RequestMeta } from './audit/events.ts'
export type { Adapter, Entrance, RequestContext } from './entrance.ts'
export {
  type ErrorCode,
  errorTable,
  type FieldError,
  ImpersonationError,
  isImpersonationError,
} from './errors.ts'
export { createImpersonation, type ImpersonationEngine } from './impersonation.ts'
export type { IssuedApiToken } from './lifecycle/api-token-changes.ts'
export type { ApiTokenRequest } from './lifecycle/api-token-terms.ts'
export type { ApiTokens, UsersFound } from './lifecycle/api-tokens.ts'
export type { ApprovalRequest, Approvals } from './lifecycle/approvals.ts'
export type { BreakGlass, BreakGlassRequest } from './lifecycle/break-glass.ts'
export type { Carry, Snapshot } from './lifecycle/carry.ts'
export type { ConsentRule } from './lifecycle/consent.ts'
export type { GrantLimits, GrantRequest, Grants } from './lifecycle/grants.ts'
export type { History, HistoryEntry } from './lifecycle/history.ts'
export type { Started } from './lifecycle/opening.ts'
export type { SessionState, Sessions } from './lifecycle/sessions.ts'
export type { Caller, StartRequest } from './lifecycle/start.ts'
export {
  type Channel,
  type Notification,
  type NotificationKind,
  type Notifier,
  notificationKinds,
  type Told,
  type Words,
} from './notify/notification.ts'
export type { Outbox } from './notify/post.ts'
export type {
  ApprovalOptions,
  AuditKey,
  AuditOptions,
  BreakGlassOptions,
  DisplayedActor,
  EventSink,
  ImpersonationOptions,
  UserDescription,
} from './options.ts'
export type { Classification, ClassifyRequest } from './pipeline/classify.ts'
export type { Context } from './pipeline/context.ts'
export { actorCredentials, type ForwardOptions, type IncomingHeaders } from './pipeline/forward.ts'
export type { HeaderPlan } from './pipeline/headers.ts'
export type { PeekedBody, RequestView } from './pipeline/identify.ts'
export type { KnownRoute } from './pipeline/known-routes.ts'
export type { RoutePattern } from './pipeline/patterns.ts'
export type { ScopeWall } from './pipeline/scopes.ts'
export type { SqlSettings } from './pipeline/sql-settings.ts'
export type { Walls } from './pipeline/walls.ts'
export type { AuditFields, LogFields, Who } from './pipeline/who.ts'
export type {
  ChainedEvent,
  ChainHead,
  ChainSection,
  ChainVerb,
  Link,
  Seal,
} from './stores/chain.ts'
export { endedBy, isExpiry, isLapse, type Judgement, judgeClaim } from './stores/claim.ts'
export { usedGrant } from './stores/grant.ts'
export { memoryStore } from './stores/memory.ts'
export type {
  DeliveryChange,
  DeliveryFilter,
  DeliveryLease,
  OutboxSection,
  OutboxVerb,
  RecordedEvent,
} from './stores/outbox.ts'
export type {
  RequestChange,
  RequestFilter,
  RequestSection,
  RequestVerb,
  UsedCode,
} from './stores/requests.ts'
export type { Erased, Pruned, RetentionSection, RetentionVerb, Survey } from './stores/retention.ts'
export type {
  ClaimResult,
  EndEventsFor,
  EndResult,
  EventFilter,
  EventsFor,
  GrantChange,
  GrantFilter,
  GrantResult,
  GrantSection,
  GrantVerb,
  Page,
  Place,
  SessionClaim,
  SessionEnding,
  SessionExtension,
  SessionFilter,
  Standing,
  Store,
  StoreVerb,
  StoreWatcher,
} from './stores/store.ts'
export type {
  TokenChange,
  TokenFilter,
  TokenSection,
  TokenUse,
  TokenVerb,
} from './stores/tokens.ts'
export type {
  ActionCount,
  MakeEntry,
  TrailHead,
  TrailPlace,
  TrailSection,
  TrailVerb,
} from './stores/trail.ts'
export type {
  ImpersonationTokenKey,
  ImpersonationTokenOptions,
  TokenAlgorithm,
  TokenKeyMaterial,
} from './tokens/option.ts'
export {
  type AccessLevel,
  type AccessRequest,
  type Action,
  type ApiToken,
  type ApiTokenContext,
  type AuditEvent,
  accessLevels,
  actions,
  type Delivery,
  type DeliveryStatus,
  type DeliveryTopic,
  deliveryStatuses,
  deliveryTopics,
  type EndedReason,
  type Ending,
  type EventAction,
  endedReasons,
  endings,
  eventActions,
  type Grant,
  type GrantStatus,
  type Guardrail,
  grantStatuses,
  guardrailKinds,
  type Impersonation,
  type RequestKind,
  type RequestStatus,
  requestKinds,
  requestStatuses,
  type Session,
  type SessionStatus,
  sessionStatuses,
  type TrailAction,
  type TrailEntry,
  type Transport,
  transports,
  type UserProfile,
} from './types.ts'
