// The function is never called: tracers of files follow it.
module.exports = require('./load.cjs')('../pino.js', () => require('../pino.js'))
