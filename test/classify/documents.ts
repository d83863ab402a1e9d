import fc from 'fast-check'

/** Random documents: of the grammar, with everything in them that could lead a reader astray. */

const names = ['a', 'b', 'A', 'B', 'F', 'G', 'query', 'mutation', 'fragmentary', 'more']
const strings = [
  '"x"',
  '"mutation { rename }"',
  '"\\" } mutation { rename } #"',
  '"\\u007d mutation \\u{1f99c}"',
  '"""block } mutation { rename } \\""" # """',
  '""" " """',
  '""',
  '"ünï✓🦜"',
  '"#"',
]
const gaps = [
  ' ',
  '\n',
  ',',
  ' , ',
  '\t',
  '\ufeff',
  '\r\n',
  '\n# } mutation { rename }\n',
  '#"""\n',
  '# "\r',
]

const name = fc.constantFrom(...names)
const gap = fc.constantFrom(...gaps)
const given = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  { weight: 2, arbitrary: fc.constantFrom(...strings).map((text) => `(x:${text})`) },
)
const directive = fc.oneof(
  { weight: 4, arbitrary: fc.constant('') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '@include(if:true)',
      '@skip(if:false)',
      '@skip(if:true)',
      '@x(y:"{")',
    ),
  },
)
const alias = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: name.map((text) => `${text}:`) },
)
const leaf = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'b') },
  { weight: 4, arbitrary: fc.constant('rename') },
  { weight: 1, arbitrary: fc.constantFrom('changePassword', 'buySeats', '__typename', 'name') },
)

/** Selection sets, nested and by fragments of both kinds. */
const { set } = fc.letrec<{ set: string; selection: string }>((tie) => ({
  set: fc
    .tuple(fc.array(tie('selection'), { minLength: 1, maxLength: 3 }), gap)
    .map(([selections, between]) => `{${selections.join(between)}}`),
  selection: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.tuple(alias, leaf, given, directive).map((parts) => parts.join('')),
    fc.constantFrom('F', 'G').map((called) => `...${called}`),
    fc
      .tuple(fc.constantFrom('', 'on Query', 'on Mutation'), directive, tie('set'))
      .map(([on, marks, inner]) => `...${on && ` ${on}`}${marks}${inner}`),
    fc
      .tuple(alias, fc.constantFrom('more', 'user'), given, tie('set'))
      .map((parts) => parts.join('')),
  ),
}))

const operation = fc.oneof(
  { weight: 1, arbitrary: set },
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        fc.constantFrom('query', 'query', 'mutation', 'mutation', 'mutation', 'subscription'),
        gap,
        fc.constantFrom('', 'A', 'B', 'mutation', 'query'),
        gap,
        fc.constantFrom('', '($x:String="}mutation{rename}")'),
        directive,
        set,
      )
      .map((parts) => parts.join('')),
  },
)
const fragment = fc
  .tuple(fc.constantFrom('F', 'G'), fc.constantFrom('Query', 'Mutation', 'Account'), set)
  .map(([called, on, inner]) => `fragment ${called} on ${on} ${inner}`)

const written = fc
  .tuple(
    fc.oneof(
      fc.array(operation, { minLength: 1, maxLength: 1 }),
      fc.array(operation, { minLength: 2, maxLength: 3 }),
    ),
    fc.array(fragment, { minLength: 2, maxLength: 4 }),
    gap,
    gap,
    fc.nat(5),
  )
  .map(([operations, fragments, first, between, turn]) => {
    const all = [...operations, ...fragments]
    return first + [...all.slice(turn), ...all.slice(0, turn)].join(between)
  })

/** With a slip of the pen somewhere, at times. */
export const documents = fc
  .tuple(
    written,
    fc.nat(3).map((one) => one === 0),
    fc.nat(),
    fc.nat(12),
    fc.constantFrom('', '"', '"""', '#', '{', '}', '\n', 'mutation', '\\'),
  )
  .map(([text, slips, at, length, instead]) => {
    if (!slips) return text
    const start = at % (text.length + 1)
    return text.slice(0, start) + instead + text.slice(start + length)
  })

export const operationNames = fc.constantFrom(
  undefined,
  undefined,
  '',
  'A',
  'B',
  'mutation',
  'nobody',
)
