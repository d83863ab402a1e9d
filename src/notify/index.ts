export { byChannel } from './by-channel.ts'
export {
  type EventWebhookBody,
  type EventWebhookOptions,
  eventWebhook,
} from './event-webhook.ts'
export { type MailMessage, type MailOptions, type MailTransport, mail } from './mail.ts'
export type {
  Channel,
  Notification,
  NotificationKind,
  Notifier,
  Told,
  Words,
} from './notification.ts'
export {
  type VerifyOptions,
  verifyWebhook,
  type WebhookHeaders,
  type WebhookRefusal,
} from './verify-webhook.ts'
export { type WebhookBody, type WebhookOptions, webhook } from './webhook.ts'
