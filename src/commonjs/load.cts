// `require('millrace')` where require is not Node's own: jest's loads no ES modules before Node 24.9. The `process` of
// Node's own realm leads to the loader that does, and so to the one instance of the package that there is. Node itself
// does not come here (package.json, "module-sync"), nor do bundlers ("module").
const vm: typeof import('node:vm') = require('node:vm')
const { getBuiltinModule } = vm.runInThisContext('process') as typeof process
module.exports = getBuiltinModule('node:module').createRequire(__filename)
