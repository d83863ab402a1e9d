import * as z from 'zod'

/** What several bodies, queries and answers are made of. */

export const text = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    .regex(/^[^\0]*$/, 'must not contain the NUL character')
export const id = text(255)
export const minutes = z.int().min(1)
/** How many characters of a reason count is the core's rule; this only keeps it within reason. */
export const reason = text(20_000)
export const instant = z.union([z.iso.datetime({ offset: true }), z.string().regex(/^\d{1,15}$/)], {
  error: 'must be an instant: ISO 8601 with a zone, or milliseconds since the epoch',
})
export const iso = z.iso.datetime()
export const none = z.strictObject({})
export const string = z.string()
export const orNull = <T extends z.ZodType>(schema: T) => z.union([schema, z.null()])

/** What every list takes. */
export const page = {
  limit: z
    .string()
    .regex(/^([1-9]|[1-9]\d|1\d\d|200)$/, 'must be a whole number from 1 to 200')
    .optional(),
  cursor: text(1000).optional(),
}

/** What every list answers. */
export const listOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next_cursor: orNull(string) })
