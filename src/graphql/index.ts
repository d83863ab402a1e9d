export { type GraphqlClassifierOptions, graphqlClassifier } from './classifier.ts'
